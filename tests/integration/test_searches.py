"""Saved searches: what is told, to whom, how often, and what a bad day may not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core.database import Database, TenantConnection
from app.domain.kwork import ProjectStatus
from app.repositories.matching import Matching
from app.repositories.searches import Searches
from app.services import match_searches
from app.services.manage_searches import SearchChanges
from app.services.manage_tenants import ManageTenants
from tests.search_bed import SearchBed, caller, fresh, old


async def test_what_appears_after_a_search_was_saved_becomes_a_lead_and_is_told_once(
    search_bed: SearchBed,
) -> None:
    search = await search_bed.save("a", words_any=("бот",), categories=("script-programming",))
    listed = fresh(20), fresh(21, description="Нужен сайт")
    counts = await search_bed.poll(*listed)
    await search_bed.poll(*listed)
    assert (counts.matches, counts.failed) == (1, 0)
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}
    (event,) = await search_bed.events("a")
    assert event["subject"] == "project-20"
    assert event["data"]["searches"] == ["Боты"]
    assert event["data"]["search_ids"] == [str(search.id)]
    shown = await search_bed.searches.get("a", search.id)
    assert (shown.matched, shown.waiting) == (1, 0)
    assert shown.last_matched_at is not None


async def test_what_was_there_before_is_no_news_even_when_it_changes(search_bed: SearchBed) -> None:
    await search_bed.save("a")
    await search_bed.poll(replace(old(), title="Старый, но дороже", price_kopecks=200000))
    assert await search_bed.leads("a") == {}
    assert await search_bed.events("a") == []


async def test_a_service_that_has_never_read_the_exchange_does_not_announce_all_of_it(
    database: Database, owner: asyncpg.Connection
) -> None:
    bed = SearchBed(database, owner)
    await bed.tenant("a")
    await bed.save("a")
    ago = datetime.now(UTC) - timedelta(hours=2)
    await bed.poll(fresh(20, active_at=ago), fresh(21, active_at=None, created_at=None), fresh(22))
    assert set(await bed.leads("a")) == {"kwork:project:22"}


async def test_a_project_that_changes_into_matching_is_found(search_bed: SearchBed) -> None:
    await search_bed.save("a", price_from_kopecks=500000)
    cheap = fresh(20)
    await search_bed.poll(cheap)
    assert await search_bed.leads("a") == {}
    await search_bed.poll(replace(cheap, max_price_kopecks=600000))
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}


async def test_an_old_project_that_comes_back_updates_its_lead_and_makes_no_other(
    search_bed: SearchBed,
) -> None:
    await search_bed.save("a")
    first = fresh(20)
    await search_bed.poll(first)
    for days in (4, 9):
        back = replace(
            first,
            active_at=first.active_at + timedelta(days=days),  # type: ignore[operator]
            expires_at=first.active_at + timedelta(days=days + 3),  # type: ignore[operator]
        )
        await search_bed.poll(back)
    lead = await search_bed.lead("a", 20)  # the only one: ``leads`` sees to that
    assert datetime.fromisoformat(lead["deadline"]) == back.expires_at
    assert len(await search_bed.events("a")) == 1


async def test_two_searches_that_find_the_same_make_one_lead_with_both_names(search_bed: SearchBed) -> None:
    await search_bed.save("a", "Боты", words_any=("бот",))
    await search_bed.save("a", "Дорогие", price_from_kopecks=100000)
    await search_bed.poll(fresh(20))
    lead = await search_bed.lead("a", 20)
    assert lead["metadata"]["kwork_searches"] == "Боты, Дорогие"
    (event,) = await search_bed.events("a")
    assert event["data"]["searches"] == ["Боты", "Дорогие"]


async def test_a_search_that_finds_a_project_later_is_named_in_its_lead_too(search_bed: SearchBed) -> None:
    await search_bed.save("a", "Боты", words_any=("бот",))
    cheap = fresh(20)
    await search_bed.poll(cheap)
    await search_bed.save("a", "Дорогие", price_from_kopecks=500000)
    await search_bed.poll(replace(cheap, max_price_kopecks=600000))
    lead = await search_bed.lead("a", 20)
    assert lead["metadata"]["kwork_searches"] == "Боты, Дорогие"
    assert [event["data"]["searches"] for event in await search_bed.events("a")] == [["Боты"], ["Дорогие"]]


async def test_tenants_get_what_their_own_searches_find(search_bed: SearchBed) -> None:
    await search_bed.tenant("b")
    await search_bed.save("a", "Мои боты", words_any=("бот",))
    await search_bed.save("b", "Мои сайты", words_any=("сайт",))
    await search_bed.poll(fresh(20), fresh(21, description="Нужен сайт"))
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}
    assert set(await search_bed.leads("b")) == {"kwork:project:21"}
    assert [event["data"]["searches"] for event in await search_bed.events("b")] == [["Мои сайты"]]


async def test_a_tenant_that_is_off_gets_no_leads(search_bed: SearchBed) -> None:
    tenants = ManageTenants(search_bed.database, by="cli")
    await search_bed.save("a")
    await tenants.switch("a", disabled=True)
    await search_bed.poll(fresh(20))
    assert await search_bed.leads("a") == {}
    await tenants.switch("a", disabled=False)
    await search_bed.poll(fresh(21))
    assert "kwork:project:21" in await search_bed.leads("a")


async def test_a_search_that_is_off_finds_nothing_and_goes_on_from_when_it_is_on_again(
    search_bed: SearchBed,
) -> None:
    search = await search_bed.save("a")
    await search_bed.searches.change(caller("a"), search.id, SearchChanges(enabled=False))
    now = datetime.now(UTC)
    meanwhile = fresh(20, active_at=now - timedelta(minutes=2))
    await search_bed.poll(meanwhile)
    await search_bed.searches.change(caller("a"), search.id, SearchChanges(enabled=True))
    await search_bed.poll(replace(meanwhile, title="Другой"), fresh(21))
    assert set(await search_bed.leads("a")) == {"kwork:project:21"}


async def test_a_renamed_search_goes_on_and_its_old_leads_keep_the_old_name(search_bed: SearchBed) -> None:
    search = await search_bed.save("a", "Боты")
    first = fresh(20)
    await search_bed.poll(first)
    renamed = await search_bed.searches.change(caller("a"), search.id, SearchChanges(name="Роботы"))
    assert renamed.announce_from == search.announce_from
    await search_bed.poll(replace(first, title="Новое название"), fresh(21))
    names = [(await search_bed.lead("a", number))["metadata"]["kwork_searches"] for number in (20, 21)]
    assert names == ["Боты", "Роботы"]


async def test_leads_of_a_removed_search_go_on_following_their_projects(search_bed: SearchBed) -> None:
    search = await search_bed.save("a", "Боты")
    first = fresh(20)
    await search_bed.poll(first)
    await search_bed.searches.delete(caller("a"), search.id)
    await search_bed.poll(replace(first, status=ProjectStatus.STOPPED), fresh(21))
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}
    assert await search_bed.standing("a", 20) == ("lost", "stopped")


async def test_matches_go_to_connections_that_receive_and_what_came_back_is_new_there(
    search_bed: SearchBed,
) -> None:
    """A connection on trial gets nothing; one that announces from now on takes a project that came back for new."""
    ids = {
        mode: await search_bed.owner.fetchval(
            "INSERT INTO crm_connections (tenant_id, kind, name, origin, mode, announce_from) "
            "VALUES ('a', 'native', $1, 'api', $1, now()) RETURNING id",
            mode,
        )
        for mode in ("preview", "paused", "live")
    }
    await search_bed.save("a")
    long_ago = datetime.now(UTC) - timedelta(days=90)
    await search_bed.poll(fresh(20, created_at=long_ago))
    rows = await search_bed.owner.fetch("SELECT connection_id, cause FROM deliveries WHERE entity = 'lead'")
    got = {row["connection_id"] for row in rows}
    assert {ids["paused"], ids["live"]} <= got
    assert ids["preview"] not in got
    assert len(got) == 3, "that of the settings as well"
    assert {row["cause"] for row in rows} == {"search"}


# Bad days --------------------------------------------------------------------------------------------------


async def test_a_crash_between_reading_and_matching_loses_nothing(search_bed: SearchBed) -> None:
    await search_bed.save("a")
    await search_bed.read(fresh(20))
    await search_bed.fresh_matching().after_reading()
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}


async def test_a_crash_in_the_middle_of_the_tenants_is_made_good_and_nobody_is_told_twice(
    search_bed: SearchBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await search_bed.tenant("b")
    for tenant in ("a", "b"):
        await search_bed.save(tenant)
    with monkeypatch.context() as bad_day:
        _break_for("b", ConnectionResetError("the database is away"), bad_day)
        with pytest.raises(ConnectionResetError):
            await search_bed.poll(fresh(20))
    assert (set(await search_bed.leads("a")), await search_bed.leads("b")) == ({"kwork:project:20"}, {})
    await search_bed.fresh_matching().after_reading()
    for tenant in ("a", "b"):
        assert set(await search_bed.leads(tenant)) == {"kwork:project:20"}
        assert len(await search_bed.events(tenant)) == 1


async def test_one_tenants_fault_holds_nobody_up_and_stands_beside_his_search_until_it_is_over(
    search_bed: SearchBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await search_bed.tenant("b")
    searches = {tenant: await search_bed.save(tenant) for tenant in ("a", "b")}
    found = fresh(20)
    with monkeypatch.context() as bad_day:
        _break_for("a", RuntimeError("a poisoned row"), bad_day)
        counts = await search_bed.poll(found)
    assert counts.failed == 1
    assert (await search_bed.leads("a"), set(await search_bed.leads("b"))) == ({}, {"kwork:project:20"})
    stuck = await search_bed.searches.get("a", searches["a"].id)
    assert (stuck.waiting, stuck.matched) == (1, 1)
    assert stuck.waiting_reason and "лид" in stuck.waiting_reason
    assert (
        await search_bed.owner.fetchval(
            "SELECT count(*) FROM market_projects WHERE revision > matched_revision"
        )
        == 0
    )
    assert (await search_bed.poll(found)).projects == 0, "nothing changed on the exchange"
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}
    assert (await search_bed.searches.get("a", searches["a"].id)).waiting == 0
    assert len(await search_bed.events("a")) == 1


async def test_leads_of_another_crm_are_a_reason_told_not_a_lead_lost(search_bed: SearchBed) -> None:
    search = await search_bed.save("a")
    await search_bed.owner.execute(
        "INSERT INTO crm_connections (tenant_id, kind, name) VALUES ('a', 'amocrm', 'default')"
    )
    await search_bed.poll(fresh(20))
    stuck = await search_bed.searches.get("a", search.id)
    assert stuck.waiting == 1
    assert stuck.waiting_reason and "CRM_KIND=amocrm" in stuck.waiting_reason
    await search_bed.owner.execute("UPDATE crm_connections SET kind = 'native'")
    await search_bed.poll()
    assert set(await search_bed.leads("a")) == {"kwork:project:20"}


async def test_what_changes_while_it_is_matched_is_due_again(
    search_bed: SearchBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await search_bed.save("a")
    first = fresh(20)
    follow = match_searches.follow_projects

    async def meanwhile(*given: Any, **more: Any) -> int:
        count = await follow(*given, **more)
        await search_bed.read(replace(first, title="Другое название"))
        return count

    with monkeypatch.context() as patch:
        patch.setattr(match_searches, "follow_projects", meanwhile)
        await search_bed.poll(first)
    assert (await search_bed.lead("a", 20))["name"] == "Проект 20"
    await search_bed.matching.after_reading()
    assert (await search_bed.lead("a", 20))["name"] == "Другое название"


def _break_for(tenant_id: str, error: Exception, patch: pytest.MonkeyPatch) -> None:
    follow = match_searches.follow_projects

    async def broken(scope: TenantConnection, *given: Any, **more: Any) -> int:
        if scope.tenant_id == tenant_id:
            raise error
        return await follow(scope, *given, **more)

    patch.setattr(match_searches, "follow_projects", broken)


# One reading for everybody -----------------------------------------------------------------------------------


async def test_reading_and_matching_cost_the_same_for_a_hundred_tenants_as_for_one(
    search_bed: SearchBed,
) -> None:
    async def measured(number: int) -> Sequence[str]:
        with search_bed.statements() as sent:
            counts = await search_bed.poll(fresh(number, description="Нужен сайт"))
        assert (counts.projects, counts.matches) == (1, 0)
        return sent

    for search in range(5):
        await search_bed.save("a", f"Поиск {search}", words_any=(f"слово{search}",))
    for_one = await measured(20)
    await search_bed.owner.execute(
        "INSERT INTO tenants (id, name) SELECT 't' || n, 't' FROM generate_series(1, 99) n"
    )
    await search_bed.owner.execute("ALTER TABLE searches NO FORCE ROW LEVEL SECURITY")
    await search_bed.owner.execute(
        "INSERT INTO searches SELECT (jsonb_populate_record(s, jsonb_build_object('tenant_id', t.id, "
        "'id', gen_random_uuid()))).* FROM searches s, tenants t WHERE s.tenant_id = 'a' AND t.id <> 'a'"
    )
    await search_bed.owner.execute("ALTER TABLE searches FORCE ROW LEVEL SECURITY")
    assert await search_bed.owner.fetchval("SELECT count(*) FROM tenants") == 100
    for_hundred = await measured(21)
    assert len(for_hundred) == len(for_one)
    # The control: where they match, each tenant has work of his own.
    with search_bed.statements() as sent:
        counts = await search_bed.poll(fresh(22, description="Нужно слово1"))
    assert (counts.tenants, counts.matches) == (100, 100)
    assert len(sent) > len(for_hundred) + 100


async def test_the_policy_of_matching_shows_enabled_searches_and_changes_nothing(
    search_bed: SearchBed,
) -> None:
    await search_bed.tenant("b")
    await search_bed.save("a", "Мой")
    off = await search_bed.save("b", "Выключен")
    await search_bed.searches.change(caller("b"), off.id, SearchChanges(enabled=False))
    async with search_bed.database.shared() as connection:
        assert await connection.fetchval("SELECT count(*) FROM searches") == 0
        await Matching(connection).begin()
        assert [row["name"] for row in await connection.fetch("SELECT name FROM searches")] == ["Мой"]
        assert await connection.execute("UPDATE searches SET name = 'x'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM searches") == "DELETE 0"
        assert await connection.fetchval("SELECT count(*) FROM accounts") == 0
    async with search_bed.database.shared() as connection:
        assert await connection.fetchval("SELECT count(*) FROM searches") == 0, "it ends with the transaction"
    async with search_bed.database.tenant("b") as scope:
        assert [one.name for one in (await Searches(scope).list(limit=9, offset=0))[0]] == ["Выключен"]
