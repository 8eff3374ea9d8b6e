"""Events of the real service over real sockets: streams that stop with it, webhooks that outlive `kill -9`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from app.core.database import SCHEMA
from app.core.embedded import find_running
from tests.receiver import receiver
from tests.service import Api, Service
from tests.stand import Stand
from tests.streams import Frame, SseParser


@pytest.fixture
def own_service(stand: Stand, tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, stand, WEBHOOK_ALLOWED_HOSTS="127.0.0.1")
    yield made
    made.stop()


class Listener:
    """One open stream over a socket."""

    def __init__(self, user: Api, stack: ExitStack, **query: str) -> None:
        self._chunks = stack.enter_context(user._client.stream("GET", "/events", params=query)).iter_raw()
        self.parser = SseParser()
        while self.parser.retry is None:
            self.parser.feed(next(self._chunks))

    def next(self) -> Frame:
        while True:
            for frame in self.parser.feed(next(self._chunks)):
                return frame

    def rest(self) -> list[Frame]:
        return [frame for chunk in self._chunks for frame in self.parser.feed(chunk)]


def test_sigterm_ends_open_streams_at_once_and_with_them_the_service(own_service: Service) -> None:
    user = own_service.start().user()
    with ExitStack() as stack:
        listeners = [Listener(user, stack, types="sync_run.*") for _ in range(15)]
        run = user.sync(kinds=["project"])["runs"][0]
        told = listeners[0].next()
        assert (told.name, told.data["subject"], told.data["data"]["state"]) == (
            "sync_run.finished",
            run["id"],
            "done",
        )
        assert own_service.process is not None
        own_service.process.terminate()
        started = time.monotonic()
        ends = [listener.rest()[-1] for listener in listeners]
        own_service.process.wait(15)
        print(f"15 streams and the service ended after {time.monotonic() - started:.2f} s")
    assert {(end.name, end.data["reason"]) for end in ends} == {("end", "shutting_down")}
    assert own_service.process.returncode == 0
    assert "graceful shutdown exceeded" not in own_service.output()


async def _let_leases_run_out(service: Service) -> None:
    """The killed process' lease would hold half a minute: time is moved instead."""
    running = find_running(service.folder / "data")
    assert running is not None
    found = running.postgres
    assert found is not None
    owner = await asyncpg.connect(
        host=found.host, port=found.port, user=found.user, database=found.database,
        server_settings={"search_path": SCHEMA},
    )  # fmt: skip
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    await owner.close()


async def test_an_event_in_flight_at_kill_9_arrives_after_the_restart(own_service: Service) -> None:
    async with receiver() as shop:
        shop.hold = asyncio.Event()
        user = await asyncio.to_thread(own_service.start().user)
        new = await asyncio.to_thread(
            user.call, "POST", "/webhooks", json={"url": shop.url, "types": ["sync_run.*"]}
        )
        run = (await asyncio.to_thread(user.sync, kinds=["project"]))["runs"][0]
        await shop.arrived(1)
        own_service.kill()
        shop.hold.set()
        shop.hold = None
        await asyncio.to_thread(own_service.start)
        await _let_leases_run_out(own_service)
        first, second = await shop.arrived(2)
    assert first.event["subject"] == run["id"]
    assert (first.id, first.body) == (second.id, second.body)
    assert first.signed_by(new["secret"])
    assert second.signed_by(new["secret"])
    assert new["secret"] not in own_service.output()
    assert shop.url not in own_service.output()


def test_a_message_on_kwork_reaches_a_listener_by_itself(kwork_stand: Stand, tmp_path: Path) -> None:
    """Kwork's websocket → a normal reading → the store → the log → the stream; no sync was asked for."""
    service = Service(tmp_path, kwork_stand, KWORK_NOTICE_URL=kwork_stand.notice, POLL_SECONDS="3600")
    try:
        user = service.start().user()
        with ExitStack() as stack:
            listener = Listener(user, stack, types="message.received")
            account = user.connect(kwork_stand.accounts[0])
            user.sync(account_id=account["id"], kinds=["order", "dialog"], create_leads=False)
            deadline = time.monotonic() + 60
            while not kwork_stand.listeners():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            channel = kwork_stand.listeners()[0]["path"].rpartition("/")[2]
            sent = kwork_stand.add_message("Добрый день!")
            began = time.monotonic()
            told = listener.next()
            print(f"told {time.monotonic() - began:.2f} s after it was written")
        assert told.data["data"]["message_id"] == sent["id"]
        assert told.data["account_id"] == account["id"]
        service.stop()
        assert channel.startswith("cnl_")
        assert channel not in service.output()
        assert all(channel not in log.read_text() for log in (tmp_path / "logs").iterdir())
    finally:
        service.stop()
