"""Parts are taken away under the running service, one at a time: it says what is missing, waits, and recovers alone.

Judged by the stand-ins' journals: nothing lost, nothing doubled. No limit here is about speed: the deadlines are
those after which a caller would give up.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.embedded import kill, postmaster, processes_of, valkey
from tests.external_postgres import ExternalPostgres
from tests.service import Api, Service
from tests.stand import Stand
from tests.tcp_proxy import TcpProxy

DEADLINE_SECONDS = 25.0
"""The longest any answer may take while the database hangs: a statement, and putting its connection away."""
PATIENCE_SECONDS = 60.0
ORDERS = 12
ROUTES = (("GET", "/orders"), ("POST", "/crm-sync/sync-orders"), ("GET", "/crm-sync/sync-status"))


class Kwork:
    """A stand-in Kwork of its own that can be stopped and started again on the same ports, with the same world."""

    def __init__(self) -> None:
        self._born = str(time.time())
        self._ports: list[str] = []
        self.stand = self._start()
        for name in ("web", "api", "crm", "control"):
            self._ports += [f"--{name}-port", str(urlsplit(getattr(self.stand, name)).port)]

    def _start(self) -> Stand:
        size = ["--projects", "24", "--orders", str(ORDERS), "--gigs", "3", "--dialogs", "2"]
        return Stand.start("--seed", "7", "--born", self._born, *size, *self._ports)

    def stop(self) -> None:
        self.stand.process.kill()
        self.stand.process.wait(10)

    def start_again(self) -> None:
        self.stand = self._start()


@dataclass
class Bed:
    """A running service, and what it leans on."""

    service: Service
    kwork: Kwork
    crm: Stand
    crm_plug: TcpProxy
    api: Api

    @property
    def keys(self) -> list[str]:
        """What the CRM must hold: every order of the account, once."""
        orders = self.kwork.stand.orders(account=self.kwork.stand.username)
        return sorted(f"kwork:order:{order['id']}" for order in orders)

    def assert_nothing_lost_or_doubled(self) -> None:
        self.api.settled(PATIENCE_SECONDS)
        found = httpx2.get(f"{self.crm.crm}/_demo/records", params={"tenant": self.api.tenant}).json()
        assert sorted(lead["external_id"] for lead in found["leads"]) == self.keys
        contacts = Counter(contact["external_id"] for contact in found["contacts"])
        assert set(contacts.values()) == {1}
        decided = Counter(
            word
            for row in self.crm.journal(surface="crm", account=self.api.tenant)
            for word in row["decided"]
        )
        assert decided["lead created"] == len(self.keys)
        assert decided["contact created"] == len(contacts)

    def last_run(self) -> dict[str, Any]:
        [stream] = [one for one in self.api.status()["streams"] if one["stream"] == "orders"]
        found: dict[str, Any] = stream["last_run"]
        return found

    def sync(self) -> None:
        """A sync that goes through; one that still seems to go on is waited for."""
        until(lambda: self.api.sync(kinds=["order"])["state"] == "done")


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ready(service: Service) -> dict[str, Any]:
    answer = httpx2.get(f"{service.url}/health/ready", timeout=DEADLINE_SECONDS)
    found: dict[str, Any] = answer.json()
    assert answer.status_code == (503 if found["status"] == "unavailable" else 200)
    return found


def missing(service: Service) -> list[str]:
    return [name for name, check in ready(service)["checks"].items() if not check["ok"]]


def assert_says_that_the_database_is_away(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), (
        answer.text
    )
    assert answer.json()["code"] == "database_unavailable"
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) > 0
    assert "База данных" in answer.json()["detail"]


@contextmanager
def laid_bed(service: Service, kwork: Kwork, crm: Stand, plug: TcpProxy, tenant: str) -> Iterator[Bed]:
    service.start()
    try:
        bed = Bed(service, kwork, crm, plug, service.user(tenant))
        account = bed.api.connect(kwork.stand.accounts[0])
        assert account["state"] == "connected", account
        yield bed
    finally:
        service.stop()


@pytest.fixture(scope="module")
def kwork() -> Iterator[Kwork]:
    found = Kwork()
    yield found
    found.stand.stop()


@pytest.fixture(scope="module")
def crm_plug(stand: Stand) -> Iterator[TcpProxy]:
    stand.clear_faults()
    port = urlsplit(stand.crm).port
    assert port is not None
    with TcpProxy(port) as plug:
        yield plug


def settings(kwork: Kwork, crm_plug: TcpProxy) -> dict[str, str]:
    return {
        "KWORK_WEB_URL": kwork.stand.web,
        "KWORK_API_URL": kwork.stand.api,
        "KWORK_MOBILE_KEY": kwork.stand.mobile_key,
        "CRM_API_URL": f"http://127.0.0.1:{crm_plug.port}",
        # A pace, so that Redis is asked before every request.
        "KWORK_REQUESTS_PER_SECOND": "200",
        "KWORK_BURST": "50",
    }


@pytest.fixture(scope="module")
def bed(
    kwork: Kwork, stand: Stand, crm_plug: TcpProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bed]:
    """With the servers the service brings along."""
    service = Service(tmp_path_factory.mktemp("unplug"), stand, **settings(kwork, crm_plug))
    with laid_bed(service, kwork, stand, crm_plug, "unplugged") as found:
        yield found


@pytest.fixture(scope="module")
def plugged_bed(
    kwork: Kwork,
    stand: Stand,
    crm_plug: TcpProxy,
    external_postgres: ExternalPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Bed, TcpProxy]]:
    """With a PostgreSQL elsewhere, and the plug of its cable."""
    external_postgres.create_database("unplugged")
    with TcpProxy(external_postgres.port) as plug:
        elsewhere = external_postgres.settings(POSTGRES_PORT=str(plug.port), POSTGRES_DB="unplugged")
        folder = tmp_path_factory.mktemp("unplug-external")
        service = Service(folder, stand, **settings(kwork, crm_plug), **elsewhere)
        with laid_bed(service, kwork, stand, crm_plug, "plugged") as found:
            yield found, plug


def test_a_database_killed_while_leads_are_on_their_way_costs_none_and_doubles_none(bed: Bed) -> None:
    slow = bed.crm.fault("slow", surface="crm", method="POST", seconds=0.3)
    mark = bed.crm.mark()
    started = bed.api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})
    assert started["state"] == "running"
    until(lambda: bed.crm.journal(surface="crm", path="/api/v1/leads", method="POST", since=mark))

    first = postmaster(bed.service.folder / "data")
    kill(first)
    statuses = set()
    while missing(bed.service) or 200 not in statuses:
        answer = bed.api.request("GET", "/orders", timeout=DEADLINE_SECONDS)
        statuses.add(answer.status_code)
        if answer.status_code != 200:
            assert_says_that_the_database_is_away(answer)
    assert postmaster(bed.service.folder / "data") != first
    bed.crm.call("DELETE", f"/faults/{slow['id']}")
    bed.sync()
    bed.assert_nothing_lost_or_doubled()


@pytest.mark.parametrize("way", ["killed", "hung"])
def test_without_valkey_everything_goes_on_and_it_is_told(bed: Bed, way: str) -> None:
    mark = bed.crm.mark()
    noted = json.loads((bed.service.folder / "data" / "embedded.json").read_text())
    first = valkey(processes_of(Path(noted["socket_dir"])))
    os.kill(first, signal.SIGKILL if way == "killed" else signal.SIGSTOP)
    if way == "hung":
        assert missing(bed.service) == ["redis"]
        assert ready(bed.service)["status"] == "degraded"
    bed.kwork.stand.add_order(account=bed.kwork.stand.username)
    bed.service.user(bed.api.tenant)  # signing in to the service counts its attempts in Redis
    bed.sync()
    bed.assert_nothing_lost_or_doubled()
    assert (
        len([row for row in bed.crm.journal(surface="crm", since=mark) if "lead created" in row["decided"]])
        == 1
    )
    if way == "hung":
        os.kill(first, signal.SIGCONT)
    until(lambda: missing(bed.service) == [])


def test_a_crm_that_is_away_gets_everything_when_it_is_back_without_being_asked(bed: Bed) -> None:
    bed.crm_plug.cut()
    order = bed.kwork.stand.add_order(account=bed.kwork.stand.username)
    mark = bed.crm.mark()
    answer = bed.api.sync(kinds=["order"])
    assert answer["state"] == "done", "reading Kwork does not need the CRM"
    assert answer["runs"][0]["counts"]["leads_waiting"] == 1
    crm = bed.api.status()["crm"]
    assert crm["ok"] is False
    assert "CRM" in crm["detail"]
    shown = bed.api.call(
        "GET", "/orders", params={"kind": "order", "q": order["title"], "create_leads": "true"}
    )
    states = {row["kwork_id"]: row["lead"] for row in shown["items"]}
    assert states[order["id"]]["state"] == "retry"
    assert "CRM" in states[order["id"]]["reason"]
    assert missing(bed.service) == []
    assert bed.crm.journal(surface="crm", since=mark) == []

    bed.crm_plug.heal()
    bed.assert_nothing_lost_or_doubled()
    assert bed.api.status()["crm"]["ok"] is True


def test_a_kwork_that_is_away_is_told_and_goes_on_when_it_is_back(bed: Bed) -> None:
    known = bed.api.call("GET", "/orders", params={"kind": "order"})["total"]
    [account] = bed.api.call("GET", "/accounts")["items"]
    bed.kwork.stop()

    answer = bed.api.sync(kinds=["order", "project"])
    assert answer["state"] == "failed"
    assert {run["reason_code"] for run in answer["runs"]} == {"unavailable"}
    assert all("Kwork" in run["reason"] and "не " in run["reason"] for run in answer["runs"])
    check = bed.api.request("POST", f"/accounts/{account['id']}/check", timeout=DEADLINE_SECONDS)
    assert (check.status_code, check.headers["content-type"]) == (503, "application/problem+json")
    assert (check.json()["code"], check.json()["retryable"]) == ("unavailable", True)
    assert int(check.headers["retry-after"]) > 0
    assert bed.api.call("GET", "/orders", params={"kind": "order"})["total"] == known
    assert bed.api.call("GET", f"/accounts/{account['id']}")["state"] == "connected", (
        "it is not the account's fault"
    )
    assert bed.api.status()["exchange"]["state"] == "failed"
    assert missing(bed.service) == []

    # It comes back without the sessions it knew: the account is signed in anew, once.
    bed.kwork.start_again()
    before = bed.crm.mark()
    bed.sync()
    assert bed.api.sync(kinds=["project"])["state"] == "done"
    assert len(bed.kwork.stand.journal(path="/api/user/login")) <= 1
    bed.api.settled(PATIENCE_SECONDS)
    made = [row for row in bed.crm.journal(surface="crm", since=before) if row["method"] == "POST"]
    assert made == [], "what the CRM has already is not sent again"


def test_a_run_that_loses_its_database_says_so_when_it_is_back(plugged_bed: tuple[Bed, TcpProxy]) -> None:
    bed, plug = plugged_bed
    slow = bed.kwork.stand.fault("slow", surface="api", path="/workerOrders", seconds=1.0)
    mark = bed.kwork.stand.mark()
    started = bed.api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})
    until(lambda: bed.kwork.stand.journal(path="/workerOrders", since=mark))
    plug.cut()
    until(lambda: "run_lost_the_database" in bed.service.output())
    bed.kwork.stand.call("DELETE", f"/faults/{slow['id']}")
    plug.heal()

    # It notes how it ended, instead of seeming to go on until its lease is over.
    until(lambda: missing(bed.service) == [] and bed.last_run()["state"] != "running")
    run = bed.last_run()
    assert (run["id"], run["state"]) == (started["runs"][0]["id"], "failed")
    assert run["reason_code"] == "database_unavailable"
    assert "База данных" in run["reason"]
    bed.sync()
    bed.assert_nothing_lost_or_doubled()


def test_an_external_database_that_is_cut_off_or_hangs_is_told_and_found_again(
    plugged_bed: tuple[Bed, TcpProxy],
) -> None:
    bed, plug = plugged_bed
    bed.sync()
    for take_away in (plug.cut, plug.hang):
        order = bed.kwork.stand.add_order(account=bed.kwork.stand.username)
        take_away()
        assert missing(bed.service) == ["database"]
        assert httpx2.get(f"{bed.service.url}/health").status_code == 200
        with ThreadPoolExecutor(len(ROUTES)) as callers:
            for answer in callers.map(
                lambda route: bed.api.request(*route, timeout=DEADLINE_SECONDS), ROUTES
            ):
                assert_says_that_the_database_is_away(answer)
        plug.heal()
        until(lambda: missing(bed.service) == [])
        assert bed.api.call("GET", "/orders", params={"kind": "order"})["total"] == len(bed.keys) - 1
        bed.sync()
        bed.assert_nothing_lost_or_doubled()
        assert bed.api.call("GET", f"/orders/order-{order['id']}")
