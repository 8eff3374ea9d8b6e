"""F10: a tenant's CRM tells of changes: twice, late, in any order, and lying in everything but the ids."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx2

from bench.faults.bed import Bed
from bench.faults.door import Door
from bench.faults.script import Step

_LEADS = 5
_SECONDS = 3.0
_PATIENCE_SECONDS = 15.0
_BACK = [{"stage": "lost", "action": "cancel_order", "reason": "payer_no_communication"}]
"""A service that believed a body would cancel orders on Kwork."""


def told_by_crm(bed: Bed, step: Step) -> dict[str, Any] | None:
    """``writes``: what these words caused on Kwork so far; nobody moves a lead here, so nothing may."""
    tenant, rng = step.params["tenant"], random.Random(step.number)
    door = bed.doors[tenant]
    leads = [row["id"] for row in _records(bed, tenant) if row["external_id"].startswith("kwork:order:")]
    address = _address(door)
    if not leads or address is None:
        return None
    bodies = [
        {"event": "lead.changed", "leads": [{"id": lead, "status": status}]}
        for lead in rng.sample(leads, min(_LEADS, len(leads)))
        for status in ("lost", "won", "lost")
    ]
    rng.shuffle(bodies)
    urls = [worker.service.url for worker in bed.workers]
    taken = _told([f"{rng.choice(urls)}{address}" for _ in bodies], bodies)
    if not taken:
        return None
    with suppress(TimeoutError):
        return {"told": len(bodies), "taken": taken, "writes": _ask(door, "GET", "/writes")["total"]}
    return None


def _told(addresses: Sequence[str], bodies: Sequence[dict[str, Any]]) -> int:
    taken = 0
    with httpx2.Client(timeout=_SECONDS) as client:
        for address, body in zip(addresses, bodies, strict=True):
            with suppress(httpx2.HTTPError):
                taken += client.post(address, json=body).status_code == 200
    return taken


def _address(door: Door) -> str | None:
    """Issued anew; the first time the connection is told what a stage may cause. ``None`` while nobody answers."""
    with suppress(TimeoutError):
        [connection, *_] = _ask(door, "GET", "/crm/connection")["items"]
        path = f"/crm/connection/{connection['id']}"
        if not _ask(door, "GET", f"{path}/mapping")["mapping"]["back"]:
            _ask(door, "PUT", f"{path}/mapping", json={"back": _BACK})
        address: str = _ask(door, "POST", f"{path}/event-address")["path"]
        return address
    return None


def _ask(door: Door, method: str, path: str, **given: Any) -> Any:
    return door.patiently(method, path, seconds=_PATIENCE_SECONDS, **given)


def _records(bed: Bed, tenant: str) -> list[dict[str, Any]]:
    answer = httpx2.get(
        f"{bed.stand.crm}/_demo/records", params={"tenant": tenant}, timeout=_PATIENCE_SECONDS
    )
    found: list[dict[str, Any]] = answer.json()["leads"]
    return found
