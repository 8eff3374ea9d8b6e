"""News of an account come in by themselves: by looking, and by Kwork's websocket with every gap closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.core.database import Database
from app.domain.errors import LayoutChanged, Unavailable
from app.domain.live import Hint
from app.marketplaces.kwork.live import listening
from app.repositories.leases import HeldLeases
from app.services.follow_accounts import FollowAccounts, Following
from app.services.read_news import ReadNews
from tests.accounts import TENANT
from tests.clockwork import until
from tests.news_bed import News


async def test_a_message_is_told_without_anybody_asking(news: News) -> None:
    await news.followed()
    assert {event.type for event in await news.told()} == {"account.state_changed"}
    news.stand.add_message("Здравствуйте, вы свободны?")
    await news.arrives("Здравствуйте, вы свободны?")
    assert (await news.told("message.received"))[0].account_id == news.account_id
    assert news.clock.time == 0, "no time had to pass"


async def test_a_hint_costs_a_few_readings_not_a_sync(news: News) -> None:
    await news.followed()
    news.stand.add_message("Раз")
    await news.arrives("Раз")
    asked = news.asked()
    assert set(asked) <= {"/dialogs", "/inboxes"}
    assert len(asked) <= 6


async def test_what_a_push_says_is_never_stored(news: News) -> None:
    """A liar on the channel: it only makes the service look, and there is nothing."""

    async def lie(_channel: str) -> AsyncIterator[Hint]:
        yield Hint(dialogs=True, orders=True, user_ids=frozenset({666}), usernames=frozenset({"nobody"}))
        await asyncio.Event().wait()

    class Lying:
        def __init__(self, channel: str) -> None:
            self._hints = lie(channel)

        async def __aenter__(self) -> AsyncIterator[Hint]:
            return self._hints

        async def __aexit__(self, *_: object) -> None:
            await self._hints.aclose()  # type: ignore[attr-defined]

    how = Following(Lying, news.clock.sleep, news.clock.now)
    follow = FollowAccounts(news.database, ReadNews(news.database, news.accounts.use_cases), how)
    news.followers.append(follow)
    await follow.sweep()
    await until(news.backlog_is_read)
    await until(news.is_at_rest)
    assert await news.told("message.received", "order.created") == []


async def test_after_a_cut_the_gap_is_closed_by_a_reading(news: News) -> None:
    await news.followed()
    news.stand.fault("drop", surface="notice", when="before", count=1)
    assert news.stand.cut_listeners() == 1
    news.stand.add_message("Пока никто не слушал")
    first = await news.clock.pass_sleep(8, 12)  # the first try, which is refused
    await until(lambda: len(news.stand.journal(surface="notice")) == 1)
    assert "Пока никто не слушал" not in await news.messages()
    second = await news.clock.pass_sleep(16, 24)
    assert second > first
    await news.arrives("Пока никто не слушал")
    news.stand.add_message("И снова слышно")
    await news.arrives("И снова слышно")
    assert len(news.stand.listeners()) == 1


async def test_a_channel_that_is_silent_is_made_up_for_by_looking(news: News) -> None:
    await news.followed()
    news.stand.fault("silence", surface="notice")
    news.stand.add_message("Тишина")
    await news.poll()
    await news.arrives("Тишина")


async def test_garbage_on_the_channel_changes_nothing(news: News) -> None:
    await news.followed()
    news.stand.fault("garbage_frame", surface="notice", count=12)
    for number in range(12):
        news.stand.add_message(f"Проглочено {number}")
    news.stand.add_message("Понятное")
    await news.arrives("Понятное")
    assert len(news.stand.listeners()) == 1
    await news.poll()
    for number in range(12):
        await news.arrives(f"Проглочено {number}")


async def test_a_new_order_and_its_moves_are_told(news: News) -> None:
    await news.followed()
    order = news.stand.add_order(title="Бот", price=7000)
    await news.tells("order.created", f"order-{order['id']}")
    news.stand.advance_order(order["id"], "take")
    await news.tells("order.status_changed", f"order-{order['id']}")


async def test_without_a_websocket_looking_alone_brings_the_news(news: News) -> None:
    await news.followed(live=False)
    assert news.stand.listeners() == []
    news.stand.add_message("По расписанию")
    order = news.stand.orders(kind="active")[0]["id"]
    news.stand.advance_order(order, "hand_in")
    await news.poll()
    await news.arrives("По расписанию")
    await news.tells("order.status_changed", f"order-{order}")


async def test_an_old_order_that_changes_far_down_the_list_is_found(news: News) -> None:
    await news.followed(live=False)
    oldest = min(news.stand.orders(kind="active"), key=lambda order: order["created"])["id"]
    news.stand.advance_order(oldest, "cancel_by_buyer")
    await news.poll()
    await news.tells("order.status_changed", f"order-{oldest}")


async def test_one_process_follows_an_account_and_another_takes_over_when_it_dies(
    news: News, owner: asyncpg.Connection
) -> None:
    await news.followed()
    second = news.process()
    await second.sweep()
    assert len(news.stand.listeners()) == 1
    for task in news.followers[0]._followers.values():  # as `kill -9`: nothing is given back
        task.cancel()
    await until(lambda: news.stand.listeners() == [])
    await second.sweep()
    assert news.stand.listeners() == []
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    await news.taken_up(second)


async def test_a_process_that_lost_its_lease_lets_go(news: News, owner: asyncpg.Connection) -> None:
    await news.followed()
    await owner.execute("UPDATE sync_leases SET expires_at = now() WHERE subject LIKE 'live/%'")
    await news.followers[0].sweep()
    await until(lambda: len(news.stand.listeners()) == 1)
    assert await owner.fetchval("SELECT epoch FROM sync_leases WHERE subject LIKE 'live/%'") == 2


async def test_many_leases_are_kept_by_one_statement_and_nobody_elses(
    database: Database, owner: asyncpg.Connection
) -> None:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ('a', 'a'), ('b', 'b')")
    await owner.execute(
        "INSERT INTO sync_leases (tenant_id, subject, holder, epoch, expires_at) VALUES "
        "('a', 'live/1', 'mine', 1, now() + interval '5 s'), ('b', 'live/2', 'mine', 1, now() + interval '5 s'), "
        "('b', 'live/3', 'mine', 1, now()), ('b', 'live/4', 'other', 1, now() + interval '5 s')"
    )
    async with database.shared() as connection:
        assert await HeldLeases(connection, "mine").keep(60) == {"live/1", "live/2"}
    kept = await owner.fetch("SELECT subject FROM sync_leases WHERE expires_at > now() + interval '30 s'")
    assert {row["subject"] for row in kept} == {"live/1", "live/2"}


async def test_an_account_that_is_paused_is_left_alone(news: News) -> None:
    await news.followed()
    await news.accounts.use_cases.pause(TENANT, news.account_id)
    await news.followers[0].sweep()
    await until(lambda: news.stand.listeners() == [])
    news.stand.clear_journal()
    news.stand.add_message("В паузе")
    await news.followers[0].sweep()
    await news.poll()
    assert await news.is_at_rest()
    assert news.stand.journal(surface="api") == []
    await news.accounts.use_cases.resume(TENANT, news.account_id)
    await news.taken_up(news.followers[0])
    await news.arrives("В паузе")


async def test_while_the_account_is_synced_nobody_looks_beside_it(news: News, database: Database) -> None:
    await news.followed(live=False)
    async with database.tenant(TENANT) as scope:
        await scope.connection.execute(
            "INSERT INTO sync_leases (tenant_id, subject, holder, epoch, expires_at) "
            "VALUES ($1, $2, 'sync', 1, now() + interval '1 hour')",
            TENANT,
            f"{news.account_id}/orders",
        )
    await news.poll()
    await until(news.is_at_rest)
    assert news.asked() == []


async def test_the_channel_is_a_secret_in_logs_and_errors(
    news: News, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await news.followed()
        channel = news.stand.listeners()[0]["path"].rpartition("/")[2]
        news.stand.fault("drop", surface="notice", when="before", count=2)
        news.stand.cut_listeners()
        await news.clock.pass_sleep(8, 12)
        await news.clock.pass_sleep(16, 24)
        await news.clock.pass_sleep(32, 48)
        await until(lambda: len(news.stand.listeners()) == 1)
        with pytest.raises(Unavailable) as refused:
            async with listening("ws://127.0.0.1:9/ws", channel):
                pass
    assert channel.startswith("cnl_")
    assert channel not in caplog.text
    assert channel not in repr(refused.value)
    assert refused.value.__cause__ is None


async def test_a_channel_of_a_strange_name_is_not_opened() -> None:
    for name in ("", "../x", "a/b", "a?b", "a b", "x" * 500):
        with pytest.raises(LayoutChanged):
            async with listening("ws://127.0.0.1:9/ws", name):
                pass
