"""The bad days of `sandbox.crm.faults` in this vendor's words."""

from typing import Any

from sandbox.amocrm.answers import HAL
from sandbox.amocrm.app import SURFACE
from sandbox.crm.faults import BAD_DAYS as COMMON
from sandbox.faults import Fault, Faults

_PROBLEM = "application/problem+json"


def _problem(status: int, title: str) -> dict[str, Any]:
    body = {"title": title, "type": f"https://httpstatus.es/{status}", "status": status, "detail": title}
    return {"status": status, "body": body, "content_type": _PROBLEM}


def _throttled(*after: str) -> list[tuple[str, dict[str, Any]]]:
    headers = {"headers": {"Retry-After": after[0]}} if after else {}
    return [("error", _problem(429, "Too Many Requests") | headers)]


BAD_DAYS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    **COMMON,
    "throttles": _throttled(),
    "throttles_for_seconds": _throttled("7"),
    "throttles_absurdly": _throttled("99999999999999999999"),
    "fails_before_acting": [("error", _problem(504, "Gateway Time-out"))],
    "fails_after_acting": [("error", _problem(500, "Internal Server Error") | {"act": True})],
    "error_inside_200": [
        ("error", {"status": 200, "body": _problem(500, "Oops")["body"], "content_type": HAL, "act": True})
    ],
}


def bad_day(faults: Faults, name: str, **where: Any) -> list[Fault]:
    """Switches a bad day on. Raises KeyError for an unknown name."""
    return [faults.add(kind, surface=SURFACE, **(own | where)) for kind, own in BAD_DAYS[name]]
