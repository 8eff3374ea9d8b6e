"""Workers as processes of their own: they do the jobs, take over from the dead, and what is new goes out by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.external_servers import servers_of_a_service
from tests.service import Api, Service
from tests.stand import Stand

PATIENCE_SECONDS = 60.0
DEAD_SECONDS = 2.0


class Crew:
    """A service that does no jobs itself, and the workers beside it."""

    def __init__(self, service: Service, stand: Stand) -> None:
        self.service, self.stand = service, stand
        self.workers: list[subprocess.Popen[str]] = []
        self._logs: dict[int, Path] = {}

    def hire(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        logs = self.service.folder / f"logs-{uuid.uuid4().hex}"
        worker = self.service.beside("worker", *arguments, LOG_DIR=str(logs), **settings)
        self._logs[worker.pid] = logs / "kwork_service.log"
        self.workers.append(worker)
        return worker

    def is_working(self, worker: subprocess.Popen[str]) -> bool:
        """It has started, and takes jobs."""
        assert worker.poll() is None, worker.stderr.read() if worker.stderr else ""
        log = self._logs[worker.pid]
        return log.exists() and '"event":"working"' in log.read_text(encoding="utf-8")

    def connected(self, tenant: str) -> Api:
        api = self.service.user(tenant)
        assert api.connect(self.stand.accounts[0])["state"] == "connected"
        return api

    def leads(self, tenant: str) -> list[dict[str, Any]]:
        found = httpx2.get(f"{self.stand.crm}/_demo/records", params={"tenant": tenant}).json()["leads"]
        return [*found]

    def dismiss(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                os.kill(worker.pid, signal.SIGCONT)
                worker.terminate()
                worker.wait(PATIENCE_SECONDS)
            for pipe in (worker.stdout, worker.stderr):
                if pipe:
                    pipe.close()


@pytest.fixture(scope="module")
def served(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with servers_of_a_service() as servers:
        service = Service(
            tmp_path_factory.mktemp("workers"),
            stand,
            **{
                "WORKER": "false",
                "WORKER_DEAD_SECONDS": str(DEAD_SECONDS),
                "KWORK_ORDER_PAGES_PER_RUN": "0",
                **servers,
            },
        ).start()
        yield service
        service.stop()


@pytest.fixture
def crew(served: Service, stand: Stand) -> Iterator[Crew]:
    stand.reset(seed=7, projects=10, orders=6, accounts=2, gigs=2, dialogs=2)
    stand.clear_faults()
    made = Crew(served, stand)
    yield made
    made.dismiss()


def until(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ran(api: Api, run_id: str) -> str | None:
    """The state of the last run, if it is that one."""
    streams = api.status()["streams"]
    return next((s["last_run"]["state"] for s in streams if s["last_run"]["id"] == run_id), None)


def test_a_run_waits_for_a_worker_and_whoever_comes_carries_it_out(crew: Crew) -> None:
    api = crew.connected("waits")
    answer = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})
    assert answer["state"] == "running"
    again = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})
    assert again["runs"][0]["id"] == answer["runs"][0]["id"], "one run, the second caller gets it"
    mark = crew.stand.mark()
    assert crew.stand.journal(surface="api", since=mark) == []
    crew.hire()
    crew.hire()
    until(lambda: ran(api, answer["runs"][0]["id"]) == "done")
    api.settled()
    leads = crew.leads("waits")
    assert len(leads) == len({lead["external_id"] for lead in leads}) == len(crew.stand.orders())


def test_jobs_of_a_killed_worker_are_taken_over_at_once(crew: Crew) -> None:
    api = crew.connected("killed")
    slow = crew.stand.fault("slow", surface="api", path="/workerOrders", seconds=60)
    victim = crew.hire()
    mark = crew.stand.mark()
    run = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})["runs"][0]
    until(lambda: crew.stand.journal(surface="api", path="/workerOrders", since=mark))
    heir = crew.hire()
    until(lambda: crew.is_working(heir))
    victim.kill()
    victim.wait(PATIENCE_SECONDS)
    crew.stand.call("DELETE", f"/faults/{slow['id']}")
    killed = time.monotonic()
    until(lambda: ran(api, run["id"]) == "done")
    assert time.monotonic() - killed < DEAD_SECONDS + 5 + _RUNNING_SECONDS
    api.settled()
    leads = crew.leads("killed")
    assert len(leads) == len({lead["external_id"] for lead in leads}) == len(crew.stand.orders())


def test_a_worker_that_slept_too_long_does_no_harm_when_it_wakes(crew: Crew) -> None:
    api = crew.connected("slept")
    slow = crew.stand.fault("slow", surface="api", path="/workerOrders", seconds=60)
    sleeper = crew.hire()
    mark = crew.stand.mark()
    run = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})["runs"][0]
    until(lambda: crew.stand.journal(surface="api", path="/workerOrders", since=mark))
    os.kill(sleeper.pid, signal.SIGSTOP)
    crew.stand.call("DELETE", f"/faults/{slow['id']}")
    crew.hire()
    until(lambda: ran(api, run["id"]) == "done")
    api.settled()
    before = api.status()
    os.kill(sleeper.pid, signal.SIGCONT)
    again = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"]})
    assert again["state"] == "done"
    assert ran(api, run["id"]) in (None, "done")
    assert before["deliveries"]["counts"] == api.settled()["deliveries"]["counts"]
    leads = crew.leads("slept")
    assert len(leads) == len({lead["external_id"] for lead in leads}) == len(crew.stand.orders())


def test_a_new_order_becomes_a_lead_by_itself(crew: Crew) -> None:
    crew.hire(POLL_SECONDS="1", PROJECTS_POLL_SECONDS="0")
    crew.connected("alone")
    until(lambda: len(crew.leads("alone")) == len(crew.stand.orders()))
    seconds = []
    for number in range(3):
        order = crew.stand.add_order(title=f"Бот {number}", price=7000)
        added = time.monotonic()
        key = f"kwork:order:{order['id']}"
        until(lambda key=key: any(lead["external_id"] == key for lead in crew.leads("alone")))  # type: ignore[misc]
        seconds.append(time.monotonic() - added)
    assert max(seconds) < 1.1 + 2 + _RUNNING_SECONDS, seconds


def test_a_worker_told_to_stop_ends_at_once_when_it_does_nothing(crew: Crew) -> None:
    worker = crew.hire()
    until(lambda: crew.is_working(worker))
    told = time.monotonic()
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - told < 3 + _RUNNING_SECONDS


def test_a_worker_without_a_service_to_join_says_what_to_do(stand: Stand, tmp_path: Path) -> None:
    refused = Service(tmp_path, stand).command("worker")
    assert refused.returncode == 2
    assert "python main.py" in refused.stderr
    assert not (tmp_path / "data").exists(), "nothing was made there"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--queues", "crm,nonsense"), "nonsense"),
        (("--queues", ""), "--queues"),
        (("--concurrency", "0"), "--concurrency"),
    ],
)
def test_a_worker_told_nonsense_says_so(
    stand: Stand, tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    refused = Service(tmp_path, stand).command("worker", *arguments)
    assert refused.returncode == 2
    assert word in refused.stderr


_RUNNING_SECONDS = 10.0
"""What a crowded machine may need for the work itself."""
