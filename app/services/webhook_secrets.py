"""Secrets that sign deliveries: made, sealed, and opened for the moment of signing."""

from __future__ import annotations

from uuid import UUID, uuid4

from app.core.crypto import SecretBox
from app.core.database import TenantConnection
from app.domain.webhooks import new_secret
from app.repositories.sealed import webhook_secret_place
from app.repositories.webhooks import Webhooks


class WebhookSecrets:
    """Each is bound to tenant, row and field."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    async def make(self, scope: TenantConnection, webhook_id: UUID, *, keep_old: float = 0.0) -> str:
        """A new secret, shown this once; the one before signs ``keep_old`` seconds longer."""
        secret, secret_id = new_secret(), uuid4()
        sealed = self._box.seal(secret.encode(), webhook_secret_place(scope.tenant_id, secret_id))
        await Webhooks(scope).add_secret(secret_id, webhook_id, sealed, keep_old=keep_old)
        return secret

    async def live(self, scope: TenantConnection, webhook_id: UUID) -> list[str]:
        """Those that sign now, newest first. Raises ``SecretUnreadable``."""
        return [
            self._box.unseal(sealed, webhook_secret_place(scope.tenant_id, secret_id)).decode()
            for secret_id, sealed in await Webhooks(scope).secrets(webhook_id)
        ]
