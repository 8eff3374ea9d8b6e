"""Every operation of the API of the real service, beside the stand-ins, with made-up requests: right, wrong, at the edges."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from bench.fuzz_api.fuzzing import Known, Report, fuzz
from bench.goal import Goal
from tests.api import SECRET, token
from tests.service import Api, Service
from tests.stand import Stand

_TENANT = "fuzz"
_EXAMPLES = 60
_SIZE = ("--projects", "30", "--orders", "12", "--gigs", "6", "--dialogs", "6")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--examples", type=int, default=_EXAMPLES, help="верных и столько же неверных запросов на операцию"
    )
    parser.add_argument("--seed", type=int, default=1, help="зерно: с тем же — те же запросы")


async def run(only: Sequence[str] | None, *, examples: int = _EXAMPLES, seed: int = 1) -> list[Goal]:
    """``only``: regular expressions for ``METHOD /path``."""
    report = await asyncio.to_thread(_run, only, examples, seed)
    for line in report.lines():
        print(line)
    print(report.summary())
    described = len(report.operations)
    faults = sum(kind == "no_fault_of_ours" for _, kind in report.failures)
    return [
        Goal("Операции, которые спрашивали", str(described), "все", described > 0, described),
        Goal("Ошибки сервиса (500)", str(faults), "0", faults == 0, report.requests),
        Goal("Ответы, которых нет в OpenAPI", str(len(report.failures) - faults), "0", len(report.failures) == faults, report.requests),
    ]  # fmt: skip


def _run(only: Sequence[str] | None, examples: int, seed: int) -> Report:
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder, Stand.start(*_SIZE) as stand:
        service = Service(
            Path(folder), stand, SECRET_KEY=SECRET, LOGIN_LIMIT_PER_MINUTE="1000000", CRM_ALLOW_PRIVATE="true",
            WEBHOOK_ALLOW_PRIVATE="true",
            JOBS_PER_TENANT="1000",
        ).start()  # fmt: skip
        try:
            known = _filled(service.user(_TENANT), stand)
            return fuzz(
                httpx2.get(f"{service.url}/openapi.json").json(),
                service.url,
                lambda: token(_TENANT, jti=f"fuzz-{next(numbers)}"),
                known=known,
                seed=seed,
                examples=examples,
                only="|".join(only) if only else None,
            )
        finally:
            service.stop()


def _filled(api: Api, stand: Stand) -> Known:
    """One of everything that the stand-in's account has, read in; the ids."""
    account = api.connect(stand.accounts[0])
    api.sync(kinds=["order", "project"], full=True)
    api.call("POST", "/searches", json={"name": "Всё", "filters": {}})
    hook = api.call("POST", "/webhooks", json={"url": f"{stand.web}/hook", "types": ["order.*"]})

    def first(path: str) -> dict[str, Any]:
        found: dict[str, Any] = next(iter(api.call("GET", path)["items"]), {"id": ""})
        return found

    found = {
        "/api/v1/orders/": {"id": first("/orders?kind=order")["id"]},
        "/api/v1/gigs/": {"id": str(first("/gigs")["id"])},
        "/api/v1/chat/": {"dialog_id": str(first("/chat")["id"])},
        "/api/v1/accounts/": {"id": account["id"]},
        "/api/v1/searches/": {"id": first("/searches")["id"]},
        "/api/v1/webhooks/": {"id": hook["id"]},
        "/api/v1/crm-sync/runs/": {"id": first("/crm-sync/runs")["id"]},
    }
    return {prefix: ids for prefix, ids in found.items() if ids.get("id", "x")}
