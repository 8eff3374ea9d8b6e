"""Kwork's categories: read once a day along with a sync, for all processes; what happens when they cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.core.database import Database
from app.core.settings import Settings
from app.domain.categories import UnknownCategory
from app.domain.kwork import Category
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.marketplaces.kwork.rubricator import captured_categories
from app.services.kwork_client import KworkClients
from app.services.read_categories import LOOK_SECONDS, Categories
from app.services.refresh_categories import RefreshCategories
from tests.stand import Stand
from tests.sync_bed import SyncBed

PAGE = "/get_categories"
NEW = (9001, "Квантовые вычисления", "quantum")


class Clock:
    """A process's own clock, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def clients_at(stand: Stand, *, key: bool = False) -> KworkClients:
    settings = Settings(
        _env_file=None,
        kwork_web_url=stand.web,
        kwork_api_url=stand.api,
        kwork_requests_per_second=0,
        kwork_mobile_key=stand.mobile_key if key else None,
    )
    return KworkClients(settings, KworkBrowser(settings), None)


@pytest.fixture
def refresh(kwork_stand: Stand, database: Database) -> RefreshCategories:
    """Signed out, without a mobile key."""
    return RefreshCategories(database, clients_at(kwork_stand).signed_out)


async def hours_pass(owner: asyncpg.Connection, hours: float) -> None:
    await owner.execute(
        "UPDATE market_reads SET started_at = started_at - make_interval(secs => $1 * 3600), "
        "finished_at = finished_at - make_interval(secs => $1 * 3600)",
        hours,
    )


def asked(stand: Stand) -> int:
    return len(stand.journal(path=PAGE))


@pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")
async def test_a_sync_reads_them_once_a_day(sync_bed: SyncBed, owner: asyncpg.Connection) -> None:
    stand = sync_bed.stand
    first = await sync_bed.run()
    assert (first.counts["categories_read"], first.counts["categories_new"]) == (61, 61)
    await sync_bed.run("project")
    assert asked(stand) == 1
    await hours_pass(owner, 25)
    stand.add_category(*NEW, parent_id=11)
    again = await sync_bed.run("project")
    assert (again.counts["categories_read"], again.counts["categories_new"]) == (62, 1)
    assert asked(stand) == 2


async def test_a_new_category_is_known_in_every_process_without_a_restart(
    refresh: RefreshCategories, kwork_stand: Stand, database: Database
) -> None:
    clock = Clock()
    processes = [Categories(database, now=clock), Categories(database, now=clock)]
    for process in processes:
        with pytest.raises(UnknownCategory):
            (await process.tree()).find("quantum")
    kwork_stand.add_category(*NEW, parent_id=11)
    await refresh.if_due()
    clock.seconds = LOOK_SECONDS
    for process in processes:
        tree = await process.tree()
        assert tree.find("quantum") == (9001,)
        assert 9001 in tree.find("programming")
        with pytest.raises(UnknownCategory) as unknown:
            tree.find("quantun")
        assert "quantum" in unknown.value.nearest
        assert await process.tree() is tree, "built once"


async def test_of_several_processes_one_reads(kwork_stand: Stand, database: Database) -> None:
    clients = clients_at(kwork_stand)
    several = [RefreshCategories(database, clients.signed_out) for _ in range(4)]
    found = await asyncio.gather(*(one.if_due() for one in several))
    assert sorted(one.read for one in found) == [0, 0, 0, 61]
    assert asked(kwork_stand) == 1


async def test_the_first_start_reads_them_and_later_starts_do_not(
    refresh: RefreshCategories, kwork_stand: Stand, owner: asyncpg.Connection
) -> None:
    assert (await refresh.if_never_read()).read == 61
    await hours_pass(owner, 24 * 30)
    assert (await refresh.if_never_read()).read == 0
    assert asked(kwork_stand) == 1


async def test_while_kwork_does_not_answer_the_captured_ones_serve_and_it_is_asked_seldom(
    refresh: RefreshCategories, kwork_stand: Stand, database: Database, owner: asyncpg.Connection
) -> None:
    kwork_stand.fault("maintenance", surface="web")
    assert (await refresh.if_due()).read == 0
    attempts = len(kwork_stand.journal(surface="web"))
    assert attempts > 0
    assert (await refresh.if_due()).read == 0
    assert len(kwork_stand.journal(surface="web")) == attempts
    assert (await Categories(database).tree()).find("web-development")
    kwork_stand.clear_faults()
    await hours_pass(owner, 1)
    assert (await refresh.if_due()).read == 61


async def test_a_tree_that_drifted_on_the_web_is_read_from_the_mobile_surface_and_slugs_stay(
    kwork_stand: Stand, database: Database
) -> None:
    kwork_stand.add_category(*NEW, parent_id=11)
    kwork_stand.fault("field_renamed", surface="web", path=PAGE, field="cats", to="branches")
    found = await RefreshCategories(database, clients_at(kwork_stand, key=True).signed_out).if_due()
    assert (found.read, found.drift) == (62, None)
    tree = await Categories(database).tree()
    assert 37 in tree.find("web-development")
    assert tree.find("Квантовые вычисления") == (9001,)


@pytest.mark.parametrize(
    "drift",
    [
        {"kind": "field_renamed", "field": "cats"},
        {"kind": "field_dropped", "field": "name"},
        {"kind": "type_changed", "field": "CATID"},
        {"kind": "field_dropped", "field": "data"},
    ],
)
async def test_a_drifted_tree_is_not_believed(
    refresh: RefreshCategories,
    kwork_stand: Stand,
    database: Database,
    owner: asyncpg.Connection,
    drift: dict[str, str],
) -> None:
    await refresh.if_due()
    await hours_pass(owner, 25)
    before = await owner.fetch("SELECT * FROM kwork_categories ORDER BY id")
    kwork_stand.fault(surface="web", path=PAGE, **drift)
    found = await refresh.if_due()
    assert found.read == 0
    assert found.drift
    assert await owner.fetch("SELECT * FROM kwork_categories ORDER BY id") == before
    assert (await Categories(database).tree()).find("web-development")


async def test_slugs_that_vanished_are_kept(
    refresh: RefreshCategories, kwork_stand: Stand, database: Database, owner: asyncpg.Connection
) -> None:
    kwork_stand.add_category(*NEW, parent_id=11)
    await refresh.if_due()
    await hours_pass(owner, 25)
    kwork_stand.fault("field_dropped", surface="web", path=PAGE, field="seo")
    assert (await refresh.if_due()).read == 62
    assert (await Categories(database).tree()).find("quantum") == (9001,)


class Half:
    """A Kwork that knows only a part of its categories."""

    def __init__(self, number: int) -> None:
        self._found = captured_categories()[:number]

    async def categories(self) -> tuple[Category, ...]:
        return self._found

    @asynccontextmanager
    async def signed_out(self) -> AsyncIterator[Half]:
        yield self


@pytest.mark.parametrize(("number", "believed"), [(31, True), (30, False)])
async def test_a_tree_that_lacks_most_of_the_known_categories_is_drift_not_a_deletion(
    database: Database, owner: asyncpg.Connection, number: int, believed: bool
) -> None:
    found = await RefreshCategories(database, Half(number).signed_out).if_due()
    assert (found.read, found.drift) == ((number, None) if believed else (0, "categories"))
    assert await owner.fetchval("SELECT count(*) FROM kwork_categories") == found.read
    assert len((await Categories(database).tree()).find("design")) == 12, "none of the captured ones is gone"
