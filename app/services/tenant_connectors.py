"""Connections that tenants made themselves: their secrets sealed and opened, their connectors built and guarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from app.core.crypto import SecretBox, SecretUnreadable
from app.crm.registry import CRM_KINDS, ConnectionSettings, build_connector
from app.crm.secret_fields import validated, with_secrets
from app.domain.connections import SettingsInvalid
from app.domain.crm import CrmConnector
from app.domain.errors import Conflict
from app.domain.tokens import TokenKeeper
from app.outside.addresses import AddressGuard, AddressRefused
from app.repositories.connections import CrmConnection
from app.repositories.sealed import connection_place
from app.services.crm_paces import CrmPaces

Secrets = Mapping[str, str]
"""By the names in ``CrmKind.secrets``; of a profile, by the profile's own."""

_UNREADABLE: Final = (
    "Секреты подключения «{name}» не открываются: ключ, которым они зашифрованы, пропал из CREDENTIALS_KEYS. "
    "Верните ключ или задайте секреты заново (PUT /api/v1/crm/connection/{{id}})."
)
_OUTDATED: Final = (
    "Настройки подключения «{name}» не подходят этой версии сервиса: задайте их заново "
    "(PUT /api/v1/crm/connection/{{id}})."
)


@dataclass(frozen=True, slots=True)
class TenantConnectors:
    """Nothing that is opened here is kept."""

    box: SecretBox
    guard: AddressGuard
    keeper: Callable[[str, UUID], TokenKeeper]
    """Of a connection's OAuth tokens."""
    pacing: CrmPaces = field(default_factory=CrmPaces)

    def seal(self, tenant_id: str, connection_id: UUID, secrets: Secrets) -> bytes | None:
        if not secrets:
            return None
        return self.box.seal(orjson.dumps(dict(secrets)), connection_place(tenant_id, connection_id))

    def secrets(self, tenant_id: str, connection: CrmConnection) -> dict[str, str]:
        """Raises ``Conflict`` (``connection_unreadable``)."""
        if connection.secrets_sealed is None:
            return {}
        try:
            opened = self.box.unseal(connection.secrets_sealed, connection_place(tenant_id, connection.id))
        except SecretUnreadable:
            raise Conflict(_UNREADABLE.format(name=connection.name), code="connection_unreadable") from None
        found: dict[str, str] = orjson.loads(opened)
        return found

    def connect(self, tenant_id: str, connection: CrmConnection) -> CrmConnector:
        """Raises ``Conflict``: ``connection_unreadable``, ``connection_outdated``."""
        secrets = self.secrets(tenant_id, connection)
        keeper = self.keeper(tenant_id, connection.id)
        try:
            return self.build(tenant_id, connection.kind, connection.settings, secrets, keeper)
        except (SettingsInvalid, KeyError):
            raise Conflict(_OUTDATED.format(name=connection.name), code="connection_outdated") from None

    def build(
        self,
        tenant_id: str,
        kind: str,
        settings: Mapping[str, Any],
        secrets: Secrets,
        keeper: TokenKeeper | None,
    ) -> CrmConnector:
        """Raises ``SettingsInvalid``. Each of its calls is judged by the guard."""
        settings = completed(tenant_id, kind, settings)
        validated(kind, settings, secrets)
        return build_connector(
            kind, with_secrets(kind, settings, secrets), keeper, guard=self.guard, pacing=self.pacing
        )

    def validated(
        self, tenant_id: str, kind: str, settings: Mapping[str, Any], secrets: Secrets
    ) -> ConnectionSettings:
        """Raises ``SettingsInvalid``."""
        return validated(kind, completed(tenant_id, kind, settings), secrets)

    async def judge(self, kind: str, settings: ConnectionSettings) -> None:
        """Raises ``AddressRefused`` for an address the service must not call."""
        try:
            await self.guard.addresses(self.guard.target(settings.address))
        except AddressRefused as refused:
            field = "secrets.webhook_url" if "webhook_url" in CRM_KINDS[kind].secrets else "settings.base_url"
            raise AddressRefused(refused.detail, field=field, code=refused.code) from None


def completed(tenant_id: str, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The tenant's id in its own CRM is ours, unless it is said otherwise."""
    if kind == "native":
        return {"tenant_id": tenant_id, **settings}
    return dict(settings)
