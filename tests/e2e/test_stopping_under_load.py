"""SIGTERM while requests are under way: none is cut, streams are told, a write on its way to Kwork is sent once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.external_servers import servers_of_a_service
from tests.service import Api, Service
from tests.stand import Stand

PATIENCE_SECONDS = 30.0
SETTINGS = {
    "SHUTDOWN_SECONDS": "14",
    "SHUTDOWN_NOTICE_SECONDS": "3",
    "KWORK_WRITE_HOLD_SECONDS": "2",
    "KWORK_DEADLINE_SECONDS": "20",
    "KWORK_ABSENT_AFTER_SECONDS": "20",
    "KWORK_ORDER_PAGES_PER_RUN": "0",
}


@dataclass
class Desk:
    """A tenant's program with a buyer to write to."""

    service: Service
    stand: Stand
    api: Api
    buyer: int

    def send(self, text: str) -> httpx2.Response:
        return self.api.request("POST", f"/chat/{self.buyer}/send", json={"message": text})

    def sent(self, since: int) -> int:
        effects = [effect for entry in self.stand.journal(since=since) for effect in entry["effects"]]
        return effects.count("message sent")

    def stop(self) -> float:
        """SIGTERM; the seconds until the process is gone."""
        assert self.service.process is not None
        began = time.monotonic()
        self.service.process.terminate()
        assert self.service.process.wait(PATIENCE_SECONDS) == 0
        return time.monotonic() - began


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def desk(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    stand.reset(seed=7, projects=30, orders=4, accounts=2, gigs=2, dialogs=8)
    stand.clear_faults()
    with servers_of_a_service() as servers:
        service = Service(tmp_path_factory.mktemp("stopping"), stand, **{**SETTINGS, **servers}).start()
        try:
            api = service.user("stopping")
            assert api.connect(stand.accounts[0])["state"] == "connected"
            buyer = stand.add_user()["user_id"]
            stand.add_message("Вы тут?", from_id=buyer, account=stand.username)
            api.sync(kinds=["dialog"], create_leads=False)
            yield Desk(service, stand, api, buyer)
        finally:
            stand.clear_faults()
            service.stop()


class Crowd:
    """Short requests, one after the other, each on a connection of its own, until nobody takes them any more."""

    def __init__(self, api: Api) -> None:
        self._url, self._headers = f"{api.base_url}/auth/me", {"Authorization": f"Bearer {api.token}"}
        self.answers: Counter[int | str] = Counter()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while True:
            try:
                self.answers[httpx2.get(self._url, headers=self._headers, timeout=30).status_code] += 1
            except httpx2.ConnectError:
                return
            except httpx2.TransportError as error:
                self.answers[type(error).__name__] += 1
                return

    def gone(self) -> dict[int | str, int]:
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return dict(self.answers)


def test_what_is_under_way_comes_to_its_end(desk: Desk) -> None:
    desk.stand.fault("slow", surface="api", path="/inboxCreate", seconds=2.5, count=1)
    mark = desk.stand.mark()
    seen: list[httpx2.Response] = []
    with ThreadPoolExecutor(3) as threads:
        try:
            long = threads.submit(desk.send, "Пока вы останавливаетесь")
            stream = threads.submit(desk.api.request, "GET", "/events")
            crowd = Crowd(desk.api)
            until(lambda: desk.stand.journal(path="/inboxCreate", since=mark))
            until(lambda: crowd.answers[200] > 20)
            stopping = threads.submit(desk.stop)
            with httpx2.Client(base_url=desk.service.url, timeout=30) as probe:
                until(
                    lambda: (
                        (ready := probe.get("/health/ready")).status_code == 503
                        and seen.append(ready) is None
                    )
                )
                alive = probe.get("/health").json()
            stopping.result()
        finally:  # or the threads would wait for ever
            desk.service.stop()
    assert (seen[0].json()["status"], alive["status"]) == ("stopping", "ok")
    answers = crowd.gone()
    assert set(answers) == {200}, f"cut: {answers}"
    assert long.result().json()["state"] == "succeeded"
    assert desk.sent(mark) == 1
    assert stream.result().text.endswith('event: end\ndata: {"reason":"shutting_down"}\n\n')
    assert "Traceback" not in desk.service.output()


def test_what_takes_too_long_is_answered_as_it_stands_and_never_sent_twice(desk: Desk) -> None:
    desk.service.start(SHUTDOWN_SECONDS="8", SHUTDOWN_NOTICE_SECONDS="0")
    slow = desk.stand.fault("slow", surface="api", path="/inboxCreate", seconds=15, count=1)
    mark = desk.stand.mark()
    with ThreadPoolExecutor(1) as threads:
        long = threads.submit(desk.send, "Это надолго")
        until(lambda: desk.stand.journal(path="/inboxCreate", since=mark))
        took = desk.stop()
    assert took < 14, "SHUTDOWN_SECONDS are 8; the rest is for a busy machine"
    assert long.result().status_code == 202, long.result().text
    written = long.result().json()
    assert written["state"] == "committing"
    desk.stand.call("DELETE", f"/faults/{slow['id']}")

    desk.service.start()
    until(lambda: desk.api.call("GET", f"/writes/{written['id']}")["settled"])
    found = desk.api.call("GET", f"/writes/{written['id']}")
    assert found["state"] in ("reconciled_done", "reconciled_absent")
    assert desk.sent(mark) == (1 if found["state"] == "reconciled_done" else 0)
