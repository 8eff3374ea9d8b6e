"""SIGTERM to the real `python main.py`: it ends by itself, tidily, whatever it was doing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.embedded.guard import holders
from tests.service import Service
from tests.stand import Stand

PATIENCE_SECONDS = 60.0


@pytest.fixture
def unstarted(stand: Stand, tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path, stand)
    yield service
    service.stop()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended_tidily(process: subprocess.Popen[Any], folder: Path, sockets: Path | None) -> None:
    assert process.wait(PATIENCE_SECONDS) == 0
    assert not (folder / "data" / "embedded.json").exists()
    assert sockets is None or not sockets.exists()
    assert [holders(lock) for lock in (folder / "data" / "locks").iterdir() if holders(lock)] == []


def noted_sockets(folder: Path) -> Path:
    return Path(json.loads((folder / "data" / "embedded.json").read_text())["socket_dir"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_told_to_stop_leaves_nothing_but_its_data(
    unstarted: Service, number: signal.Signals
) -> None:
    unstarted.start()
    sockets = noted_sockets(unstarted.folder)
    assert sockets.exists()
    assert unstarted.process is not None
    unstarted.process.send_signal(number)
    ended_tidily(unstarted.process, unstarted.folder, sockets)
    assert unstarted.told() == []


def test_a_service_told_to_stop_while_it_starts_gives_the_start_up(unstarted: Service) -> None:
    starting = unstarted.beside()
    until((unstarted.folder / "data" / "postgres.new").exists)
    sockets = noted_sockets(unstarted.folder)
    starting.terminate()
    out, complaints = starting.communicate(timeout=PATIENCE_SECONDS)
    ended_tidily(starting, unstarted.folder, sockets)
    assert complaints == ""
    assert "Traceback" not in out
    unstarted.start()


def test_a_sync_that_was_going_on_is_taken_over_by_the_next_start_at_once(
    unstarted: Service, kwork_stand: Stand
) -> None:
    stand, service = kwork_stand, unstarted
    stand.clear_faults()
    service.start()
    api = service.user()
    assert api.connect(stand.accounts[0])["state"] == "connected"
    slow = stand.fault("slow", surface="api", path="/workerOrders", seconds=30)
    mark = stand.mark()
    going = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})["runs"][0]
    until(lambda: stand.journal(path="/workerOrders", since=mark))
    assert service.process is not None
    service.process.terminate()
    ended_tidily(service.process, service.folder, None)
    assert "Traceback" not in service.output()
    stand.call("DELETE", f"/faults/{slow['id']}")

    service.start()
    until(lambda: api.status()["streams"][0]["last_run"]["state"] == "done")
    [stream] = api.status()["streams"]
    assert stream["last_run"]["id"] == going["id"], "the same run, carried on by itself"
    api.settled()
