"""``kill -9`` in the middle of a write: started again on the same data, the service settles it and sends nothing twice.

``python -m bench writes --faults`` does this at every failpoint and with every kind of write.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.external_servers import servers_of_a_service
from tests.service import Api, Service
from tests.stand import Stand

PATIENCE_SECONDS = 60.0
SETTINGS = {
    "KWORK_WRITE_HOLD_SECONDS": "2",
    "KWORK_DEADLINE_SECONDS": "2",
    "KWORK_ABSENT_AFTER_SECONDS": "2",
    "KWORK_ORDER_PAGES_PER_RUN": "0",
}


@dataclass
class Desk:
    """A tenant's program and the service that it calls."""

    service: Service
    stand: Stand
    api: Api

    def killed_at(self, failpoint: str, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The call dies with the service at the failpoint; the same call again, and the write when it is settled."""
        self.service.stop()
        self.service.start(KWORK_FAILPOINT=failpoint)
        with pytest.raises(httpx2.TransportError):
            self.api.request(method, path, **given)
        assert self.service.process is not None
        assert self.service.process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        self.service.start()
        answer = self.api.request(method, path, **given).json()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            written: dict[str, Any] = self.api.call(
                "GET", f"/writes/{answer.get('write_id') or answer['id']}"
            )
            if written["settled"]:
                return written
            assert time.monotonic() < deadline, written
            time.sleep(0.1)

    def effects(self, since: int) -> list[str]:
        return [effect for entry in self.stand.journal(since=since) for effect in entry["effects"]]


@pytest.fixture(scope="module")
def desk(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    stand.reset(seed=7, projects=30, orders=4, accounts=2, gigs=2, dialogs=8)
    stand.clear_faults()
    with servers_of_a_service() as servers:
        service = Service(tmp_path_factory.mktemp("killed"), stand, **{**SETTINGS, **servers}).start()
        try:
            api = service.user("killed")
            account = api.connect(stand.accounts[0])
            assert account["state"] == "connected", account
            yield Desk(service, stand, api)
        finally:
            service.stop()


@pytest.mark.parametrize(
    ("failpoint", "state", "times"),
    [
        ("write.marked", "reconciled_absent", 0),
        ("write.answered", "reconciled_done", 1),
    ],
)
def test_a_message_whose_service_was_killed(desk: Desk, failpoint: str, state: str, times: int) -> None:
    buyer = desk.stand.add_user()["user_id"]
    desk.stand.add_message("Вы тут?", from_id=buyer, account=desk.stand.username)
    desk.api.sync(kinds=["dialog"], create_leads=False)
    before = desk.stand.mark()
    call = {"json": {"message": "Добрый день"}, "headers": {"Idempotency-Key": failpoint}}
    written = desk.killed_at(failpoint, "POST", f"/chat/{buyer}/send", **call)
    assert written["state"] == state
    assert desk.effects(before) == ["message sent"] * times


@pytest.mark.parametrize(
    ("failpoint", "states"),
    [
        ("parent.between_steps", ["succeeded", "succeeded", "succeeded"]),
        ("write.answered:2", ["succeeded", "reconciled_done", "succeeded"]),
    ],
)
def test_a_hand_in_whose_service_was_killed_goes_on_where_it_stopped(
    desk: Desk, failpoint: str, states: list[str]
) -> None:
    order = desk.stand.add_order(account=desk.stand.username)["id"]
    desk.stand.advance_order(order, "take")
    desk.api.sync(kinds=["order"], create_leads=False)
    files = [("files", ("итог.txt", "Итог".encode()))]
    uploaded = desk.api.call("POST", "/files", files=files)["items"][0]
    before = desk.stand.mark()
    body = {"message": "Готово", "files": [uploaded["id"]]}
    call = {"json": body, "headers": {"Idempotency-Key": failpoint}}
    written = desk.killed_at(failpoint, "POST", f"/orders/order-{order}/deliver", **call)
    assert [step["state"] for step in written["steps"]] == states
    assert written["state"] == "succeeded"
    assert desk.effects(before) == ["order: hand_in", "track message sent"]
    assert len(desk.stand.journal(path="/fileUpload", since=before)) == 1
