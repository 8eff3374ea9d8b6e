"""The bad days of a portal, by the names of `sandbox.crm.faults`, in Bitrix24's words.

bad_day(faults, "fails_after_acting", path="/rest/*/crm.item.add", count=1)
"""

from typing import Any

from sandbox.bitrix24.app import SURFACE
from sandbox.crm import faults as common
from sandbox.faults import Fault, Faults

_JSON = "application/json; charset=utf-8"
Parts = list[tuple[str, dict[str, Any]]]


def _error(status: int, code: str, words: str = "", **params: Any) -> tuple[str, dict[str, Any]]:
    body = {"error": code, "error_description": words}
    return "error", {"status": status, "body": body, "content_type": _JSON, **params}


_TOO_MANY = _error(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")

BAD_DAYS: dict[str, Parts] = {
    **{name: parts for name, parts in common.BAD_DAYS.items() if not name.startswith("throttles_")},
    "throttles": [_TOO_MANY],
    "throttles_for_seconds": [("error", {**_TOO_MANY[1], "headers": {"Retry-After": "7"}})],
    "operating_limit": [
        _error(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")
    ],
    "fails_before_acting": [_error(500, "INTERNAL_SERVER_ERROR", "Internal server error")],
    "fails_after_acting": [
        _error(500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", act=True)
    ],
    "error_inside_200": [_error(200, "", "try again", act=True)],
    "blocks": [_error(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")],
    "auth_lost": [_error(401, "INVALID_CREDENTIALS", "Invalid request credentials")],
}


def bad_day(
    faults: Faults, name: str, *, path: str = "*", count: int | None = None, **params: Any
) -> list[Fault]:
    """Switches a bad day on; `params` override its own. Raises KeyError for an unknown name."""
    return [
        faults.add(kind, surface=SURFACE, path=path, count=count, **(own | params))
        for kind, own in BAD_DAYS[name]
    ]
