"""The demo CRM at a desk of its own.

async with CrmDesk.open() as desk:
    await desk.clear({"repeat": "conflict"})
    connector = desk.connector()
    desk.bad_day("cuts_after_acting", method="POST", count=1)
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx2
from starlette.types import ASGIApp

from app.crm.registry import build_connector
from app.domain.crm import CrmConnector
from sandbox.crm.app import build
from sandbox.crm.faults import bad_day
from tests.desk import Desk

KEY = "desk-key/with+signs="
TENANT = "studio-1"


class CrmDesk(Desk):
    """The contract (`docs/crm-contract.yaml`) and its variants."""

    surface: ClassVar = "crm"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.crm_key = KEY
        self._client = httpx2.AsyncClient(base_url=url, trust_env=False)

    def app(self) -> ASGIApp:
        return build(self.journal, self.faults, self)

    async def aclose(self) -> None:
        await self._client.aclose()

    def connector(self, kind: str = "native", **settings: Any) -> CrmConnector:
        return build_connector(kind, self.settings() | settings)

    async def clear(self, variant: Mapping[str, object] | None = None) -> None:
        """No records, no faults, an empty journal, the real time; and this variant."""
        self.forget()
        answer = await self._client.put("/_demo/variant", json=dict(variant or {}))
        assert answer.status_code == 200, answer.text

    def settings(self) -> dict[str, Any]:
        return {"base_url": self.url, "api_key": KEY, "tenant_id": TENANT, "total_timeout_seconds": 60}

    def bad_day(self, name: str, **where: Any) -> None:
        bad_day(self.faults, name, **where)

    async def edit(self, crm_id: str, changes: Mapping[str, object], tenant: str = TENANT) -> None:
        """A person changes a lead on the CRM's own page."""
        answer = await self._client.patch(
            f"/_demo/leads/{crm_id}", params={"tenant": tenant}, json=dict(changes)
        )
        assert answer.status_code == 200, answer.text

    async def records(self, kind: str = "leads", tenant: str = TENANT) -> list[dict[str, Any]]:
        """What the tenant has, as stored."""
        answer = await self._client.get("/_demo/records", params={"tenant": tenant})
        found: list[dict[str, Any]] = answer.json()[kind]
        return found
