"""The demo CRM on a real loopback port inside the test's own event loop, its journal and faults in reach.

async with CrmDesk.open(Variant(repeat="conflict")) as desk:
    connector = desk.connector()
    desk.bad_day("cuts_after_acting", method="POST", count=1)
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

import httpx2
import uvicorn

from app.crm.registry import build_connector
from app.domain.crm import CrmConnector
from sandbox.crm.app import build
from sandbox.crm.faults import bad_day
from sandbox.crm.variant import Variant
from sandbox.faults import Faults
from sandbox.journal import Entry, Journal
from sandbox.server import listen, url_of

KEY = "desk-key/with+signs="
TENANT = "studio-1"
DEADLINE_SECONDS = 60.0


class CrmDesk:
    """`url` is the CRM's root; times of the CRM are `journal.now`, moved by `later`."""

    def __init__(self, url: str, journal: Journal, faults: Faults) -> None:
        self.url, self.journal, self.faults = url, journal, faults
        self.crm_key = KEY
        self._offset = 0.0
        self._client = httpx2.AsyncClient(base_url=url, trust_env=False)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, variant: Variant | None = None) -> AsyncIterator[Self]:
        sock = listen("127.0.0.1", 0)
        desk = cls(url_of(sock), Journal(lambda: time.time() + desk._offset), Faults())
        app = build(desk.journal, desk.faults, desk, variant)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off"))
        running = asyncio.create_task(server._serve([sock]))
        try:
            yield desk
        finally:
            await desk._client.aclose()
            server.should_exit = server.force_exit = True
            await asyncio.wait([running], timeout=DEADLINE_SECONDS)
            sock.close()

    def connector(self, kind: str = "native", **settings: Any) -> CrmConnector:
        return build_connector(kind, self.settings(kind) | settings)

    async def clear(self, variant: Mapping[str, object] | None = None) -> None:
        """No records, no faults, an empty journal, the real time; and this variant."""
        self.faults.clear()
        self.journal.clear()
        self._offset = 0.0
        answer = await self._client.put("/_demo/variant", json=dict(variant or {}))
        assert answer.status_code == 200, answer.text

    def settings(self, kind: str = "native") -> dict[str, Any]:
        return {"base_url": self.url, "api_key": KEY, "tenant_id": TENANT, "total_timeout_seconds": 60}

    def bad_day(self, name: str, **where: Any) -> None:
        bad_day(self.faults, name, **where)

    def later(self, seconds: float) -> None:
        """Moves the CRM's clock."""
        self._offset += seconds

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something came true in the CRM. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110 the journal has no event for it
                await asyncio.sleep(0.01)

    def writes(self) -> list[Entry]:
        """POST, PATCH and PUT that arrived."""
        return [entry for entry in self.journal.entries if entry.method != "GET"]

    def done(self) -> list[str]:
        """What the CRM did, in order: `lead created`, `contact updated` …"""
        return [what for entry in self.journal.entries for what in entry.decided if "fault" not in what]

    async def records(self, kind: str = "leads", tenant: str = TENANT) -> list[dict[str, Any]]:
        """What the tenant has, as stored."""
        answer = await self._client.get("/_demo/records", params={"tenant": tenant})
        found: list[dict[str, Any]] = answer.json()[kind]
        return found
