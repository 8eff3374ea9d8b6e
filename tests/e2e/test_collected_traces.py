"""Traces as a collector gets them from the running service and its worker; one that hangs or is gone holds nobody."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.marketplaces.kwork.browser.chromium import has_chromium
from tests.collector import Collector, collector
from tests.external_servers import servers_of_a_service
from tests.service import PASSWORD, Service
from tests.stand import Stand

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")
STOP_SECONDS = 25
LESS_THAN_AN_EXPORT_SECONDS = 4


@contextmanager
def traced(folder: Path, stand: Stand, url: str, **settings: str) -> Iterator[Service]:
    with servers_of_a_service() as servers:
        service = Service(folder, stand, TRACING_URL=url, **settings, **servers).start()
        try:
            yield service
        finally:
            service.stop()


def ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> int:
    process.terminate()
    return process.wait(STOP_SECONDS)


@needs_chromium
def test_a_collector_gets_one_trace_from_the_request_over_the_worker_to_the_crm(
    stand: Stand, tmp_path: Path
) -> None:
    stand.reset(seed=7, projects=4, orders=3, accounts=1, gigs=2, dialogs=2)
    stand.clear_faults()
    with collector() as collected, traced(tmp_path, stand, collected.url, WORKER="false") as service:
        worker = service.beside("worker")
        api = service.user("studio")
        api.connect(stand.accounts[0])
        api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order"], "wait": True})
        api.settled()
        assert ended(worker) == 0
        assert service.process is not None
        assert ended(service.process) == 0
        _one_trace(collected)
        sent = b"".join(collected.bodies)
        secrets = (api.token, PASSWORD, stand.accounts[0]["password"], stand.crm_key, stand.mobile_key)
        assert [secret for secret in secrets if secret.encode() in sent] == []


def _one_trace(collected: Collector) -> None:
    [request] = collected.named("POST /api/v1/crm-sync/sync-orders")
    assert (request.service, request.parent) == ("kwork-service-api", "")
    [job] = [one for one in collected.named("job kwork.run_sync") if one.trace == request.trace]
    assert (job.service, job.parent) == ("kwork-service-worker", request.id)
    calls = [one for one in collected.named("CRM POST") if one.trace == request.trace]
    assert {one.service for one in calls} == {"kwork-service-worker"}
    assert len(calls) >= 3, "a lead of each order"
    known = {one.id for one in collected.spans}
    assert {one.parent for one in calls} <= known, "no part hangs in the air"


@pytest.mark.parametrize("how", ["hangs", "gone"])
def test_a_collector_that_does_not_answer_holds_no_request_and_no_stop(
    stand: Stand, tmp_path: Path, how: str
) -> None:
    with collector() as collected:
        collected.hold.clear()
        url = collected.url if how == "hangs" else f"http://127.0.0.1:{_closed_port()}/v1/traces"
        # The exporter sends what it has every millisecond: it hangs while requests come.
        with traced(tmp_path, stand, url, WORKER="false", OTEL_BSP_SCHEDULE_DELAY="1") as service:
            api = service.user("studio")
            assert how == "gone" or collected.asked.wait(STOP_SECONDS)
            for _ in range(20):
                assert api.call("GET", "/orders", timeout=LESS_THAN_AN_EXPORT_SECONDS)["items"] == []
            assert service.process is not None
            assert ended(service.process) == 0


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
