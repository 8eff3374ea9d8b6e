"""F5 to F9: what a tenant's CRM does. Each fault concerns one tenant, so that the others must not feel it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from bench.faults.bed import Bed
from bench.faults.script import Step

Seen = dict[str, Any] | None
_QUIET_SECONDS = 1.0
_DATE_AHEAD_SECONDS = 5.0
_JSON = {"content_type": "application/json"}
_THROTTLED = {"error": {"code": "rate_limited", "message": "too many requests"}}
_INTERNAL = {"error": {"code": "internal", "message": "the CRM failed"}}
_GARBAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "cut": ("cut", {}),
    "wrong_length": ("asked", {"name": "wrong_length"}),
    "html": ("html_instead_of_json", {"act": True}),
    "error_inside": ("error", {"status": 200, "body": {"success": False, "error": "try again"}, "act": True, **_JSON}),
    "empty": ("empty_200", {"act": True}),
    "broken_json": ("error", {"status": 201, "body": '{"id": "L1", "name', "act": True, **_JSON}),
}  # fmt: skip


def throttle(bed: Bed, step: Step) -> Seen:
    after = step.params["after"]
    until = datetime.now(UTC) + timedelta(seconds=_DATE_AHEAD_SECONDS)
    if after == "date":
        after = format_datetime(until, usegmt=True)
    headers = {} if after is None else {"Retry-After": after}
    fault = ("error", {"status": 429, "body": _THROTTLED, "headers": headers, **_JSON})
    seen = _until_met(bed, step, fault, method=None)
    return seen and {**seen, "date": int(until.timestamp())}


def burst(bed: Bed, step: Step) -> Seen:
    """So many answers in a row."""
    more = {"status": step.params["status"], "body": _INTERNAL, "act": step.params["act"], **_JSON}
    return _until_met(bed, step, ("error", more), method=None)


def silent_before(bed: Bed, step: Step) -> Seen:
    fault = ("drop", {"when": "before"})
    if step.params["how"] == "hangs":
        fault = ("slow", {"seconds": 3 * bed.size.crm_deadline, "drop": True})
    return _until_met(bed, step, fault, method="POST")


def silent_after(bed: Bed, step: Step) -> Seen:
    """The record is made, its answer is lost, and the search does not know of it yet."""
    fault = ("drop", {"when": "after"})
    if step.params["how"] == "hangs":
        fault = ("slow", {"seconds": 3 * bed.size.crm_deadline, "when": "after"})
    return _until_met(bed, step, fault, method="POST")


def garbage(bed: Bed, step: Step) -> Seen:
    return _until_met(bed, step, _GARBAGE[step.params["how"]], method="POST")


def lag_of_search(bed: Bed, seconds: float) -> None:
    """From now on the search of every tenant's CRM knows only what is older."""
    bed.stand.fault("asked", surface="crm", method="GET", name="search_lag", seconds=seconds)


def _until_met(bed: Bed, step: Step, fault: tuple[str, dict[str, Any]], *, method: str | None) -> Seen:
    """Switched on until it happened so often, or nobody came. Where it is quiet, a new order brings somebody."""
    where = {"surface": "crm", "account": step.params["tenant"], "method": method, "path": "/api/v1/*"}
    count = step.params["count"]
    kind, params = fault
    made = bed.stand.fault(kind, count=count, **where, **params)["id"]
    quiet_since = started = time.monotonic()
    hits = 0
    # One that was met need not be met to the last: what is paused longest would hold up the lane.
    while hits < count and (now := time.monotonic()) < started + bed.size.crm_patience / (2 if hits else 1):
        time.sleep(0.1)
        before, hits = hits, next(one["hits"] for one in bed.stand.faults() if one["id"] == made)
        if hits > before:
            quiet_since = now
        elif now > quiet_since + _QUIET_SECONDS:
            quiet_since = now
            _bring_somebody(bed, step, round(now))
    bed.stand.call("DELETE", f"/faults/{made}")
    return {"hits": hits} if hits else None


def _bring_somebody(bed: Bed, step: Step, turn: int) -> None:
    accounts = bed.accounts_of(step.params["tenant"])  # one of them may wait for a person
    account = accounts[turn % len(accounts)]
    bed.stand.add_order(account=account, title=f"К сбою {step.number}")
    bed.sync(account)
