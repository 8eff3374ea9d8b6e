"""Carries events to webhooks: at least once, in order where the receiver lets it, for more than a day.

One worker per webhook over all processes (a lease). A delivery is settled after its answer; a process that dies in
between leaves it pending, and whoever takes the lease next sends it again under the same ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.bell import DATABASE_AWAY, Bell
from app.core.crypto import SecretUnreadable
from app.core.database import Database, TenantConnection
from app.core.logging import about
from app.domain.webhooks import Delivery, Outcome, headers, wait_after
from app.outside.addresses import AddressGuard, AddressRefused
from app.outside.courier import TOTAL_SECONDS, Courier, Receipt
from app.repositories.audit import Audit
from app.repositories.leases import Lease, LeaseLost, Leases
from app.repositories.webhook_deliveries import Due, WebhookDeliveries
from app.repositories.webhooks import Webhooks
from app.services.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)

_SERVICE = "service"
"""How the audit names what the service does by itself."""
LEASE_SECONDS = 30.0
"""Longer than resolving a name, connecting and waiting for an answer together."""
_QUEUED_AT_ONCE = 500
_AT_ONCE = 16
_LONGEST_ASKED = 3600.0

GONE = ("gone", "Получатель ответил 410 Gone: он больше не хочет уведомлений.")
FAILING = (
    "failing",
    "Больше суток ни одна попытка не удалась. Проверьте получателя (POST …/test) и включите снова: "
    'PUT {"active": true}.',
)

Tenants = Callable[[], Awaitable[Sequence[str]]]


class DeliverWebhooks:
    """The deliveries of this process."""

    def __init__(
        self,
        database: Database,
        secrets: WebhookSecrets,
        guard: AddressGuard,
        *,
        answer_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._guard = guard
        self._answer_seconds = answer_seconds
        self._holder = f"webhooks-{uuid.uuid4()}"
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._working: dict[tuple[str, UUID], asyncio.Task[None]] = {}

    async def run(self, bell: Bell, tenants: Tenants, *, every_seconds: float) -> None:
        """For ever: a tenant whose bell rang at once, all of them every ``every_seconds``."""
        while True:
            rung = await bell.wait_any(every_seconds)
            try:
                for tenant_id in rung or await tenants():
                    await self.start(tenant_id)
            except DATABASE_AWAY as error:
                log.warning("webhooks wait for the database: %s", type(error).__name__)
                await asyncio.sleep(every_seconds)
            except Exception:
                log.exception("looking for webhooks with work failed unexpectedly")
                await asyncio.sleep(every_seconds)

    async def start(self, tenant_id: str) -> None:
        """Starts a worker for each webhook of the tenant that has something to send."""
        async with self._database.tenant(tenant_id) as scope:
            found = await Webhooks(scope).with_work()
        for webhook_id in found:
            key = (tenant_id, webhook_id)
            if key not in self._working:
                task = asyncio.create_task(self._work_quietly(tenant_id, webhook_id), name="webhook")
                self._working[key] = task
                task.add_done_callback(lambda _, key=key: self._working.pop(key, None))  # type: ignore[misc]

    async def settled(self) -> None:
        """Waits until the workers of this process have nothing due."""
        while self._working:
            await asyncio.wait(self._working.values())

    async def stop(self) -> None:
        """Cancels the workers; what was on its way is sent again later."""
        for task in list(self._working.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def send(
        self,
        tenant_id: str,
        delivery: Delivery,
        url: str,
        body: dict[str, Any],
        courier: Courier | None = None,
    ) -> Outcome:
        """One attempt, signed with every live secret. Never raises for what the receiver does."""
        if courier is None:
            async with self._courier() as made:
                return await self.send(tenant_id, delivery, url, body, made)
        try:
            async with self._database.tenant(tenant_id) as scope:
                keys = await self._secrets.live(scope, delivery.webhook_id)
        except SecretUnreadable:
            return Outcome(False, None, "", "секрет не расшифровывается: выпустите новый (rotate-secret)", 0)
        content = orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z)
        timestamp = int(datetime.now(UTC).timestamp())
        try:
            async with self._slots:
                receipt = await courier.post(
                    url, headers(keys, delivery.message_id, timestamp, content), content
                )
        except AddressRefused as error:
            return Outcome(False, None, "", error.detail, 0)
        return _outcome(receipt)

    def _courier(self) -> Courier:
        return Courier(self._guard, total_seconds=self._answer_seconds)

    async def _work_quietly(self, tenant_id: str, webhook_id: UUID) -> None:
        try:
            with about(tenant=tenant_id, webhook=webhook_id):
                await self._work(tenant_id, webhook_id)
        except LeaseLost:
            log.warning("webhook %s: another process took over", webhook_id)
        except DATABASE_AWAY as error:
            log.warning("webhook %s waits for the database: %s", webhook_id, type(error).__name__)
        except Exception:
            log.exception("webhook %s: delivering failed unexpectedly", webhook_id)

    async def _work(self, tenant_id: str, webhook_id: UUID) -> None:
        async with self._database.tenant(tenant_id) as scope:
            lease = await Leases(scope).take(f"webhook/{webhook_id}", self._holder, LEASE_SECONDS)
        if lease is None:
            return
        try:
            async with self._courier() as courier:
                while due := await self._next(tenant_id, webhook_id, lease):
                    outcome = await self.send(tenant_id, due.delivery, due.url, due.event.body(), courier)
                    await self._settle(tenant_id, due, outcome, lease)
        finally:
            async with self._database.tenant(tenant_id) as scope:
                await Leases(scope).give_back(lease)

    async def _next(self, tenant_id: str, webhook_id: UUID, lease: Lease) -> Due | None:
        async with self._database.tenant(tenant_id) as scope:
            await Leases(scope).keep(lease, LEASE_SECONDS)
            deliveries = WebhookDeliveries(scope)
            while await deliveries.queue(webhook_id, _QUEUED_AT_ONCE):
                continue
            return await deliveries.next(webhook_id)

    async def _settle(self, tenant_id: str, due: Due, outcome: Outcome, lease: Lease) -> None:
        webhook_id, attempts = due.delivery.webhook_id, due.delivery.attempts + 1
        jitter = random.uniform(0.9, 1.2)  # noqa: S311
        async with self._database.tenant(tenant_id) as scope:
            await Leases(scope).keep(lease, LEASE_SECONDS)
            deliveries = WebhookDeliveries(scope)
            if outcome.ok:
                await deliveries.settle(due.delivery.id, outcome, wait=None)
                await deliveries.note_success(webhook_id)
                return
            own, common = wait_after(attempts), wait_after(due.failures + 1)
            wait = None if own is None or outcome.gone else max(own * jitter, outcome.asked_to_wait)
            await deliveries.settle(due.delivery.id, outcome, wait=wait)
            await deliveries.note_failure(webhook_id, max((common or 0.0) * jitter, outcome.asked_to_wait))
            if outcome.gone or common is None:
                await self._disable(scope, webhook_id, *(GONE if outcome.gone else FAILING))

    async def _disable(self, scope: TenantConnection, webhook_id: UUID, code: str, detail: str) -> None:
        await Webhooks(scope).disable(webhook_id, code, detail)
        await Audit(scope).add(_SERVICE, "webhook.disabled", f"webhook/{webhook_id}", {"reason": code})
        log.warning("webhook %s is switched off: %s", webhook_id, code)


def _outcome(receipt: Receipt) -> Outcome:
    status, error = receipt.status, receipt.error
    ok = status is not None and 200 <= status < 300
    if not ok and error is None:
        error = f"получатель ответил {status}, а нужно 2xx"
    asked = receipt.retry_after or ""
    seconds = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0.0
    return Outcome(
        ok,
        status,
        receipt.answer,
        None if ok else error,
        receipt.milliseconds,
        min(seconds, _LONGEST_ASKED),
    )
