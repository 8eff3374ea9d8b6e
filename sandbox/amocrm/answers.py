"""Answers in the vendor's two media types, and the refusals it documents."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sandbox.amocrm.validation import Problem

HAL = "application/hal+json"


class Refused(Exception):
    """An `application/problem+json` answer."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "title": title,
            "type": f"https://httpstatus.es/{status}",
            "status": status,
            "detail": detail,
        } | more


def invalid(problems: dict[str, Sequence[Problem]]) -> Refused:
    """By request id, as it came or as the record's number in the list."""
    rows = [{"request_id": one, "errors": list(errors)} for one, errors in problems.items()]
    return Refused(400, "Bad Request", "Request validation failed", **{"validation-errors": rows})


def missing() -> Refused:
    return Refused(404, "Not Found", "Сущность не найдена")


def hal(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=HAL)


async def refusal(request: Request, error: Refused) -> Response:
    return Response(orjson.dumps(error.body), error.status, media_type="application/problem+json")


async def http_refusal(request: Request, error: HTTPException) -> Response:
    return await refusal(request, Refused(error.status_code, "Error", str(error.detail)))
