"""How soon what is new on Kwork stands in the CRM, by itself: nobody asks for a sync.

Orders and projects appear at random moments; the moment is the stand-in's answer to making them, and the arrival is the
CRM's journal entry of the lead. A saved search makes leads of the projects. The service polls every few seconds.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.goal import Goal
from tests.service import Api, Service
from tests.stand import Stand

POLL_SECONDS = 5.0
ON_TOP_SECONDS = 2.0
_EACH = 40
_PATIENCE_SECONDS = 120.0
_TENANT = "fresh"
_SECRET_WORD = "незабудка"
"""No generated project has it: the search matches only ours."""


async def run(only: Sequence[str] | None) -> list[Goal]:
    """``only``: ``order`` or ``project``."""
    kinds = [kind for kind in ("order", "project") if only is None or kind in only]
    return await asyncio.to_thread(_run, kinds)


def _run(kinds: Sequence[str]) -> list[Goal]:
    size = ("--projects", "60", "--orders", "12", "--gigs", "2", "--dialogs", "3")
    with tempfile.TemporaryDirectory() as folder, Stand.start(*size) as stand:
        service = Service(
            Path(folder), stand, POLL_SECONDS=str(POLL_SECONDS), PROJECTS_POLL_SECONDS=str(POLL_SECONDS),
            POLL_NIGHT_FACTOR="1", KWORK_LIVE="false",
        ).start()  # fmt: skip
        try:
            api = service.user(_TENANT)
            api.connect(stand.accounts[0])
            api.call(
                "POST", "/searches", json={"name": "Свежее", "filters": {"words": {"all": [_SECRET_WORD]}}}
            )
            api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order", "project"], "full": True})
            api.settled()
            return [_measured(kind, stand, api) for kind in kinds]
        finally:
            service.stop()


def _measured(kind: str, stand: Stand, api: Api) -> Goal:
    mark, made = stand.mark(), {}
    for _ in range(_EACH):
        time.sleep(random.uniform(0.2, POLL_SECONDS / 2))
        if kind == "order":
            new = stand.add_order(account=stand.username)
        else:
            new = stand.add_project(name=f"Сайт: {_SECRET_WORD}")
        made[f"kwork:{kind}:{new['id']}"] = time.time()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (came := _arrivals(stand, mark)).keys() < made.keys() and time.monotonic() < deadline:
        time.sleep(0.5)
    took = [came[key] - at for key, at in made.items() if key in came]
    p95 = statistics.quantiles(took, n=20)[18] if len(took) > 1 else float("inf")
    wanted = POLL_SECONDS + ON_TOP_SECONDS
    what = {"order": "Новый заказ на Kwork — лид в CRM", "project": "Новый проект по поиску — лид в CRM"}[
        kind
    ]
    told = (
        f"p95 {p95:.1f} с, медиана {statistics.median(took or [p95]):.1f} с, дошло {len(took)} из {len(made)}"
    )
    return Goal(what, told, f"p95 ≤ опрос {POLL_SECONDS:g} с + {ON_TOP_SECONDS:g} с, все", p95 <= wanted and len(took) == len(made), len(took))  # fmt: skip


def _arrivals(stand: Stand, mark: int) -> dict[str, float]:
    """Per key: when the CRM was asked to make its lead."""
    rows = stand.journal(surface="crm", path="/api/v1/leads", method="POST", since=mark)
    return {row["body"]["external_id"]: row["real_at"] for row in reversed(rows)}
