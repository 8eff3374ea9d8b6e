"""The demo CRM again, reached by the preset `contract` of the kind `profile`."""

from typing import Any, ClassVar

from app.domain.crm import CrmConnector
from tests.crm_desk import KEY, TENANT
from tests.crm_stands.native import NativeStand


class ProfileStand(NativeStand):
    kind: ClassVar = "profile"

    def settings(self) -> dict[str, Any]:
        return {
            "preset": "contract",
            "base_url": self.url,
            "secrets": {"api_key": KEY},
            "values": {"tenant_id": TENANT},
            "total_timeout_seconds": 60,
        }

    def connector(self, kind: str = "profile", **settings: Any) -> CrmConnector:
        return super().connector(kind, **settings)

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"secrets": {"api_key": secret}}
