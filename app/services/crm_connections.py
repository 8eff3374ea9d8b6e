"""The connections a tenant's leads go to, and their connectors: of the settings ``CRM_KIND``, ``CRM_API_URL``,
``CRM_API_KEY`` and ``CRM_SETTINGS``, and of what the tenant connected itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError

from app.core.database import TenantConnection
from app.core.settings import Settings
from app.crm.profile import named_by, profile_in
from app.crm.registry import CRM_KINDS, build_connector, check_settings, place_of
from app.domain.connections import ConnectionMode, ConnectionOrigin
from app.domain.crm import CrmConnector
from app.domain.errors import Conflict
from app.repositories.connections import Connections, CrmConnection
from app.services.crm_paces import CrmPaces
from app.services.tenant_connectors import TenantConnectors

FIRST_TENANT: Final = "default"


class CrmConnectors:
    """Builds a fresh connector per tenant and connection: none is ever shared."""

    def __init__(
        self, settings: Settings, own: TenantConnectors | None = None, pacing: CrmPaces | None = None
    ) -> None:
        """``own`` opens what tenants connected; without it only the CRM of the settings is known."""
        self._settings = settings
        self._own = own
        self._pacing = pacing or CrmPaces()

    @property
    def kind(self) -> str | None:
        """Of the CRM of the settings; ``None``: they name none."""
        return self._settings.crm_kind if self.configured else None

    @property
    def configured(self) -> bool:
        """True when the settings name a CRM, which then is every tenant's."""
        return bool(self._settings.crm_api_key) and (
            self._settings.crm_kind != "native" or bool(self._settings.crm_api_url)
        )

    async def targets(self, scope: TenantConnection) -> tuple[CrmConnection, ...]:
        """Where leads and contacts are queued. Raises ``Conflict``: ``crm_not_configured``, ``crm_not_live``."""
        known = await Connections(scope).list(self.kind)
        if not known:
            raise Conflict(
                "CRM не подключена: подключите её (PUT /api/v1/crm/connection) или укажите CRM_API_URL и "
                "CRM_API_KEY в .env и перезапустите сервис.",
                code="crm_not_configured",
            )
        found = tuple(one for one in known if one.mode is not ConnectionMode.PREVIEW)
        if not found:
            raise Conflict(
                "CRM подключена только на пробу: включите подключение "
                '(POST /api/v1/crm/connection/{id}/mode с {"mode": "live"}).',
                code="crm_not_live",
            )
        return found

    def check_settings(self) -> None:
        """Raises ``KeyError`` for a kind that is not known, and ``pydantic.ValidationError`` for settings that no
        connection could be made with."""
        given = _GIVEN[self._settings.crm_kind]
        if self.kind is not None:
            check_settings(self.kind, given(self._settings, FIRST_TENANT))

    def place_for(self, tenant_id: str) -> str | None:
        """Which CRM the settings mean for that tenant, as ``place_of`` tells it; ``None``: none that can be used."""
        if self.kind is None:
            return None
        given = _GIVEN[self.kind](self._settings, tenant_id)
        with suppress(ValidationError):
            return place_of(tenant_id, self.kind, CRM_KINDS[self.kind].settings_model.model_validate(given))
        return None

    def connect(self, tenant_id: str, connection: CrmConnection) -> CrmConnector:
        """Close it with ``aclose`` after use. Raises ``Conflict`` for a connection that does not open."""
        if connection.origin is ConnectionOrigin.API and self._own is not None:
            return self._own.connect(tenant_id, connection)
        if not self.configured:
            raise Conflict(
                "CRM_API_KEY больше не задан, а подключение «default» описано только им: верните его в .env "
                "или удалите подключение.",
                code="crm_not_configured",
            )
        try:
            given = _GIVEN[connection.kind](self._settings, tenant_id)
            return build_connector(connection.kind, given, pacing=self._pacing)
        except (ValueError, KeyError):  # pydantic's ``ValidationError`` is a ``ValueError``
            raise Conflict(
                f"Подключение «{connection.name}» не подходит к настройкам CRM_* в .env: там другая CRM или другой "
                "ключ. Исправьте .env или удалите подключение.",
                code="connection_outdated",
            ) from None


def _native(settings: Settings, tenant_id: str) -> dict[str, Any]:
    return {
        **settings.crm_settings,
        "base_url": settings.crm_api_url,
        "api_key": _key(settings),
        "tenant_id": tenant_id,
    }


def _bitrix24(settings: Settings, tenant_id: str) -> dict[str, Any]:
    """The key is the webhook's address. Tenants who share the portal are told apart by the mark of their records."""
    mark = str(settings.crm_settings.get("originator", "KWORK"))
    return {
        **settings.crm_settings,
        "webhook_url": _key(settings),
        "originator": mark if tenant_id == FIRST_TENANT else f"{mark}-{tenant_id}",
    }


def _profile(settings: Settings, tenant_id: str) -> dict[str, Any]:
    """The key is the profile's first secret unless the settings name it. The tenant goes where the profile asks for
    it; tenants of a CRM that does not ask are told apart by a prefix of their keys."""
    given = dict(settings.crm_settings)
    if file := given.pop("profile_file", None):
        given["profile"] = profile_in(str(file))
    secrets, values = named_by(given)
    own = str(given.get("key_prefix", ""))
    asks = "tenant_id" in values
    return {
        **given,
        "base_url": settings.crm_api_url or given.get("base_url"),
        "secrets": {**dict.fromkeys(secrets[:1], _key(settings)), **given.get("secrets", {})},
        "values": {**({"tenant_id": tenant_id} if asks else {}), **given.get("values", {})},
        "key_prefix": own if asks or tenant_id == FIRST_TENANT else f"{own}{tenant_id}/",
    }


def _amocrm(settings: Settings, tenant_id: str) -> dict[str, Any]:
    """The key is a long-lived token. Tenants who share the account are told apart by a prefix of their keys."""
    own = str(settings.crm_settings.get("key_prefix", ""))
    return {
        **settings.crm_settings,
        "base_url": settings.crm_api_url,
        "api_key": _key(settings),
        "key_prefix": own if tenant_id == FIRST_TENANT else f"{own}{tenant_id}/",
    }


def _key(settings: Settings) -> str:
    assert settings.crm_api_key is not None
    return settings.crm_api_key.get_secret_value()


_GIVEN: Final[Mapping[str, Callable[[Settings, str], dict[str, Any]]]] = {
    "amocrm": _amocrm,
    "bitrix24": _bitrix24,
    "native": _native,
    "profile": _profile,
}
