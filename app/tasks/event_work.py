"""Background work around events: hearing of new ones, removing old ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from app.core.bell import DATABASE_AWAY, Bell
from app.core.crypto import SecretBox
from app.core.database import Database
from app.core.settings import Settings
from app.outside.addresses import AddressGuard
from app.repositories.due import DueStreams
from app.repositories.events import CHANNEL, Events
from app.repositories.tenants import all_tenants
from app.repositories.webhook_deliveries import WebhookDeliveries
from app.services.deliver_webhooks import DeliverWebhooks
from app.services.event_streams import EventStreams, StreamLimits
from app.services.manage_webhooks import ManageWebhooks
from app.services.webhook_secrets import WebhookSecrets

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

_SWEEP_EVERY_SECONDS = 3600.0
_SWEEP_AT_ONCE = 5000
_DELIVER_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EventParts:
    """What carries events outside."""

    bell: Bell
    streams: EventStreams
    webhooks: ManageWebhooks
    deliver: DeliverWebhooks


def event_parts(database: Database, box: SecretBox, settings: Settings) -> EventParts:
    """Made once per process; nothing runs yet."""
    bell = Bell(database, CHANNEL)
    limits = StreamLimits(settings.event_streams_per_tenant, settings.event_streams_per_process)
    guard = AddressGuard(allow_private=settings.webhook_allow_private, allowed=settings.webhook_allowed_hosts)
    secrets = WebhookSecrets(box)
    deliver = DeliverWebhooks(database, secrets, guard)
    return EventParts(
        bell,
        EventStreams(database, bell, limits),
        ManageWebhooks(database, secrets, guard, deliver),
        deliver,
    )


@asynccontextmanager
async def event_work(parts: EventParts, database: Database, settings: Settings) -> AsyncIterator[None]:
    """The loops run as long as the block."""

    async def tenants() -> Sequence[str]:
        async with database.scheduler() as connection:
            return await DueStreams(connection).with_webhooks()

    async with loops(
        parts.bell.run(),
        parts.deliver.run(parts.bell, tenants, every_seconds=_DELIVER_EVERY_SECONDS),
        sweep_forever(database, keep_days=settings.events_keep_days),
        name="events",
    ):
        try:
            yield
        finally:
            await parts.deliver.stop()


@asynccontextmanager
async def loops(*work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Tasks that end with the block."""
    tasks = [asyncio.create_task(one, name=name) for one in work]
    for task in tasks:
        task.add_done_callback(_tell_of_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task


def _tell_of_failure(task: asyncio.Task[None]) -> None:
    """These loops never end by themselves: one that does would be missed silently."""
    if not task.cancelled() and task.exception() is not None:
        log.error("background work on %s stopped", task.get_name(), exc_info=task.exception())


async def sweep_forever(database: Database, *, keep_days: float, sleep: Sleep = asyncio.sleep) -> None:
    """Removes what is older than ``keep_days``, every hour, for every tenant."""
    while True:
        try:
            await sweep(database, keep_days=keep_days)
        except DATABASE_AWAY as error:
            log.warning("old events are not removed now: %s", type(error).__name__)
        await sleep(_SWEEP_EVERY_SECONDS)


async def sweep(database: Database, *, keep_days: float) -> int:
    """One round; returns how many events went."""
    swept = 0
    for tenant_id in await tenants_of(database):
        piece = _SWEEP_AT_ONCE
        while piece == _SWEEP_AT_ONCE:
            async with database.tenant(tenant_id) as scope:
                piece = await Events(scope).sweep(keep_days, _SWEEP_AT_ONCE)
            swept += piece
        async with database.tenant(tenant_id) as scope:
            await WebhookDeliveries(scope).sweep_tests(keep_days)
    return swept


async def tenants_of(database: Database) -> Sequence[str]:
    """Every tenant's id."""
    async with database.shared() as connection:
        return await all_tenants(connection)
