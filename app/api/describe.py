"""OpenAPI: documents every error of a route as problem+json, the tenant header and the gateway's prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api.edge import API_PREFIX
from app.api.problems import MEDIA_TYPE, TYPE_PREFIX
from app.models.schemas import Problem

DESCRIPTION = """
Connects seller accounts of the freelance marketplace **Kwork.ru** to a multi-tenant CRM.

* Every route needs `Authorization: Bearer <token>` unless it says otherwise; the tenant comes from the token.
  The tenant header may repeat it, and must not contradict it. Machines send a key instead (`POST api-keys`), there or in
  `X-API-Key`.
* Roles: a *viewer* reads, an *operator* acts, an *admin* manages accounts. Keys have scopes besides: *read*, *write* (what
  operators change), *admin* (what only admins may).
* Every error is `application/problem+json` with a stable `code`; `detail` is a Russian sentence for the operator.
* Money is in roubles, moments are ISO 8601 in UTC. Lists are `{items, page, limit, total, next_cursor}`.
* A user has `RATE_LIMIT_PER_MINUTE` requests in any minute, over all processes: every answer tells what is left
  (`RateLimit`, `RateLimit-Policy`), 429 `too_many_requests` when to come back (`Retry-After`).
* Another tenant's id answers exactly like one that does not exist.
"""

TAGS = [
    {"name": "auth", "description": "Signing in to the service."},
    {"name": "api-keys", "description": "Keys for machines; people's tokens come from signing in."},
    {"name": "audit", "description": "Who did what; written by the service, changed by nobody."},
    {"name": "accounts", "description": "Kwork accounts of the tenant."},
    {"name": "orders", "description": "Projects of the exchange and orders the accounts sell."},
    {
        "name": "searches",
        "description": "Saved searches on the exchange: what they find becomes leads by itself.",
    },
    {"name": "gigs", "description": "Gigs (кворки) of the accounts."},
    {"name": "chat", "description": "Dialogs and messages."},
    {"name": "files", "description": "Uploads that wait to be sent to Kwork."},
    {
        "name": "writes",
        "description": "What goes to Kwork: each sent at most once, or looked up; and the ledger of it.",
    },
    {"name": "crm-connections", "description": "CRMs that the tenant's leads and contacts go to."},
    {"name": "crm-sync", "description": "Leads and contacts on their way to the CRM."},
    {"name": "events", "description": "What happens, as it happens: a stream."},
    {"name": "webhooks", "description": "The same events, sent to an address of the tenant, signed."},
    {"name": "health", "description": "For whoever runs the service; without a token."},
]

_EXAMPLES: dict[int, tuple[str, str, str]] = {
    401: ("token_missing", "Нужен заголовок Authorization: Bearer <токен>.", "No valid token."),
    403: ("role_too_low", "Для этого нужна роль admin.", "The role does not suffice, or the tenant differs."),
    404: ("not_found", "Такого аккаунта нет.", "Not there, or another tenant's; or an unknown tenant."),
    408: (
        "upload_too_slow",
        "Загрузка не уложилась в 900 с. Загрузите файлы по одному или повторите.",
        "The body did not arrive whole in time.",
    ),
    409: (
        "account_exists",
        "Аккаунт с таким логином Kwork уже подключён.",
        "The state of things forbids it now.",
    ),
    413: ("body_too_large", "Тело запроса слишком большое.", "The body exceeds `MAX_BODY_BYTES`."),
    415: ("unsupported_media_type", "Тело запроса нужно в JSON.", "The body is not declared as JSON."),
    422: (
        "validation_failed",
        "Запрос составлен неверно: смотрите errors.",
        "Something in the request is wrong.",
    ),
    429: (
        "too_many_logins",
        "Слишком много попыток входа. Подождите и повторите.",
        "Too often; see `Retry-After`.",
    ),
    502: (
        "layout_changed",
        "Kwork ответил не так, как ожидалось.",
        "Kwork or the CRM refused or is not understood.",
    ),
    503: ("database_unavailable", "База данных сейчас недоступна.", "Try again after `Retry-After` seconds."),
    507: (
        "storage_full",
        "На диске сервиса кончилось место: файлы не сохранены. Сообщите администратору.",
        "The service's disk is full; nothing was kept.",
    ),
    500: (
        "internal_error",
        "Внутренняя ошибка сервиса.",
        "A fault of the service; the log knows the request id.",
    ),
}


def problems(*statuses: int, open_to_all: bool = False) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: the named errors and those every route can have."""
    always = (422, 500, 503) if open_to_all else (401, 403, 404, 422, 429, 500, 503)
    return {status: _described(status) for status in sorted({*always, *statuses})}


def _described(status: int) -> dict[str, Any]:
    code, detail, description = _EXAMPLES[status]
    example = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "3f2a9c0d4b5e6f708192a3b4",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": description, "content": content}


def document_of(app: FastAPI, *, tenant_header: str, root_path: str) -> Callable[[], dict[str, Any]]:
    """The function that FastAPI asks for the document; built once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, description=DESCRIPTION, tags=TAGS, routes=app.routes
            )
            _, models = models_json_schema(
                [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
            )
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(models["$defs"])
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            _add_key_scheme(found)
            _add_tenant_header(found, tenant_header)
            _add_body_refusals(found)
            _behind_gateway(found, root_path)
            app.openapi_schema = found
        return app.openapi_schema

    return document


def _add_key_scheme(found: dict[str, Any]) -> None:
    """Whatever takes a token takes a key in a header of its own as well."""
    found["components"].setdefault("securitySchemes", {})["key"] = {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A machine's key (`kws_…`), from `POST /api/v1/api-keys`.",
    }
    for path in found["paths"].values():
        for operation in path.values():
            if operation.get("security"):
                operation["security"].append({"key": []})


def _add_tenant_header(found: dict[str, Any], name: str) -> None:
    parameter = {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 64},
        "description": "May repeat the token's tenant; names it for tokens of type `internal`.",
    }
    for path in found["paths"].values():
        for operation in path.values():
            if operation.get("security"):
                operation.setdefault("parameters", []).append(parameter)


def _add_body_refusals(found: dict[str, Any]) -> None:
    """Whatever takes a body may find it too large, too slow, or no JSON."""
    for path in found["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                for status in (408, 413, 415):
                    operation["responses"].setdefault(str(status), _described(status))


def _behind_gateway(found: dict[str, Any], root_path: str) -> None:
    """A gateway shows ``/api/v1`` as ``root_path``."""
    if root_path:
        found["servers"] = [{"url": root_path}]
        found["paths"] = {
            path.removeprefix(API_PREFIX): item
            for path, item in found["paths"].items()
            if path.startswith(API_PREFIX)
        }
