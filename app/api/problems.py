"""The one place where errors become HTTP: ``application/problem+json`` (RFC 9457) with a stable ``code``."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.bodies import MOST_DEPTH, BodyRefusal
from app.api.edge import MOST_PARAMETERS, MOST_QUERY_BYTES
from app.core.database_errors import DATABASE_DOWN
from app.core.validation import described
from app.domain import errors
from app.domain.writes import WriteRefused

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:kwork-service:problem:"

_STATUS: tuple[tuple[type[errors.ServiceError], int], ...] = (
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.CapabilityUnavailable, 409),
    (errors.Invalid, 422),
    (errors.TooLarge, 413),
    (errors.TooSlow, 408),
    (errors.StorageFull, 507),
    (errors.StorageUnavailable, 503),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.RateLimited, 429),
    (errors.ChallengeRequired, 409),
    (errors.AuthExpired, 409),
    (errors.Blocked, 409),
    (errors.Unavailable, 503),
    (errors.Rejected, 502),
    (errors.LayoutChanged, 502),
    (errors.Ambiguous, 502),
    (errors.VendorError, 502),
)

DATABASE_RETRY_SECONDS = 5
UNAVAILABLE_RETRY_SECONDS = 30
"""For a vendor that is away and has not said for how long."""

_HTTP: Mapping[int, tuple[str, str]] = {
    404: ("unknown_route", "Такого адреса нет. Список адресов: {root_path}/docs."),
    405: ("method_not_allowed", "Этот адрес не принимает такой метод."),
    415: ("unsupported_media_type", "Тело запроса нужно в JSON: заголовок Content-Type: application/json."),
}


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem."""
    app.add_exception_handler(errors.ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    for family in DATABASE_DOWN:
        app.add_exception_handler(family, _database_error)


def problem(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """A problem answer. ``more`` are extension members; those that are ``None`` are left out."""
    body = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        **{name: value for name, value in more.items() if value is not None},
    }
    return Response(orjson.dumps(body), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def internal_error(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI: the answer to what nobody expected. The log has the trace, the caller the request id."""
    answer = problem(
        scope["state"]["request_id"],
        500,
        "internal_error",
        "Внутренняя ошибка сервиса. Сообщите администратору request_id.",
    )
    await answer(scope, receive, send)


def refusing(status: int, code: str, detail: str) -> ASGIApp:
    """ASGI: this answer and the end of the connection, as the rest of the request is not read."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(scope["state"]["request_id"], status, code, detail, headers={"Connection": "close"})
        await answer(scope, receive, send)

    return refuse


BODY_REFUSALS = {
    BodyRefusal.TOO_LARGE: refusing(413, "body_too_large", "Тело запроса слишком большое."),
    BodyRefusal.TOO_SLOW: refusing(
        408, "body_too_slow", "Тело запроса не пришло целиком за отведённое время."
    ),
    BodyRefusal.TOO_DEEP: refusing(422, "json_too_deep", f"Вложенность JSON больше {MOST_DEPTH}."),
}
QUERY_TOO_LONG = refusing(
    422,
    "query_too_long",
    f"Параметров в адресе больше {MOST_PARAMETERS} или они длиннее {MOST_QUERY_BYTES} байт.",
)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ServiceError)
    status = _status(error)
    retry_after = _retry_after(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    field = getattr(error, "field", None)
    challenge = getattr(error, "challenge", None)
    nearest = getattr(error, "nearest", None)
    allowed = getattr(error, "allowed", None)
    write_id = getattr(error, "write_id", None)
    return problem(
        request.state.request_id,
        status,
        error.code,
        error.detail,
        headers=headers,
        retryable=error.retryable or None,
        needs_person=error.needs_person or None,
        retry_after=retry_after,
        challenge=challenge,
        nearest=list(nearest) if nearest else None,
        allowed=list(allowed) if allowed else None,
        write_id=str(write_id) if write_id else None,
        report=getattr(error, "report", None),
        errors=getattr(error, "errors", None)
        or ([{"field": field, "code": error.code, "message": error.detail}] if field else None),
    )


def _status(error: errors.ServiceError) -> int:
    """A refused write answers as the error that refused it; what Kwork itself refuses is a conflict."""
    if isinstance(error, WriteRefused):
        family = getattr(errors, error.family, errors.ServiceError)
        if family is errors.Rejected:
            return 409
        return next((status for kind, status in _STATUS if issubclass(family, kind)), 500)
    return next((status for family, status in _STATUS if isinstance(error, family)), 500)


def _retry_after(error: errors.ServiceError) -> int | None:
    """Whole seconds, rounded up; from ``retry_after`` (seconds) or ``retry_at`` (a moment)."""
    seconds = getattr(error, "retry_after", None)
    moment = getattr(error, "retry_at", None)
    if isinstance(moment, datetime):
        seconds = (moment - datetime.now(UTC)).total_seconds()
    if seconds is None and isinstance(error, errors.Unavailable):
        seconds = UNAVAILABLE_RETRY_SECONDS
    return max(1, math.ceil(seconds)) if isinstance(seconds, int | float) else None


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: Sequence[Mapping[str, Any]] = error.errors()
    if _is_not_json(request, found):
        return _plain(request, 415)
    if any(one["type"] == "json_invalid" for one in found):
        return _not_json(request)
    return problem(
        request.state.request_id,
        422,
        "validation_failed",
        "Запрос составлен неверно: смотрите errors.",
        errors=[described(one) for one in found],
    )


def _is_not_json(request: Request, found: Sequence[Mapping[str, Any]]) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    has_body = (
        request.headers.get("content-length") not in (None, "0") or "transfer-encoding" in request.headers
    )
    return has_body and not is_json and any(tuple(one["loc"]) == ("body",) for one in found)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI could not even decode the body
        return _not_json(request)
    if error.status_code == 405:  # the router names the methods of one route; others may share its path
        return _plain(request, 405, {"Allow": ", ".join(_methods(request))})
    return _plain(request, error.status_code, error.headers)


def _methods(request: Request) -> list[str]:
    """Those that some route takes at this path."""
    routes = request.app.router.routes
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _not_json(request: Request) -> Response:
    return problem(
        request.state.request_id, 422, "malformed_json", "Тело запроса — не JSON в кодировке UTF-8."
    )


def _plain(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    code, detail = _HTTP.get(status, (f"http_{status}", "Запрос не выполнен."))
    detail = detail.format(root_path=request.app.state.settings.root_path)
    return problem(request.state.request_id, status, code, detail, headers=headers)


async def _database_error(request: Request, error: Exception) -> Response:
    if isinstance(error, asyncpg.DataError):  # a value of ours that PostgreSQL cannot take
        raise error
    log.warning("database unavailable: %s", type(error).__name__)
    return problem(
        request.state.request_id,
        503,
        "database_unavailable",
        "База данных сейчас недоступна. Повторите через несколько секунд.",
        headers={"Retry-After": str(DATABASE_RETRY_SECONDS)},
        retryable=True,
        retry_after=DATABASE_RETRY_SECONDS,
    )
