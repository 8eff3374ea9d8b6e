"""For whoever runs the service: is it alive, can it work."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import APIRouter, Response

from app.api.rows import json_answer
from app.api.v1.deps import UseCases
from app.models.schemas import Alive, CheckOut, Readiness

router = APIRouter(prefix="/health", tags=["health"])

PROBE_SECONDS = 2.0
RETRY_SECONDS = 5
_ALIVE = b'{"status":"ok"}'


@router.get("", operation_id="health", summary="Is the process alive", response_model=Alive)
async def health() -> Response:
    """Touches nothing: neither the database nor Kwork."""
    return Response(_ALIVE, media_type="application/json")


@router.get(
    "/ready",
    operation_id="ready",
    summary="Can the service work",
    response_model=Readiness,
    responses={
        503: {
            "model": Readiness,
            "description": "A critical part is missing, or the process is about to end.",
        }
    },
)
async def ready(services: UseCases) -> Response:
    """503 without the database, and as soon as the process is told to end. Without Redis or Chromium it works with
    less: 200 and `degraded`.
    """
    if services.shutdown.begun.is_set():
        return _unready({"status": "stopping", "checks": {}})
    found = await asyncio.gather(*(probe.is_there(PROBE_SECONDS) for probe in services.probes))
    checks = {
        probe.name: CheckOut(ok=ok, critical=probe.critical)
        for probe, ok in zip(services.probes, found, strict=True)
    }
    bad = [check for check in checks.values() if not check.ok]
    status = "unavailable" if any(check.critical for check in bad) else "degraded" if bad else "ready"
    answer = {"status": status, "checks": {name: check.model_dump() for name, check in checks.items()}}
    return _unready(answer) if status == "unavailable" else json_answer(answer)


def _unready(answer: Mapping[str, object]) -> Response:
    unready = json_answer(answer, 503)
    unready.headers["Retry-After"] = str(RETRY_SECONDS)
    return unready
