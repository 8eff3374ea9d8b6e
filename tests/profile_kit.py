"""A small profile to change, and a CRM of a few lines behind its connector: no socket, every request recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import orjson

from app.crm.profile import ProfileSettings, profile_connector
from app.crm.profile.connector import ProfileConnector

SMALL = """
version: 1
name: Маленькая CRM
secrets: {api_key: Ключ API}
values: {office: {label: Офис, default: main}}
secret_headers: {X-Key: "{{ secrets.api_key }}"}
lead:
  create:
    path: /leads
    body: {name: "{{ lead.name }}", key: "{{ lead.external_id }}"}
    key: key
  update: {path: "/leads/{{ id }}"}
  find: {path: "/leads?key={{ key }}", rows: items, key: key}
  read: {path: "/leads/{{ id }}", key: key}
contact:
  create: {path: /contacts, body: {name: "{{ contact.name }}"}}
  update: {path: "/contacts/{{ id }}"}
"""
SECRET = "s3cret/key+="

Answer = tuple[int, Any]


class ScriptedCrm(httpx2.AsyncBaseTransport):
    """Answers what its script says to (method, path with query, body): a status and JSON, bytes or a stream."""

    def __init__(self, script: Callable[[str, str, Any], Answer]) -> None:
        self.script = script
        self.calls: list[tuple[str, str, Any]] = []
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = await request.aread()
        call = (request.method, request.url.raw_path.decode(), orjson.loads(sent) if sent else None)
        self.calls.append(call)
        self.requests.append(request)
        await asyncio.sleep(0)  # others come in between, as over a network
        status, body = self.script(*call)
        if isinstance(body, httpx2.AsyncByteStream):
            return httpx2.Response(status, headers={"Content-Type": "application/json"}, stream=body)
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return httpx2.Response(status, headers={"Content-Type": "application/json"}, content=content)

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [call for call in self.calls if call[0] != "GET"]


class Endless(httpx2.AsyncByteStream):
    """A gigabyte in pieces; counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(16_384):
            self.taken += 65_536
            yield b" " * 65_536


def settings(profile: str = SMALL, **given: Any) -> ProfileSettings:
    defaults = {"profile": profile, "base_url": "https://crm.example.com", "secrets": {"api_key": SECRET}}
    return ProfileSettings.model_validate(defaults | given)


def connector(crm: httpx2.AsyncBaseTransport, profile: str = SMALL, **given: Any) -> ProfileConnector:
    return profile_connector(settings(profile, **given), crm)
