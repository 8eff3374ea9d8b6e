"""The tenant's CRM connector from the settings ``CRM_API_URL``, ``CRM_API_KEY`` and ``CRM_SETTINGS``."""

from __future__ import annotations

from typing import Any

from app.core.settings import Settings
from app.crm.registry import build_connector, check_settings
from app.domain.crm import CrmConnector
from app.domain.errors import Conflict
from app.repositories.connections import CrmConnection


class CrmConnectors:
    """Builds a fresh connector per tenant: none is ever shared."""

    kind = "native"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def configured(self) -> bool:
        """True when there is a CRM to send to."""
        return bool(self._settings.crm_api_url and self._settings.crm_api_key)

    def require(self) -> None:
        """Raises ``Conflict`` (``crm_not_configured``) when there is no CRM to send to."""
        if not self.configured:
            raise Conflict(
                "CRM не подключена: укажите CRM_API_URL и CRM_API_KEY в .env и перезапустите сервис.",
                code="crm_not_configured",
            )

    def check_settings(self) -> None:
        """Raises ``pydantic.ValidationError`` for settings that no connection could be made with."""
        if self.configured:
            check_settings(self.kind, self._given("default"))

    def connect(self, tenant_id: str, connection: CrmConnection) -> CrmConnector:
        """Close it with ``aclose`` after use."""
        self.require()
        return build_connector(connection.kind, self._given(tenant_id))

    def _given(self, tenant_id: str) -> dict[str, Any]:
        assert self._settings.crm_api_key is not None
        return {
            **self._settings.crm_settings,
            "base_url": self._settings.crm_api_url,
            "api_key": self._settings.crm_api_key.get_secret_value(),
            "tenant_id": tenant_id,
        }
