"""The use cases behind ``/webhooks``. Who changed what stands in the audit, addresses' queries left out."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from uuid import UUID

from app.core.database import Database
from app.domain.access import Caller
from app.domain.errors import Conflict
from app.domain.events import TEST_TYPE, types_named
from app.domain.webhooks import Delivery, Webhook, body_of_test
from app.outside.addresses import AddressGuard
from app.repositories.audit import Audit
from app.repositories.webhook_deliveries import WebhookDeliveries
from app.repositories.webhooks import Webhooks
from app.services.deliver_webhooks import DeliverWebhooks
from app.services.webhook_secrets import WebhookSecrets

MOST_WEBHOOKS = 20


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook with its fresh secret: the only time it is shown."""

    webhook: Webhook
    secret: str = field(repr=False)


class ManageWebhooks:
    """Webhooks as their tenant sees them."""

    def __init__(
        self, database: Database, secrets: WebhookSecrets, guard: AddressGuard, deliver: DeliverWebhooks
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._guard = guard
        self._deliver = deliver

    async def add(
        self, caller: Caller, *, url: str, description: str, types: list[str], active: bool
    ) -> NewSecret:
        """Raises ``AddressRefused``, ``Invalid`` (an unknown type), ``Conflict`` (``too_many_webhooks``)."""
        wanted = types_named(types)
        await self._check(url)
        async with self._database.tenant(caller.tenant_id) as scope:
            webhooks = Webhooks(scope)
            if await webhooks.count() >= MOST_WEBHOOKS:
                raise Conflict(
                    f"Вебхуков уже {MOST_WEBHOOKS}, больше нельзя: удалите лишние.", code="too_many_webhooks"
                )
            webhook_id = await webhooks.add(url, description, wanted, active=active)
            secret = await self._secrets.make(scope, webhook_id)
            await Audit(scope).add(
                caller.actor, "webhook.created", _name(webhook_id), {"types": list(wanted), "active": active}
            )
            return NewSecret(await webhooks.get(webhook_id), secret)

    async def list(self, tenant_id: str, *, page: int, limit: int) -> tuple[list[Webhook], int]:
        """A page, oldest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Webhooks(scope).list(limit=limit, offset=(page - 1) * limit)

    async def get(self, tenant_id: str, webhook_id: UUID) -> Webhook:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await Webhooks(scope).get(webhook_id)

    async def change(
        self,
        caller: Caller,
        webhook_id: UUID,
        *,
        url: str | None,
        description: str | None,
        types: builtins.list[str] | None,
        active: bool | None,
    ) -> Webhook:
        """Changes what is given. ``active=True`` also switches on what the service had switched off."""
        wanted = None if types is None else types_named(types)
        await self.get(caller.tenant_id, webhook_id)
        if url is not None:
            await self._check(url)
        async with self._database.tenant(caller.tenant_id) as scope:
            webhooks = Webhooks(scope)
            before = await webhooks.lock(webhook_id)
            await webhooks.change(
                webhook_id,
                before.url if url is None else url,
                before.description if description is None else description,
                before.types if wanted is None else wanted,
            )
            if active is True and not before.works:
                await webhooks.switch_on(webhook_id)
            if active is False:
                await webhooks.switch_off(webhook_id)
            after = await webhooks.get(webhook_id)
            changed = [
                name
                for name in ("url", "description", "types", "active")
                if _of(before, name) != _of(after, name)
            ]
            await Audit(scope).add(
                caller.actor,
                "webhook.changed",
                _name(webhook_id),
                {"changed": changed, "active": after.works},
            )
        return after

    async def delete(self, caller: Caller, webhook_id: UUID) -> None:
        """Raises ``NotFound``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            await Webhooks(scope).delete(webhook_id)
            await Audit(scope).add(caller.actor, "webhook.deleted", _name(webhook_id))

    async def rotate(self, caller: Caller, webhook_id: UUID, *, keep_old_hours: float) -> NewSecret:
        """A new secret; deliveries carry both signatures until the old one ends."""
        async with self._database.tenant(caller.tenant_id) as scope:
            await Webhooks(scope).lock(webhook_id)
            secret = await self._secrets.make(scope, webhook_id, keep_old=keep_old_hours * 3600)
            await Audit(scope).add(
                caller.actor, "webhook.secret_rotated", _name(webhook_id), {"keep_old_hours": keep_old_hours}
            )
            return NewSecret(await Webhooks(scope).get(webhook_id), secret)

    async def test(self, tenant_id: str, webhook_id: UUID) -> Delivery:
        """Sends a test right away, switched on or not, and gives back how that went."""
        async with self._database.tenant(tenant_id) as scope:
            webhook = await Webhooks(scope).get(webhook_id)
            delivery = await WebhookDeliveries(scope).add_test(webhook_id, TEST_TYPE)
        body = dict(body_of_test(webhook_id, delivery.created_at))
        outcome = await self._deliver.send(tenant_id, delivery, webhook.url, body)
        async with self._database.tenant(tenant_id) as scope:
            await WebhookDeliveries(scope).settle(delivery.id, outcome, wait=None)
            return await WebhookDeliveries(scope).get(webhook_id, delivery.id)

    async def deliveries(
        self, tenant_id: str, webhook_id: UUID, state: str | None, *, page: int, limit: int
    ) -> tuple[builtins.list[Delivery], int]:
        """A page of the log, newest first. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            await Webhooks(scope).get(webhook_id)
            return await WebhookDeliveries(scope).list(
                webhook_id, state, limit=limit, offset=(page - 1) * limit
            )

    async def replay(self, caller: Caller, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """Sends a delivery again, under the same ``webhook-id``. Raises ``Conflict`` where nothing is sent."""
        async with self._database.tenant(caller.tenant_id) as scope:
            webhook = await Webhooks(scope).get(webhook_id)
            delivery = await WebhookDeliveries(scope).get(webhook_id, delivery_id)
            if delivery.event_id is None:
                raise Conflict(
                    "Это была проверка: повторите её через POST …/test.", code="test_delivery_not_replayable"
                )
            if not webhook.works:
                raise Conflict(
                    'Вебхук выключен. Сначала включите его: PUT {"active": true}.', code="webhook_inactive"
                )
            await WebhookDeliveries(scope).replay(webhook_id, delivery_id)
            await Audit(scope).add(
                caller.actor, "webhook.replayed", _name(webhook_id), {"delivery": str(delivery_id)}
            )
            replayed = await WebhookDeliveries(scope).get(webhook_id, delivery_id)
        await self._deliver.start(caller.tenant_id)
        return replayed

    async def _check(self, url: str) -> None:
        await self._guard.addresses(self._guard.target(url))


def _name(webhook_id: UUID) -> str:
    return f"webhook/{webhook_id}"


def _of(webhook: Webhook, name: str) -> object:
    return webhook.works if name == "active" else getattr(webhook, name)
