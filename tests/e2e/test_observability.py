"""The running service and a worker beside it: their logs in one folder, their metrics on two ports."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.marketplaces.kwork.browser.chromium import has_chromium
from tests.external_servers import servers_of_a_service
from tests.observed import expressions, named
from tests.service import PASSWORD, Service
from tests.stand import Stand

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")
TOKEN = "token-of-prometheus"
PATIENCE_SECONDS = 60.0


@pytest.fixture
def served(stand: Stand, tmp_path: Path) -> Iterator[Service]:
    stand.reset(seed=7, projects=10, orders=6, accounts=1, gigs=2, dialogs=2)
    stand.clear_faults()
    settings = {
        "WORKER": "false",
        "METRICS_TOKEN": TOKEN,
        "METRICS_TENANTS": "3",
        "KWORK_ORDER_PAGES_PER_RUN": "0",
    }
    with servers_of_a_service() as servers:
        service = Service(tmp_path, stand, **settings, **servers).start()
        yield service
        service.stop()


@pytest.fixture
def worker(served: Service) -> Iterator[int]:
    """Its port of metrics."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = served.beside("worker", METRICS_PORT=str(port))
    try:
        _until_answered(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def _until_answered(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            httpx2.get(f"http://127.0.0.1:{port}/health")
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the worker shows no metrics")


def scraped(port: int) -> dict[str, float]:
    """Sums by the names of samples."""
    answer = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
        found.setdefault(family.name, 0.0)
        if family.type == "counter":
            found.setdefault(f"{family.name}_total", 0.0)
    return found


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "logs" / f"{name}.log").read_text().splitlines()]


@needs_chromium
def test_a_sync_shows_in_logs_and_metrics_of_both_and_tells_no_secret(
    served: Service, worker: int, stand: Stand
) -> None:
    api = served.user("studio")
    account = api.connect(stand.accounts[0])
    run = api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": True})["runs"][0]
    api.settled()
    of_api, of_worker = scraped(served.port), scraped(worker)

    assert of_worker["kwork_orders_processed_total"] == 6
    assert of_worker["kwork_leads_created_total"] == 6
    assert of_worker["kwork_jobs_done_total"] >= 1
    assert "kwork_deliveries" not in of_worker
    assert of_api["kwork_orders_processed_total"] == 0
    assert of_api["kwork_http_request_seconds_count"] > 3
    assert of_api["kwork_accounts"] == 1
    assert of_api["kwork_workers"] >= 1
    asked = {name for _, expression in expressions() for name in named(expression)}
    assert asked <= of_api.keys() | of_worker.keys()

    work = lines(served.folder, "kwork_service")
    [finished] = [line for line in work if line["event"] == "run_finished"]
    assert {name: finished.get(name) for name in ("tenant", "run", "job")} == {
        "tenant": "studio",
        "run": run["id"],
        "job": "kwork.run_sync",
    }
    connected = [line for line in work if re.search("account .* is connected", line["event"])]
    assert {(line["tenant"], line["account"]) for line in connected} == {("studio", account["id"])}
    assert {line["event"] for line in work} >= {"serving", "working"}, "both wrote to one file"

    requests = lines(served.folder, "access")
    [asking] = [line for line in requests if line["route"] == "/api/v1/crm-sync/sync-orders"]
    assert (asking["tenant"], asking["status"], asking["method"]) == ("studio", 200, "POST")
    assert not any(line["route"].startswith("/health") and line["status"] < 400 for line in requests)

    everything = served.output() + "".join(path.read_text() for path in (served.folder / "logs").iterdir())
    secrets = (api.token, PASSWORD, TOKEN, stand.accounts[0]["password"], stand.crm_key, stand.mobile_key)
    assert [secret for secret in secrets if secret in everything] == []
