"""The tenant's CRM connector from the settings ``CRM_KIND``, ``CRM_API_URL``, ``CRM_API_KEY`` and ``CRM_SETTINGS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.core.pace import Pace
from app.core.redis import RedisConnection
from app.core.settings import Settings
from app.crm.profile import named_by, profile_in
from app.crm.registry import build_connector, check_settings
from app.domain.crm import CallRate, CrmConnector
from app.domain.errors import Conflict
from app.repositories.connections import CrmConnection

FIRST_TENANT: Final = "default"


class CrmConnectors:
    """Builds a fresh connector per tenant: none is ever shared."""

    def __init__(self, settings: Settings, redis: RedisConnection | None = None) -> None:
        """``redis`` shares the pace towards a CRM between workers; without it each process keeps its own."""
        self._settings = settings
        self._redis = redis
        self._paces: dict[str, Pace] = {}
        self.kind = settings.crm_kind

    @property
    def configured(self) -> bool:
        """True when there is a CRM to send to."""
        return bool(self._settings.crm_api_key) and (
            self.kind != "native" or bool(self._settings.crm_api_url)
        )

    def require(self) -> None:
        """Raises ``Conflict`` (``crm_not_configured``) when there is no CRM to send to."""
        if not self.configured:
            raise Conflict(
                "CRM не подключена: укажите CRM_API_URL и CRM_API_KEY в .env и перезапустите сервис.",
                code="crm_not_configured",
            )

    def check_settings(self) -> None:
        """Raises ``KeyError`` for a kind that is not known, and ``pydantic.ValidationError`` for settings that no
        connection could be made with."""
        given = _GIVEN[self.kind]
        if self.configured:
            check_settings(self.kind, given(self._settings, FIRST_TENANT))

    def connect(self, tenant_id: str, connection: CrmConnection) -> CrmConnector:
        """Close it with ``aclose`` after use."""
        self.require()
        given = _GIVEN[connection.kind](self._settings, tenant_id)
        return build_connector(connection.kind, given, pacing=self.pace_of)

    def pace_of(self, limit: str, rate: CallRate) -> Pace:
        """The one pace of this process for a limit: connectors that share the limit share it."""
        pace = self._paces.get(limit)
        if pace is None or pace.rate != (rate.per_second, rate.burst):
            pace = Pace(self._redis, limit, rate=rate.per_second, burst=rate.burst)
            self._paces[limit] = pace
        return pace


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
