"""Webhooks against a receiver of our own: signed, in order, again after failures, never lost, one worker each."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.crypto import SecretBox, new_key
from app.core.database import Database
from app.domain.access import Caller, Role
from app.domain.webhooks import WAITS, Webhook
from app.outside.addresses import AddressGuard
from app.repositories.events import Events
from app.repositories.webhooks import Webhooks
from app.services.deliver_webhooks import DeliverWebhooks
from app.services.manage_webhooks import ManageWebhooks
from app.services.webhook_secrets import WebhookSecrets
from tests.receiver import Arrival, Receiver, receiver

TENANT = "studio"
CALLER = Caller(TENANT, "user-1", Role.ADMIN, "admin@example.com", "jti", 0)
KEYS = new_key("test")


class Post:
    """A tenant's webhooks with their worker, and a clock that is moved instead of waited for."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self.database, self.owner = database, owner
        self.secrets = WebhookSecrets(SecretBox(KEYS))
        self.guard = AddressGuard(allowed=["127.0.0.1"])
        self.deliver = self.worker()
        self.manage = ManageWebhooks(database, self.secrets, self.guard, self.deliver)

    def worker(self, **settings: float) -> DeliverWebhooks:
        """A worker as another process would have it."""
        return DeliverWebhooks(self.database, self.secrets, self.guard, **settings)

    async def add(self, to: Receiver, *types: str) -> tuple[Webhook, str]:
        made = await self.manage.add(CALLER, url=to.url, description="", types=list(types), active=True)
        return made.webhook, made.secret

    async def happen(self, *subjects: str, type_: str = "write.settled") -> None:
        async with self.database.tenant(TENANT) as scope:
            for subject in subjects:
                await Events(scope).add(type_, subject, {"text": "«Привет»"})

    async def work(self) -> None:
        """Everything that is due now."""
        await self.deliver.start(TENANT)
        await self.deliver.settled()

    async def pass_time(self, seconds: float) -> None:
        for statement in (
            "UPDATE webhooks SET retry_at = retry_at - make_interval(secs => $1), "
            "failing_since = failing_since - make_interval(secs => $1)",
            "UPDATE webhook_deliveries SET due_at = due_at - make_interval(secs => $1)",
            "UPDATE webhook_secrets SET ends_at = ends_at - make_interval(secs => $1)",
            "UPDATE sync_leases SET expires_at = expires_at - make_interval(secs => $1)",
        ):
            await self.owner.execute(statement, float(seconds))

    async def through_waits(self, number: int) -> None:
        """So many more rounds, each after the longest wait there is."""
        for _ in range(number):
            await self.pass_time(max(WAITS) * 1.2)
            await self.work()

    async def webhook(self, webhook: Webhook) -> Webhook:
        return await self.manage.get(TENANT, webhook.id)

    async def log(self, webhook: Webhook) -> list[Any]:
        found, _ = await self.manage.deliveries(TENANT, webhook.id, None, page=1, limit=200)
        return list(reversed(found))

    async def audit(self) -> list[tuple[str, str]]:
        rows = await self.owner.fetch("SELECT actor, action FROM audit ORDER BY id")
        return [(row["actor"], row["action"]) for row in rows]


@pytest.fixture
async def post(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Post]:
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1), ('other', 'x')", TENANT)
    made = Post(database, owner)
    yield made
    await made.deliver.stop()


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


def failing(arrival: Arrival) -> tuple[int, str]:
    return 500, "не сейчас"


async def test_events_arrive_in_order_signed_as_the_specification_says(post: Post, shop: Receiver) -> None:
    await post.happen("before there was a webhook")
    webhook, secret = await post.add(shop)
    await post.happen("first", "second", "third")
    await post.work()
    assert shop.subjects() == ["first", "second", "third"]
    assert all(arrival.signed_by(secret) for arrival in shop.arrivals)
    assert len({arrival.id for arrival in shop.arrivals}) == 3
    one = shop.arrivals[0]
    assert (one.path, one.headers["content-type"]) == ("/hook", "application/json")
    assert one.event | {"timestamp": ""} == {
        "id": 2, "type": "write.settled", "timestamp": "", "subject": "first", "account_id": None,
        "data": {"text": "«Привет»"},
    }  # fmt: skip
    assert [delivery.state for delivery in await post.log(webhook)] == ["delivered"] * 3


async def test_a_signature_does_not_fit_another_body_secret_or_moment(post: Post, shop: Receiver) -> None:
    _, secret = await post.add(shop)
    await post.happen("x")
    await post.work()
    [arrival] = shop.arrivals
    assert arrival.signed_by(secret)
    assert not Arrival("", arrival.headers, arrival.body + b" ").signed_by(secret)
    assert not Arrival("", arrival.headers | {"webhook-timestamp": "1"}, arrival.body).signed_by(secret)
    assert not Arrival("", arrival.headers | {"webhook-id": "msg_2"}, arrival.body).signed_by(secret)
    assert not arrival.signed_by("whsec_" + base64.b64encode(b"x" * 32).decode())


async def test_only_wanted_types_are_sent_and_the_others_are_not_kept_waiting(
    post: Post, shop: Receiver
) -> None:
    webhook, _ = await post.add(shop, "order.*")
    await post.happen("no")
    await post.happen("yes", type_="order.created")
    await post.work()
    assert shop.subjects() == ["yes"]
    async with post.database.tenant(TENANT) as scope:
        assert await Webhooks(scope).with_work() == []
    assert (await post.webhook(webhook)).waiting == 0


async def test_another_tenants_events_never_arrive(post: Post, shop: Receiver) -> None:
    await post.add(shop)
    async with post.database.tenant("other") as scope:
        await Events(scope).add("write.settled", "theirs", {})
    await post.happen("mine")
    await post.work()
    assert shop.subjects() == ["mine"]


@pytest.mark.parametrize(
    "answer",
    [(500, ""), (301, ""), (404, ""), None, b"not http at all\r\n\r\n", b"HTTP/1.1 2", (429, "")],
    ids=["500", "redirect", "404", "cut", "garbage", "half a head", "429"],
)
async def test_what_is_no_yes_is_tried_again_under_the_same_id(
    post: Post, shop: Receiver, answer: Any
) -> None:
    webhook, secret = await post.add(shop)
    shop.answer = lambda _: answer
    await post.happen("important")
    await post.work()
    [delivery] = await post.log(webhook)
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    assert delivery.error
    shop.answer = lambda _: (204, "")
    await post.work()
    assert len(shop.arrivals) == 1, "not before its time"
    await post.pass_time(6)
    await post.work()
    assert len({arrival.id for arrival in shop.arrivals}) == 1
    assert all(arrival.signed_by(secret) for arrival in shop.arrivals)
    [delivery] = await post.log(webhook)
    assert (delivery.state, delivery.attempts, delivery.error) == ("delivered", 2, None)


async def test_a_receiver_that_does_not_answer_in_time_is_left(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.hold = asyncio.Event()
    await post.happen("x")
    impatient = post.worker(answer_seconds=0.2)
    await impatient.start(TENANT)
    await impatient.settled()
    [delivery] = await post.log(webhook)
    assert (delivery.state, delivery.status) == ("pending", None)
    assert delivery.error == "нет ответа за 0.2 с"


async def test_waits_grow_to_hours_and_then_the_webhook_is_switched_off_with_its_reason(
    post: Post, shop: Receiver
) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = failing
    await post.happen("x")
    await post.work()
    waits = []
    for _ in WAITS:
        row = await post.owner.fetchrow(
            "SELECT extract(epoch FROM retry_at - now())::float AS wait FROM webhooks"
        )
        waits.append(row["wait"])
        await post.pass_time(row["wait"] + 0.1)
        await post.work()
    assert len(shop.arrivals) == len(WAITS) + 1
    assert all(0.85 * planned <= met <= 1.25 * planned for planned, met in zip(WAITS, waits, strict=True))
    assert sum(waits) > 24 * 3600
    now = await post.webhook(webhook)
    assert (now.works, now.disabled_code) == (False, "failing")
    assert "суток" in (now.disabled_detail or "")
    assert ("service", "webhook.disabled") in await post.audit()
    await post.happen("y")
    await post.through_waits(2)
    assert len(shop.arrivals) == len(WAITS) + 1


async def test_gone_switches_it_off_at_once(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = lambda _: (410, "bye")
    await post.happen("x", "y")
    await post.work()
    await post.through_waits(2)
    assert len(shop.arrivals) == 1
    assert (await post.webhook(webhook)).disabled_code == "gone"


async def test_switched_on_again_it_gets_what_waited_and_what_happens_from_then_on(
    post: Post, shop: Receiver
) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = failing
    await post.happen("waited")
    await post.work()
    await post.through_waits(len(WAITS))
    assert not (await post.webhook(webhook)).works
    await post.happen("while it was off")
    shop.answer = lambda _: (204, "")
    shop.arrivals.clear()
    await _switch(post, webhook, active=True)
    await post.happen("later")
    await post.work()
    log = {delivery.event_id: delivery.state for delivery in await post.log(webhook)}
    assert shop.subjects() == ["later"]
    assert log == {1: "failed", 3: "delivered"}


async def _switch(post: Post, webhook: Webhook, *, active: bool) -> None:
    await post.manage.change(CALLER, webhook.id, url=None, description=None, types=None, active=active)


async def test_a_pause_keeps_what_was_queued_and_skips_what_happens(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = failing
    await post.happen("queued")
    await post.work()
    await _switch(post, webhook, active=False)
    await post.happen("skipped")
    await post.through_waits(1)
    assert shop.subjects() == ["queued"]
    shop.answer = lambda _: (204, "")
    await _switch(post, webhook, active=True)
    await post.work()
    assert shop.subjects() == ["queued", "queued"]


async def test_order_is_kept_while_the_first_is_tried_and_one_that_is_never_taken_blocks_none(
    post: Post, shop: Receiver
) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = lambda arrival: (400, "no") if arrival.event["subject"] == "poison" else (204, "")
    await post.happen("poison", "a", "b", "c")
    await post.work()
    await post.pass_time(7)
    await post.work()
    assert shop.subjects() == ["poison", "poison"], "the others wait behind it"
    await post.pass_time(40)
    await post.work()
    await post.pass_time(150)
    await post.work()
    assert [subject for subject in shop.subjects() if subject != "poison"] == ["a", "b", "c"]
    await post.through_waits(12)
    states = {delivery.event_id: delivery.state for delivery in await post.log(webhook)}
    assert states == {1: "failed", 2: "delivered", 3: "delivered", 4: "delivered"}
    assert shop.subjects().count("poison") == len(WAITS) + 1
    assert (await post.webhook(webhook)).works


async def test_after_an_outage_everything_arrives_soon_and_once(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = failing
    names = [f"event {number}" for number in range(20)]
    await post.happen(*names)
    await post.work()
    for wait in (7, 40, 150, 800):
        await post.pass_time(wait)
        await post.work()
    shop.answer = lambda _: (204, "")
    shop.arrivals.clear()
    await post.pass_time(2400)
    await post.work()
    assert sorted(shop.subjects()) == sorted(names)
    assert (await post.webhook(webhook)).failures == 0


async def test_a_worker_killed_between_answer_and_note_sends_it_again_and_loses_nothing(
    post: Post, shop: Receiver
) -> None:
    webhook, _ = await post.add(shop)
    await post.happen("a", "b")
    shop.hold = asyncio.Event()
    await post.deliver.start(TENANT)
    await shop.arrived(1)
    # As `kill -9` leaves it: the request went out, nothing was noted, the lease is still held.
    for task in post.deliver._working.values():
        task.cancel()
    await asyncio.gather(*post.deliver._working.values(), return_exceptions=True)
    await post.owner.execute("UPDATE sync_leases SET expires_at = now() + interval '30 seconds'")
    shop.hold.set()
    shop.hold = None
    second = post.worker()
    await second.start(TENANT)
    await second.settled()
    assert len(shop.arrivals) == 1, "the lease still holds"
    await post.pass_time(31)
    await second.start(TENANT)
    await second.settled()
    assert shop.subjects() == ["a", "a", "b"]
    assert shop.arrivals[0].id == shop.arrivals[1].id
    assert [delivery.state for delivery in await post.log(webhook)] == ["delivered", "delivered"]


async def test_ten_processes_deliver_each_event_once(post: Post, shop: Receiver) -> None:
    await post.add(shop)
    names = [str(number) for number in range(30)]
    await post.happen(*names)
    workers = [post.worker() for _ in range(10)]
    await asyncio.gather(*(worker.start(TENANT) for worker in workers))
    await asyncio.gather(*(worker.settled() for worker in workers))
    assert shop.subjects() == names


async def test_a_worker_that_slept_past_its_lease_notes_nothing(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    await post.happen("x")
    shop.hold = asyncio.Event()
    await post.deliver.start(TENANT)
    await shop.arrived(1)
    await post.owner.execute("UPDATE sync_leases SET epoch = epoch + 1")
    shop.hold.set()
    await post.deliver.settled()
    assert [delivery.state for delivery in await post.log(webhook)] == ["pending"]


async def test_during_a_rotation_both_secrets_sign_and_then_only_the_new_one(
    post: Post, shop: Receiver
) -> None:
    webhook, old = await post.add(shop)
    rotated = await post.manage.rotate(CALLER, webhook.id, keep_old_hours=2)
    assert rotated.secret != old
    await post.happen("both")
    await post.work()
    assert len(shop.arrivals[0].headers["webhook-signature"].split(" ")) == 2
    assert shop.arrivals[0].signed_by(old)
    assert shop.arrivals[0].signed_by(rotated.secret)
    await post.pass_time(2 * 3600 + 1)
    await post.happen("new")
    await post.work()
    assert not shop.arrivals[1].signed_by(old)
    assert shop.arrivals[1].signed_by(rotated.secret)
    third = await post.manage.rotate(CALLER, webhook.id, keep_old_hours=0)
    await post.happen("third")
    await post.work()
    assert shop.arrivals[2].signed_by(third.secret)
    assert not shop.arrivals[2].signed_by(rotated.secret)


async def test_at_most_two_secrets_are_alive(post: Post, shop: Receiver) -> None:
    webhook, first = await post.add(shop)
    for _ in range(3):
        last = await post.manage.rotate(CALLER, webhook.id, keep_old_hours=100)
    await post.happen("x")
    await post.work()
    assert len(shop.arrivals[0].headers["webhook-signature"].split(" ")) == 2
    assert shop.arrivals[0].signed_by(last.secret)
    assert not shop.arrivals[0].signed_by(first)


async def test_secrets_lie_sealed_and_do_not_open_in_another_row(post: Post, shop: Receiver) -> None:
    webhook, secret = await post.add(shop)
    _, _ = await post.add(shop)
    rows = await post.owner.fetch("SELECT id, sealed FROM webhook_secrets ORDER BY made_at")
    assert all(secret.encode() not in row["sealed"] for row in rows)
    assert all(base64.b64decode(secret.removeprefix("whsec_")) not in row["sealed"] for row in rows)
    await post.owner.execute(
        "UPDATE webhook_secrets SET sealed = $1 WHERE id = $2", rows[1]["sealed"], rows[0]["id"]
    )
    await post.happen("x")
    await post.work()
    assert len(shop.arrivals) == 1, "the other webhook's own secret still opens"
    [delivery] = await post.log(webhook)
    assert "секрет не расшифровывается" in delivery.error


async def test_neither_secret_nor_address_nor_signature_is_ever_logged(
    post: Post, shop: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, secret = await post.add(shop)
        shop.answer = lambda arrival: (204, "") if len(shop.arrivals) > 1 else None
        await post.happen("x")
        await post.work()
        await post.pass_time(7)
        await post.work()
    assert len(shop.arrivals) == 2
    for kept_back in (secret, shop.url, shop.arrivals[0].headers["webhook-signature"]):
        assert kept_back not in caplog.text


async def test_an_answer_is_kept_to_its_status_and_first_characters(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = lambda _: (500, "о" * 100_000)
    await post.happen("x")
    await post.work()
    [delivery] = await post.log(webhook)
    assert (delivery.status, delivery.answer) == (500, "о" * 500)
    assert (delivery.milliseconds or 0) >= 0


async def test_a_yes_with_an_endless_body_is_a_yes(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    shop.answer = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000
    await post.happen("x")
    await post.work()
    assert [delivery.state for delivery in await post.log(webhook)] == ["delivered"]


async def test_an_address_that_turned_inside_is_not_called(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    post.guard._networks.clear()
    post.guard._names.clear()
    await post.happen("x")
    await post.work()
    assert shop.arrivals == []
    [delivery] = await post.log(webhook)
    assert (delivery.state, delivery.status) == ("pending", None)
    assert "внутреннюю" in delivery.error


async def test_the_test_button_sends_at_once_even_while_it_is_off(post: Post, shop: Receiver) -> None:
    webhook, secret = await post.add(shop)
    await _switch(post, webhook, active=False)
    delivery = await post.manage.test(TENANT, webhook.id)
    assert (delivery.state, delivery.status, delivery.event_id) == ("delivered", 204, None)
    assert (shop.arrivals[0].event["type"], shop.arrivals[0].signed_by(secret)) == ("webhook.test", True)
    shop.answer = failing
    delivery = await post.manage.test(TENANT, webhook.id)
    assert (delivery.state, delivery.answer) == ("failed", "не сейчас")


async def test_a_replay_sends_the_same_message_again(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    await post.happen("x")
    await post.work()
    [delivery] = await post.log(webhook)
    replayed = await post.manage.replay(CALLER, webhook.id, delivery.id)
    assert replayed.state == "pending"
    await post.deliver.settled()
    assert shop.arrivals[0].id == shop.arrivals[1].id
    assert shop.arrivals[0].body == shop.arrivals[1].body


async def test_with_the_account_go_deliveries_that_told_of_it(post: Post, shop: Receiver) -> None:
    webhook, _ = await post.add(shop)
    async with post.database.tenant(TENANT) as scope:
        await Events(scope).add("write.settled", "x", {}, UUID(int=5))
        await Events(scope).add("write.settled", "y", {}, UUID(int=6))
    await post.work()
    async with post.database.tenant(TENANT) as scope:
        await Events(scope).forget_account(UUID(int=5))
    assert [delivery.event_id for delivery in await post.log(webhook)] == [2]
