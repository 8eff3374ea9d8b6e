"""The routes of API v4 that a connector needs."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.amocrm import writing
from sandbox.amocrm.account import USER, Account
from sandbox.amocrm.answers import Refused, hal, http_refusal, missing, refusal
from sandbox.amocrm.lists import incoming, page, selected, shown_of
from sandbox.amocrm.tokens import Tokens

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """Handlers over an account; every call but the exchange of tokens is admitted first."""

    def __init__(self, account: Account, tokens: Tokens) -> None:
        self.account, self.tokens = account, tokens
        self._calls: deque[float] = deque()

    def routes(self) -> list[Route]:
        root = "/api/v4"
        return [
            Route("/oauth2/access_token", self.grant, methods=["POST"]),
            Route(f"{root}/account", self._admitted(self.read_account)),
            Route(f"{root}/leads/pipelines", self._admitted(self.pipelines)),
            Route(f"{root}/leads/complex", self._admitted(self.complex), methods=["POST"]),
            Route(f"{root}/leads/link", self._admitted(self.link_many), methods=["POST"]),
            Route(f"{root}/leads/{{id:int}}/link", self._admitted(self.link), methods=["POST"]),
            Route(f"{root}/leads/{{id:int}}/notes", self._admitted(self.add_notes), methods=["POST"]),
            Route(
                f"{root}/{{entity}}/custom_fields",
                self._admitted(self.custom_fields),
                methods=["GET", "POST"],
            ),
            Route(f"{root}/{{entity}}/{{id:int}}", self._admitted(self.record), methods=["GET", "PATCH"]),
            Route(f"{root}/{{entity}}", self._admitted(self.collection), methods=["GET", "POST", "PATCH"]),
        ]

    def exception_handlers(self) -> dict[Any, Callable[[Request, Any], Awaitable[Response]]]:
        return {Refused: refusal, HTTPException: http_refusal}

    async def grant(self, request: Request) -> Response:
        granted = self.tokens.grant(incoming(request).json)
        request.state.entry.decide("tokens granted")
        return Response(_plain_json(granted), media_type="application/json")

    async def read_account(self, request: Request) -> Response:
        habits = self.account.habits
        return hal({"id": 31099, "name": "Студия", "currency": habits.currency, "current_user_id": USER})

    async def pipelines(self, request: Request) -> Response:
        return page(request, "pipelines", self.account.pipelines)

    async def collection(self, request: Request) -> Response:
        entity = self._entity(request)
        if request.method == "GET":
            return page(request, entity, selected(request, self.account, entity))
        rows = writing.rows_of(request)
        changing = request.method == "PATCH"
        writing.check(self.account, entity, rows, changing=changing)
        if changing:
            done = [writing.change(request, self.account, entity, row["id"], row) for row in rows]
        else:
            done = [writing.create(request, self.account, entity, row) for row in rows]
        told = [
            {"id": record["id"], "request_id": str(row.get("request_id", number))}
            for number, (row, record) in enumerate(zip(rows, done, strict=True))
        ]
        return hal({"_links": {}, "_embedded": {entity: told}})

    async def record(self, request: Request) -> Response:
        entity, record_id = self._entity(request), request.path_params["id"]
        if record_id not in self.account.records[entity]:
            raise missing()
        if request.method == "PATCH":
            body = incoming(request).json
            body = {**body, "id": record_id} if isinstance(body, dict) else body
            writing.check(self.account, entity, [body], changing=True)
            changed = writing.change(request, self.account, entity, record_id, body)
            return hal({"id": record_id, "updated_at": changed["updated_at"]})
        return hal(shown_of(self.account.records[entity][record_id]))

    async def complex(self, request: Request) -> Response:
        rows = writing.rows_of(request, writing.COMPLEX_CAP)
        writing.check(self.account, "leads", rows, changing=False)
        return hal([writing.create_complex(request, self.account, row) for row in rows])

    async def link(self, request: Request) -> Response:
        rows = [{"entity_id": request.path_params["id"], **row} for row in writing.rows_of(request)]
        return self._link(request, rows)

    async def link_many(self, request: Request) -> Response:
        return self._link(request, writing.rows_of(request))

    async def add_notes(self, request: Request) -> Response:
        lead_id = request.path_params["id"]
        if lead_id not in self.account.records["leads"]:
            raise missing()
        rows = writing.rows_of(request)
        if not all(row.get("note_type") == "common" and row["params"]["text"] for row in rows):
            raise Refused(400, "Bad Request", "Request validation failed")
        made = [self.account.add_note(lead_id, row) for row in rows]
        for one in made:
            writing.note(request, "note added", one)
        told = [{"id": one["id"], "entity_id": lead_id, "request_id": "0"} for one in made]
        return hal({"_embedded": {"notes": told}})

    async def custom_fields(self, request: Request) -> Response:
        entity = self._entity(request)
        known = self.account.fields[entity]
        if request.method == "GET":
            return page(request, "custom_fields", known)
        rows = writing.rows_of(request)
        taken = {field["code"] for field in known}
        if any(row.get("code") in taken for row in rows):
            raise Refused(400, "Bad Request", "Field with this code already exists")
        made = [self.account.add_field(entity, row) for row in rows]
        for one in made:
            writing.note(request, "field created", one)
        return hal({"_total_items": len(made), "_embedded": {"custom_fields": made}}, 201)

    def _link(self, request: Request, rows: list[Any]) -> Response:
        for row in rows:
            writing.link(request, self.account, row["entity_id"], row["to_entity_id"])
        return hal({"_total_items": len(rows), "_embedded": {"links": rows}})

    def _entity(self, request: Request) -> str:
        entity: str = request.path_params["entity"]
        if entity not in self.account.records:
            raise missing()
        return entity

    def _admitted(self, handler: Handler) -> Handler:
        async def admitted(request: Request) -> Response:
            self._count(request)
            if not self.tokens.admits(incoming(request).headers.get("authorization", "")):
                raise Refused(401, "Unauthorized", "Неверный логин или пароль")
            return await handler(request)

        return admitted

    def _count(self, request: Request) -> None:
        """Raises `Refused` (429) for what comes too quickly."""
        limit = self.account.habits.per_second
        now = self.account.now()
        while self._calls and self._calls[0] <= now - 1:
            self._calls.popleft()
        self._calls.append(now)
        if limit is not None and len(self._calls) > limit:
            raise Refused(429, "Too Many Requests", "Request limit exceeded")


def _plain_json(body: Any) -> bytes:
    return bytes(hal(body).body)
