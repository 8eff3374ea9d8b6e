"""Connecting CRMs by the API: checked, kept whole, secrets never shown, and nothing sent before it is live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from app.core.database import Database
from tests.api import Api, add_project, build_api
from tests.connected import Row, Studio, body_for, keys
from tests.crm_stands import STANDS, CrmStand
from tests.crm_stands.amocrm import AmoStand
from tests.crm_stands.native import NativeStand
from tests.profile_kit import SMALL


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    """Whoever runs this service named no CRM."""
    return build_api(database, data_dir=tmp_path, crm_api_key=None)


@pytest.fixture
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[getattr(request, "param", "native")].open() as opened:
        await opened.clear()
        yield opened


async def everything_stored(owner: asyncpg.Connection) -> str:
    rows = [
        *await owner.fetch("SELECT * FROM crm_connections"),
        *await owner.fetch("SELECT * FROM crm_tokens"),
        *await owner.fetch("SELECT * FROM audit"),
    ]
    return "\n".join(str(dict(row)) for row in rows)


@pytest.mark.parametrize("stand", sorted(STANDS), indirect=True)
async def test_each_kind_is_connected_goes_live_and_takes_leads(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    body = body_for(stand)
    made = await studio.call("PUT", "", body, status=201)
    assert (made["mode"], made["check"]["ok"], made["origin"]) == ("preview", True, "api")
    assert made["secrets"] == dict.fromkeys(body["secrets"], True)
    assert stand.writes() == [] or stand.kind == "bitrix24"  # Bitrix24 reads by POST
    await studio.add_orders(1)

    live = await studio.switch(made, "live", announce_from="2000-01-01T00:00:00Z")
    assert (live["mode"], live["announce_from"]) == ("live", "2000-01-01T00:00:00Z")
    await studio.sync(1)
    assert keys(await stand.leads()) == ["kwork:order:1"]

    shown = json.dumps([await studio.call("GET"), await studio.call("GET", f"/{made['id']}")])
    for secret in body["secrets"].values():
        assert secret not in shown + await everything_stored(owner)


async def test_nothing_goes_to_a_connection_in_preview(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await studio.add_orders(1)
    async with studio.api.admin(studio.tenant_id) as client:
        refused = await client.post("/api/v1/crm-sync/sync-orders", json={"kinds": ["project"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "crm_not_live")
    assert await stand.leads() == []
    assert (await studio.call("GET", f"/{made['id']}"))["mode"] == "preview"


async def test_a_paused_connection_collects_and_sends_when_it_is_live_again(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.connect(stand)
    await studio.switch(made, "paused")
    await studio.add_orders(1, 2)
    await studio.sync(1, 2)
    assert await stand.leads() == []
    await studio.switch(made, "live")
    await studio.api.deliveries.drain(studio.tenant_id)
    assert keys(await stand.leads()) == ["kwork:order:1", "kwork:order:2"]


async def test_only_what_appears_after_going_live_is_announced(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await studio.add_orders(1, created_at="2026-01-01T00:00:00Z")
    live = await studio.switch(made, "live")
    await studio.add_orders(2, created_at="2099-01-01T00:00:00Z", buyer_username="another")
    await studio.sync(1, 2)
    assert keys(await stand.leads()) == ["kwork:order:2"]

    await studio.switch(made, "preview")
    again = await studio.switch(made, "live")
    assert again["announce_from"] == live["announce_from"]  # what appeared meanwhile is not lost


async def test_older_orders_become_leads_only_when_asked_for(studio: Studio, stand: CrmStand) -> None:
    made = await studio.connect(stand, live=False)
    await studio.add_orders(1, created_at="2026-01-05T00:00:00Z")
    await studio.add_orders(2, created_at="2026-02-05T00:00:00Z")
    await studio.add_orders(3, created_at="2026-03-05T00:00:00Z")
    asked = {"created_after": "2026-02-01T00:00:00Z", "created_before": "2026-03-01T00:00:00Z"}
    path = f"/{made['id']}/backfill"
    counted = {"found": 1, "linked": 0, "queued": 0, "dry_run": True}
    assert await studio.call("POST", path, asked | {"dry_run": True}) == counted
    assert (await studio.call("POST", path, asked, status=409))["code"] == "connection_in_preview"

    await studio.switch(made, "live")
    done = await studio.call("POST", path, asked, role="MANAGER")
    assert (done["found"], done["queued"]) == (1, 2)  # the lead and its contact
    await studio.sync(1, 2, 3)
    assert keys(await stand.leads()) == ["kwork:order:2"]
    assert (await studio.call("POST", path, asked)) == counted | {"linked": 1, "dry_run": False}

    refused = await studio.call("POST", path, asked | {"kinds": ["project"]}, status=422)
    assert refused["code"] == "filters_needed"
    backwards = {**asked, "created_before": "2026-01-01T00:00:00Z"}
    assert (await studio.call("POST", path, backwards, status=422))["code"] == "bad_range"


async def test_older_projects_become_leads_where_the_filters_fit(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand, live=False)
    await studio.switch(made, "live")
    await add_project(owner, 1, created_at="2026-02-05T00:00:00Z")
    await add_project(owner, 2, created_at="2026-02-05T00:00:00Z", title="Логотип")
    asked = {"created_after": "2026-02-01T00:00:00Z", "kinds": ["project"], "filters": {"q": "логотип"}}
    done = await studio.call("POST", f"/{made['id']}/backfill", asked)
    assert (done["found"], done["queued"]) == (1, 2)


async def test_a_connection_whose_check_fails_is_kept_but_does_not_go_live(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.call("PUT", "", body_for(stand, secrets={"api_key": "wrong"}), status=201)
    assert made["check"]["ok"] is False
    refused = await studio.switch(made, "live", status=409)
    assert refused["code"] == "connection_check_failed"
    failed = [step["name"] for step in refused["report"]["steps"] if not step["ok"]]
    assert failed == ["tenant", "lookup"]
    assert (await studio.call("GET", f"/{made['id']}"))["mode"] == "preview"

    mended = await studio.call("PUT", f"/{made['id']}", {"secrets": body_for(stand)["secrets"]})
    assert mended["check"]["ok"] is True
    await studio.switch(made, "live")


async def test_a_live_connection_is_never_changed_into_one_that_does_not_work(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.connect(stand)
    refused = await studio.call("PUT", f"/{made['id']}", {"secrets": {"api_key": "wrong"}}, status=409)
    assert (refused["code"], refused["report"]["ok"]) == ("connection_check_failed", False)
    await studio.add_orders(1)
    await studio.sync(1)
    assert keys(await stand.leads()) == ["kwork:order:1"]


@pytest.mark.parametrize("stand", ["native", "amocrm", "profile"], indirect=True)
async def test_secrets_are_asked_for_again_when_they_would_go_elsewhere(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.connect(stand, live=False)
    async with NativeStand.open() as thief:
        elsewhere = {**body_for(stand)["settings"], "base_url": thief.url}
        refused = await studio.call("PUT", f"/{made['id']}", {"settings": elsewhere}, status=422)
        assert refused["code"] == "secrets_needed_again"
        assert [error["field"] for error in refused["errors"]] == ["secrets.api_key"]
        assert thief.journal.entries == []
    same = {**body_for(stand)["settings"], "max_connections": 3}
    assert (await studio.call("PUT", f"/{made['id']}", {"settings": same}))["settings"] == same


async def test_a_profile_that_uses_its_secret_in_another_way_needs_it_again(
    studio: Studio, stand: CrmStand
) -> None:
    settings = {"profile": SMALL, "base_url": stand.url}
    made = await studio.call(
        "PUT", "", {"kind": "profile", "settings": settings, "secrets": {"api_key": "k"}}, status=201
    )
    moved = settings | {"profile": SMALL.replace("X-Key:", "X-Other:")}
    refused = await studio.call("PUT", f"/{made['id']}", {"settings": moved}, status=422)
    assert refused["code"] == "secrets_needed_again"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://10.0.0.1", "address_not_public"),
        ("https://169.254.169.254", "address_not_public"),
        ("https://[::1]", "address_not_public"),
        ("http://crm.example.com", "address_not_https"),
        ("https://2130706433", "address_malformed"),
    ],
)
async def test_addresses_inside_are_refused_when_they_are_saved(
    studio: Studio, address: str, code: str
) -> None:
    body = {"kind": "native", "settings": {"base_url": address}, "secrets": {"api_key": "k"}}
    for method, path in (("PUT", ""), ("POST", "/check")):
        refused = await studio.call(method, path, body, status=422)
        assert (refused["code"], refused["errors"][0]["field"]) == (code, "settings.base_url")
    assert "CRM_ALLOWED_HOSTS" in refused["detail"] or code != "address_not_public"
    assert (await studio.call("GET"))["items"] == []


async def test_an_address_that_leads_inside_later_is_refused_at_the_call(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await owner.execute(
        'UPDATE crm_connections SET settings = settings || \'{"base_url": "https://10.0.0.1"}\''
    )
    report = await studio.call("POST", f"/{made['id']}/check", role="MANAGER")
    assert report["ok"] is False
    assert "внутреннюю сеть" in report["steps"][0]["detail"]


BAD: list[tuple[str, Row, Row, str, str]] = [
    ("native", {}, {"api_key": "k"}, "settings.base_url", "missing"),
    ("native", {"base_url": "x"}, {}, "secrets.api_key", "missing"),
    ("native", {"base_url": "x", "api_key": "s3cret"}, {}, "settings.api_key", "secret_in_settings"),
    ("native", {"base_url": "x"}, {"token": "s3cret"}, "secrets", "unknown_secret"),
    ("native", {"base_url": "https://c.example", "x": 1}, {"api_key": "k"}, "settings.x", "extra_forbidden"),
    ("amocrm", {"base_url": "x", "oauth": "y"}, {"oauth.code": "s3cret"}, "settings.oauth", "dict_type"),
    ("bitrix24", {}, {"webhook_url": "https://b.example/s3cret"}, "secrets.webhook_url", "value_error"),
    ("profile", {"preset": "none"}, {}, "settings", "no_such_preset"),
    ("profile", {"profile": "lead: ["}, {}, "settings.profile", "profile_syntax"),
    ("profile", {"preset": "contract"}, {"a": "s3cret"}, "settings", "secrets_missing"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad[0]} {bad[3]} {bad[4]}")
async def test_settings_that_do_not_fit_are_told_by_field_and_without_values(
    studio: Studio, bad: tuple[str, Row, Row, str, str]
) -> None:
    kind, settings, secrets, field, code = bad
    body = {"kind": kind, "settings": settings, "secrets": secrets}
    refused = await studio.call("PUT", "", body, status=422)
    assert refused["code"] == "connection_settings_invalid"
    assert (field, code) in [(error["field"], error["code"]) for error in refused["errors"]]
    assert "s3cret" not in json.dumps(refused)
    assert (await studio.call("GET"))["items"] == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (
            'name: "{{ lead.name }}"',
            'name: "{{ secrets.api_key }}"',
            "settings.profile.lead.create.body.name",
        ),
        ('name: "{{ lead.name }}"', 'name: "{{ lead.nothing }}"', "settings.profile.lead.create.body.name"),
        (
            'name: "{{ lead.name }}"',
            'name: "{% for a in lead.name %}{% for b in lead.name %}{% for c in lead.name %}x{% endfor %}{% endfor %}{% endfor %}"',
            "settings.profile.lead.create.body.name",
        ),
        ("version: 1", "version: 1\nstatuses: {gone: '5'}", "settings.profile"),
    ],
    ids=["secret", "unknown field", "loops", "unknown stage"],
)
async def test_profiles_that_are_not_sound_are_refused_with_the_path(
    studio: Studio, old: str, new: str, path: str
) -> None:
    assert old in SMALL
    settings = {"profile": SMALL.replace(old, new), "base_url": "https://crm.example.com"}
    refused = await studio.call(
        "PUT", "", {"kind": "profile", "settings": settings, "secrets": {"api_key": "k"}}, status=422
    )
    assert [error for error in refused["errors"] if error["field"].startswith(path)]


async def test_a_profile_may_be_an_object(studio: Studio, stand: CrmStand) -> None:
    settings = {"profile": {"extends": "contract"}, "base_url": stand.url, "values": {"tenant_id": "t"}}
    body = {**body_for(stand), "kind": "profile", "settings": settings}
    made = await studio.call("PUT", "", body, status=201)
    assert made["check"]["ok"] is True


@pytest.mark.parametrize("bad", ["huge", "gzip_bomb"])
async def test_a_crm_that_answers_without_end_is_cut(studio: Studio, stand: CrmStand, bad: str) -> None:
    stand.bad_day(bad)
    report = await studio.call("POST", "/check", body_for(stand))
    assert report["ok"] is False
    assert all(not step["ok"] for step in report["steps"])


@pytest.mark.parametrize("value", ['"\\u0000"', '"\\ud800"', "1" + "0" * 30, "[" * 300 + "]" * 300])
async def test_what_cannot_be_stored_is_refused(studio: Studio, value: str) -> None:
    body = f'{{"kind": "amocrm", "settings": {{"base_url": "x", "tags": {value}}}, "secrets": {{"api_key": "k"}}}}'
    async with studio.api.admin(studio.tenant_id) as client:
        refused = await client.put(
            "/api/v1/crm/connection", content=body, headers={"Content-Type": "application/json"}
        )
    code = "json_too_deep" if value.startswith("[") else "validation_failed"
    assert (refused.status_code, refused.json()["code"]) == (422, code)


@pytest.mark.parametrize("stand", ["amocrm"], indirect=True)
async def test_going_live_makes_what_the_crm_lacks(studio: Studio, stand: AmoStand) -> None:
    stand.account.fields["leads"].clear()
    made = await studio.connect(stand, live=False)
    assert made["check"]["ok"] is False
    assert stand.account.fields["leads"] == []
    live = await studio.switch(made, "live")
    assert live["check"]["ok"] is True
    assert live["set_up_at"] is not None
    assert stand.account.fields["leads"] != []


async def test_a_secret_that_was_moved_from_another_row_does_not_open(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    elsewhere = {**body_for(stand)["settings"], "tenant_id": "studio-2"}
    other = await studio.connect(stand, live=False, name="other", settings=elsewhere)
    await owner.execute(
        "UPDATE crm_connections SET secrets_sealed = (SELECT secrets_sealed FROM crm_connections WHERE id = $2) "
        "WHERE id = $1",
        made["id"],
        other["id"],
    )
    assert (await studio.call("POST", f"/{made['id']}/check", status=409))["code"] == "connection_unreadable"
    await studio.add_orders(1)
    await studio.sync(1)  # the other tenants' work goes on
    assert await stand.leads() == []
    health = await owner.fetchrow("SELECT ok, code FROM crm_health")
    assert health is not None
    assert health["code"] == "connection_unreadable"

    needed = await studio.call("PUT", f"/{made['id']}", {"name": "x"}, status=422)
    assert needed["code"] == "secrets_needed_again"
    await studio.call("PUT", f"/{made['id']}", {"secrets": body_for(stand)["secrets"]})
    await studio.api.deliveries.drain(studio.tenant_id)
    assert keys(await stand.leads()) == ["kwork:order:1"]


async def test_deleting_tells_what_is_lost_and_waits_for_what_is_on_its_way(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await studio.add_orders(1)
    await studio.sync(1)
    await owner.execute("UPDATE deliveries SET state = 'in_flight' WHERE entity = 'lead'")
    refused = await studio.call("DELETE", f"/{made['id']}", status=409)
    assert refused["code"] == "deliveries_in_flight"
    await owner.execute("UPDATE deliveries SET state = 'parked' WHERE entity = 'lead'")
    lost = await studio.call("DELETE", f"/{made['id']}")
    assert lost == {"id": made["id"], "links": 2, "deliveries": 1}
    assert await owner.fetchval("SELECT count(*) FROM crm_links") == 0
    await studio.call("GET", f"/{made['id']}", status=404)


async def test_the_records_of_one_crm_are_not_taken_for_those_of_another(
    studio: Studio, stand: CrmStand
) -> None:
    made = await studio.connect(stand)
    assert made["address"] == stand.url
    await studio.add_orders(1)
    await studio.sync(1)
    async with NativeStand.open() as other:
        await other.clear()
        refused = await studio.call("PUT", f"/{made['id']}", body_for(other), status=409)
        assert refused["code"] == "connection_has_links"
        assert (await studio.call("GET", f"/{made['id']}"))["address"] == stand.url
        moved = await studio.call("PUT", f"/{made['id']}", body_for(other, same_crm=True))
        assert moved["address"] == other.url


async def test_a_connection_is_put_by_its_name(studio: Studio, stand: CrmStand) -> None:
    first = await studio.call("PUT", "", body_for(stand), status=201)
    assert (await studio.call("PUT", "", {"name": "native", "settings": first["settings"]}))["id"] == first[
        "id"
    ]
    assert (await studio.call("PUT", "", {"secrets": {"api_key": "k"}}))["id"] == first["id"]
    assert (await studio.call("POST", "/check"))["ok"] is False  # the only one there is
    elsewhere = {**first["settings"], "tenant_id": "studio-2"}
    await studio.call("PUT", "", body_for(stand, name="second", settings=elsewhere), status=201)
    for method, path, body in (("PUT", "", {"secrets": {"api_key": "k"}}), ("POST", "/check", None)):
        assert (await studio.call(method, path, body, status=409))["code"] == "connection_ambiguous"
    taken = await studio.call("PUT", f"/{first['id']}", {"name": "second"}, status=409)
    assert taken["code"] == "connection_name_taken"
    kind = await studio.call("PUT", f"/{first['id']}", {"kind": "amocrm"}, status=409)
    assert kind["code"] == "connection_kind_fixed"
    reserved = await studio.call("PUT", "", body_for(stand, name="default"), status=422)
    assert reserved["code"] == "connection_name_reserved"


@pytest.mark.parametrize("stand", ["amocrm"], indirect=True)
async def test_what_works_once_is_not_spent_on_a_check(studio: Studio, stand: AmoStand) -> None:
    body = {
        "kind": "amocrm",
        "settings": {"base_url": stand.url, "oauth": {"client_id": "c", "redirect_uri": "https://x.example"}},
        "secrets": {"oauth.client_secret": "s", "oauth.code": "once"},
    }
    refused = await studio.call("POST", "/check", body, status=422)
    assert refused["code"] == "check_needs_saving"
    assert stand.journal.entries == []


async def test_who_changed_what_stands_in_the_audit_without_secrets(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await studio.call("PUT", f"/{made['id']}", {"name": "renamed"})
    await studio.call("DELETE", f"/{made['id']}")
    rows = await owner.fetch("SELECT action, details::text FROM audit ORDER BY id")
    assert [row["action"].removeprefix("crm_connection.") for row in rows] == [
        "created", "switched", "changed", "deleted",
    ]  # fmt: skip
    assert stand.secret not in str([row["details"] for row in rows])


class TestTheConnectionOfTheSettings:
    @pytest.fixture
    def api(self, database: Database, tmp_path: Path, stand: CrmStand) -> Any:
        given = stand.settings()
        return build_api(
            database, data_dir=tmp_path, crm_api_url=given["base_url"], crm_api_key=given["api_key"]
        )

    async def test_it_serves_every_tenant_as_before(self, studio: Studio, stand: CrmStand) -> None:
        [shown] = (await studio.call("GET"))["items"]
        assert (shown["origin"], shown["mode"], shown["announce_from"]) == ("settings", "live", None)
        await studio.add_orders(1, created_at="2001-01-01T00:00:00Z")
        await studio.sync(1)
        assert len(await self.leads(stand, studio)) == 1

    async def test_a_tenant_stops_it_for_itself_but_cannot_change_it(
        self, studio: Studio, stand: CrmStand
    ) -> None:
        [shown] = (await studio.call("GET"))["items"]
        for method, body in (("PUT", {"name": "mine"}), ("DELETE", None)):
            refused = await studio.call(method, f"/{shown['id']}", body, status=409)
            assert refused["code"] == "connection_of_settings"
        await studio.switch(shown, "paused")
        await studio.add_orders(1)
        await studio.sync(1)
        assert await self.leads(stand, studio) == []

    async def leads(self, stand: CrmStand, studio: Studio) -> list[Row]:
        assert isinstance(stand, NativeStand)
        return await stand.records(tenant=studio.tenant_id)


async def test_what_waited_for_the_end_of_a_pause_has_its_push_at_once(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    made = await studio.connect(stand)
    await studio.switch(made, "paused")
    await studio.add_orders(1)
    await owner.execute("DELETE FROM procrastinate_jobs")  # a worker found the connection paused
    await studio.switch(made, "live")
    pushes = (
        "SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'connection_id' = $1 AND scheduled_at IS NULL"
    )
    assert await owner.fetchval(pushes, made["id"]) == 1


@pytest.mark.parametrize("stand", sorted(STANDS), indirect=True)
async def test_each_crm_is_connected_once(studio: Studio, stand: CrmStand) -> None:
    """By any name, scheme or spelling of its address; with another mark for its records it is another place."""
    await studio.connect(stand, live=False)
    again = body_for(stand, name="again")
    refused = await studio.call("PUT", "", again, status=409)
    assert refused["code"] == "crm_connected_already"
    assert f"«{stand.kind}»" in refused["detail"]
    mark = {"native": "tenant_id", "bitrix24": "originator"}.get(stand.kind, "key_prefix")
    again["settings"] = {**again["settings"], mark: "TWO"}
    other = await studio.call("PUT", "", again, status=201)
    back = await studio.call("PUT", f"/{other['id']}", {"settings": body_for(stand)["settings"]}, status=409)
    assert back["code"] == "crm_connected_already"
    await studio.call("PUT", f"/{other['id']}", {"name": "renamed"})


async def test_the_crm_of_the_settings_is_not_connected_again(
    stand: CrmStand, database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    api = build_api(
        database, data_dir=tmp_path, crm_api_url=stand.url + "/", crm_api_key=SecretStr(stand.secret)
    )
    studio = Studio(api, owner)
    body = body_for(stand)
    del body["settings"]["tenant_id"]
    refused = await studio.call("PUT", "", body, status=409)
    assert refused["code"] == "crm_connected_already"
    await studio.call("PUT", "", body_for(stand), status=201)  # another tenant of that CRM


async def test_two_at_once_connect_a_crm_once(studio: Studio, stand: CrmStand) -> None:
    async with studio.api.admin(studio.tenant_id) as client:
        answers = await asyncio.gather(
            *(
                client.put("/api/v1/crm/connection", json=body_for(stand, name=f"number {number}"))
                for number in range(4)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "crm_connected_already"}


@pytest.mark.parametrize("asked", ["check", "save"])
async def test_a_good_check_ends_the_pause_and_the_problem(
    studio: Studio, stand: CrmStand, owner: asyncpg.Connection, asked: str
) -> None:
    """Though nothing waits that could try whether the CRM answers again."""
    made = await studio.connect(stand)
    await owner.execute(
        "INSERT INTO crm_health (tenant_id, connection_id, ok, code, failures, opened_at, openings, paused_until) "
        "VALUES ('studio', $1, false, 'auth_expired', 1, now(), 1, now() + interval '1 hour')",
        made["id"],
    )
    await owner.execute(
        "INSERT INTO crm_problems (tenant_id, connection_id, code, subject) "
        "VALUES ('studio', $1, 'auth_expired', 'connection')",
        made["id"],
    )
    stand.bad_day("fails_before_acting")
    assert (await studio.call("POST", f"/{made['id']}/check"))["ok"] is False
    assert await owner.fetchval("SELECT closed_at IS NULL FROM crm_problems")
    stand.faults.clear()
    if asked == "check":
        assert (await studio.call("POST", f"/{made['id']}/check"))["ok"] is True
    else:
        await studio.call("PUT", f"/{made['id']}", {"secrets": body_for(stand)["secrets"]})
    health = await owner.fetchrow("SELECT ok, code, failures, opened_at, paused_until FROM crm_health")
    assert dict(health) == {
        "ok": True, "code": None, "failures": 0, "opened_at": None, "paused_until": None,
    }  # fmt: skip
    assert await owner.fetchval("SELECT closed_at IS NOT NULL FROM crm_problems")
    told = await owner.fetch("SELECT data FROM events WHERE type = 'crm_connection.changed'")
    assert [json.loads(row["data"])["answers"] for row in told] == [True]
