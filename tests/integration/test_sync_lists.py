"""Lists in sync runs: what counts as new, and what may be taken for gone."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from app.core.database import Database
from app.domain.kwork import (
    Gig,
    GigState,
    Order,
    OrderStatus,
    Page,
    Person,
    ProjectStatus,
    Surface,
)
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.repositories.orders import Orders
from app.repositories.runs import Runs
from app.services.read_exchange import ReadExchange
from app.services.run_scope import RunScope
from app.services.sync_account import SyncAccount
from tests.accounts import TENANT
from tests.api import stock
from tests.exchange import Exchange, project
from tests.sync_bed import SyncBed, begun

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


async def texts(bed: SyncBed, username: str) -> list[str]:
    return [message["text"] for message in (await bed.get(f"chat/{username}/messages"))["items"]]


@needs_chromium
async def test_messages_are_read_once_and_again_only_when_there_is_a_newer_one(sync_bed: SyncBed) -> None:
    await sync_bed.run("dialog")
    mark = sync_bed.stand.mark()
    await sync_bed.run("dialog")
    assert sync_bed.asked("inboxes", since=mark) == 0
    sync_bed.stand.add_message("Есть вопрос", from_id=sync_bed.stand.orders()[0]["payer_id"])
    await sync_bed.run("dialog")
    assert sync_bed.asked("inboxes", since=mark) == 1


@needs_chromium
@pytest.mark.parametrize("seconds_later", [0, -3600])
async def test_a_message_of_the_same_second_or_of_a_slower_clock_is_not_missed(
    sync_bed: SyncBed, seconds_later: int
) -> None:
    """Kwork tells whole seconds of its own clock; ours may be ahead of it."""
    author = sync_bed.stand.add_user()["user_id"]
    at = sync_bed.stand.now() + seconds_later
    first = sync_bed.stand.add_message("первое", from_id=author, at=at)
    await sync_bed.run("dialog")
    sync_bed.stand.add_message("второе", from_id=author, at=first["at"])
    await sync_bed.run("dialog")
    assert {"первое", "второе"} <= set(await texts(sync_bed, str(author)))


def gig(number: int) -> Gig:
    return Gig(number, f"Кворк {number}", GigState.ACTIVE, 41, 50000, "RUB", "https://kwork.ru/gig")


class GigsOnly:
    """A Kwork with these gigs and ``left_out`` more that cannot be read."""

    def __init__(self, *numbers: int, left_out: int) -> None:
        items = tuple(gig(number) for number in numbers)
        self._page = Page(items, 1, 1, len(items), Surface.WEB, left_out=left_out)

    async def gigs(self) -> Page[Gig]:
        return self._page


@pytest.mark.parametrize(("left_out", "gone"), [(0, {501}), (1, set())])
async def test_a_gig_is_gone_only_when_every_gig_could_be_read(
    database: Database, owner: asyncpg.Connection, left_out: int, gone: set[int]
) -> None:
    shop = await stock(owner, TENANT, 501)
    async with database.tenant(TENANT) as scope:
        lease = await begun(scope, shop.account_id)
    run = RunScope(TENANT, shop.account_id, lease, None)
    await SyncAccount(database).gigs(GigsOnly(502, left_out=left_out), run)  # type: ignore[arg-type]
    rows = await owner.fetch("SELECT id FROM gigs WHERE missing_since IS NOT NULL")
    assert {row["id"] for row in rows} == gone


async def missing(owner: asyncpg.Connection) -> set[int]:
    rows = await owner.fetch("SELECT id FROM market_projects WHERE missing_since IS NOT NULL")
    return {row["id"] for row in rows}


@pytest.mark.parametrize(
    ("left_out", "tells_last", "gone"), [(0, True, {1}), (1, True, set()), (0, False, set())]
)
async def test_a_project_is_gone_only_when_the_whole_exchange_could_be_read(
    database: Database, owner: asyncpg.Connection, left_out: int, tells_last: bool, gone: set[int]
) -> None:
    await ReadExchange(database, Exchange((project(3), project(2)), (project(1),)).signed_out).read(full=True)
    later = Exchange((project(3),), (project(2),), left_out=left_out, tells_last=tells_last)
    await ReadExchange(database, later.signed_out).read(full=True)
    assert await missing(owner) == gone


async def test_pages_without_a_known_end_are_read_until_one_only_repeats(database: Database) -> None:
    endless = Exchange((project(3),), (project(2),), tells_last=False)
    counts = await ReadExchange(database, endless.signed_out).read(full=True)
    assert (counts.new, endless.asked) == (2, [1, 2, 3])


async def test_a_project_read_from_its_card_keeps_what_the_card_does_not_tell(
    database: Database, owner: asyncpg.Connection
) -> None:
    whole = project(5)
    card = replace(
        whole,
        status=ProjectStatus.ACTIVE, category_id=None, created_at=None, active_at=None, expires_at=None,
        buyer=Person(None, "buyer"), offers=None,
    )  # fmt: skip
    await ReadExchange(database, Exchange((whole,)).signed_out).read(full=True)
    before = await owner.fetchrow("SELECT * FROM market_projects")
    counts = await ReadExchange(database, Exchange((card,)).signed_out).read(full=True)
    assert (counts.changed, counts.written) == (0, 0)
    priced = replace(card, price_kopecks=200000)
    counts = await ReadExchange(database, Exchange((priced,)).signed_out).read(full=True)
    assert (counts.changed, counts.written) == (1, 1)
    after = await owner.fetchrow("SELECT * FROM market_projects")
    assert before is not None and after is not None
    assert {name for name in before.keys() if before[name] != after[name]} == {  # noqa: SIM118 - a record
        "price_kopecks",
        "details",
        "content_hash",
        "changed_at",
        "revision",
    }
    stopped = replace(whole, status=ProjectStatus.STOPPED)
    await ReadExchange(database, Exchange((stopped,)).signed_out).read(full=True)
    await ReadExchange(database, Exchange((card,)).signed_out).read(full=True)
    assert await owner.fetchval("SELECT status FROM market_projects") == "active", "it is listed again"


async def test_the_web_does_not_tell_whether_a_running_order_was_taken_so_what_is_known_stays(
    database: Database, owner: asyncpg.Connection
) -> None:
    shop = await stock(owner, TENANT, 501)
    order = Order(
        502, "Бот", OrderStatus.NEW, 100000, "RUB", Person(7, "buyer"), "https://kwork.ru/track?id=502"
    )
    seen = []
    for surface, status in (
        (Surface.MOBILE, OrderStatus.NEW),
        (Surface.WEB, OrderStatus.IN_PROGRESS),
        (Surface.MOBILE, OrderStatus.IN_PROGRESS),
        (Surface.WEB, OrderStatus.UNKNOWN),
        (Surface.WEB, OrderStatus.DONE),
    ):
        async with database.tenant(TENANT) as scope:
            await Orders(scope).save(shop.account_id, [replace(order, status=status)], surface)
        seen.append(await owner.fetchval("SELECT status FROM orders WHERE id = 502"))
    assert seen == ["new", "new", "in_progress", "in_progress", "done"]


@needs_chromium
async def test_a_run_reads_the_accounts_offers_where_kwork_tells_them(
    sync_bed: SyncBed, owner: asyncpg.Connection
) -> None:
    run = await sync_bed.run("offer")
    assert (run.state, run.counts["offers_read"], run.counts["offers_new"]) == ("done", 3, 3)
    assert await owner.fetchval("SELECT count(*) FROM offers WHERE status IN ('new', 'viewed')") == 3


@needs_chromium
async def test_an_account_without_the_mobile_surface_is_synced_without_its_offers(
    web_sync_bed: SyncBed,
) -> None:
    run = await web_sync_bed.run("order", "offer")
    assert (run.state, run.counts["offers_unavailable"]) == ("done", 1)


async def test_a_run_begins_after_the_one_before_it_ended_although_its_transaction_did_not(
    database: Database, owner: asyncpg.Connection
) -> None:
    shop = await stock(owner, TENANT, 501)
    async with database.tenant(TENANT) as scope:
        lease = await begun(scope, shop.account_id)
    async with database.tenant(TENANT) as late:
        await late.connection.fetchval("SELECT now()")
        async with database.tenant(TENANT) as scope:
            await Runs(scope).finish(lease, "done", {})
        run, is_new = await Runs(late).open(stream="orders", account_id=shop.account_id, request={})
    assert is_new
    finished = await owner.fetchval("SELECT finished_at FROM sync_runs WHERE id = $1", lease.run_id)
    assert run.started_at > finished
