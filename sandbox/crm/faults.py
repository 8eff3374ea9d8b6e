"""The bad days of this CRM, by name; each is made of the sandbox's common faults.

bad_day(faults, "fails_after_acting", method="POST", count=1)
"""

from typing import Any

from sandbox.faults import Fault, Faults

_JSON = "application/json"
_RATE_LIMITED = {"error": {"code": "rate_limited", "message": "too many requests"}}
_INTERNAL = {"error": {"code": "internal", "message": "the CRM failed"}}


def _error(status: int, body: Any, **params: Any) -> tuple[str, dict[str, Any]]:
    return "error", {"status": status, "body": body, "content_type": _JSON, **params}


BAD_DAYS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "hangs_before_acting": [("slow", {"seconds": 60}), ("drop", {"when": "before"})],
    "hangs_after_acting": [("slow", {"seconds": 60, "when": "after"})],
    "drops_before_acting": [("drop", {"when": "before"})],
    "drops_after_acting": [("drop", {"when": "after"})],
    "cuts_after_acting": [("cut", {})],
    "throttles": [_error(429, _RATE_LIMITED)],
    "throttles_for_seconds": [_error(429, _RATE_LIMITED, headers={"Retry-After": "7"})],
    "throttles_until_date": [
        _error(429, _RATE_LIMITED, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})
    ],
    "throttles_absurdly": [_error(429, _RATE_LIMITED, headers={"Retry-After": "99999999999999999999"})],
    "throttles_in_gibberish": [_error(429, _RATE_LIMITED, headers={"Retry-After": "soon, perhaps"})],
    "fails_before_acting": [_error(503, _INTERNAL)],
    "fails_after_acting": [_error(500, _INTERNAL, act=True)],
    "html_before_acting": [("html_instead_of_json", {})],
    "html_after_acting": [("html_instead_of_json", {"act": True})],
    "error_inside_200": [_error(200, {"success": False, "error": "try again"}, act=True)],
    "empty_200_after_acting": [("empty_200", {"act": True})],
    "wrong_length": [("asked", {"name": "wrong_length"})],
    "drips": [("asked", {"name": "drips", "seconds": 0.05})],
    "huge": [("asked", {"name": "huge", "bytes": 32 * 1024 * 1024})],
    "gzip_bomb": [("asked", {"name": "gzip_bomb", "bytes": 32 * 1024 * 1024})],
    "search_lags": [("asked", {"name": "search_lag", "seconds": 20})],
    "slow": [("slow", {"seconds": 1})],
    "blocks": [("block_403", {})],
}


def bad_day(
    faults: Faults,
    name: str,
    *,
    path: str = "*",
    method: str | None = None,
    count: int | None = None,
    **params: Any,
) -> list[Fault]:
    """Switches a bad day on; `params` override its own. Raises KeyError for an unknown name."""
    parts = BAD_DAYS[name]
    return [
        faults.add(kind, surface="crm", path=path, method=method, count=count, **(own | params))
        for kind, own in parts
    ]
