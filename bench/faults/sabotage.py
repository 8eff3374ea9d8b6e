"""The eight controls: the service with one of its safeties taken out, each of which the run must find.

Patched in from here before the service starts, so that the product holds no switch that could be tripped. A patch that
does not fit the service any more fails loudly: a control that changes nothing would prove nothing.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _nothing() -> None:
    """All is done from outside."""


@dataclass(frozen=True, slots=True)
class Variant:
    """``patch`` runs in the service's process, ``sql`` once on its database, ``settings`` go into its environment."""

    title: str
    patch: Callable[[], None] = _nothing
    sql: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    scene: str = ""
    """The scene that shows it; without one, the storm over the CRM does."""


def no_unique_intents() -> None:
    from app.repositories import deliveries

    conflict = r"ON CONFLICT \(tenant_id, connection_id, entity, external_id\).*?(?=RETURNING)"
    _edit(deliveries, "ENQUEUE", conflict, "")


def blind_retry() -> None:
    """An answer that is late is taken for a failure, and the call is made again."""
    from app.crm.native.connector import NativeConnector
    from app.domain.errors import Ambiguous

    def again(create: Callable[..., Any]) -> Callable[..., Any]:
        async def created(self: NativeConnector, record: Any) -> Any:
            try:
                return await create(self, record)
            except Ambiguous:
                return await create(self, record)

        return created

    for name in ("create_lead", "create_contact"):
        setattr(NativeConnector, name, again(getattr(NativeConnector, name)))


def checkpoint_first() -> None:
    """The place reached is kept before what was read there is."""
    from app.core.failpoints import failpoint
    from app.repositories.leases import Leases
    from app.repositories.runs import Runs
    from app.services import run_scope

    class Undone(Exception):
        pass

    async def save_step(database: Any, run: Any, store: Any) -> None:
        counts = dict(run.counts)
        try:
            async with database.tenant(run.tenant_id) as scope:
                await store(scope)
                raise Undone
        except Undone:
            run.counts = counts
        async with database.tenant(run.tenant_id) as scope:
            await Leases(scope).keep(run.lease, run_scope.RUN_LEASE_SECONDS)
            await Runs(scope).progress(run.lease, run.counts, run.checkpoint)
        failpoint("run.checkpointed")
        async with database.tenant(run.tenant_id) as scope:
            await store(scope)

    run_scope.save_step = save_step


def no_epoch() -> None:
    """Whoever slept past the lease goes on as if nothing had been."""
    from app.repositories import deliveries, leases
    from app.services import delivery_drain

    async def keep(self: Any, lease: Any, seconds: float) -> None:
        """Nobody asks whose the lease is."""

    leases.Leases.keep = keep  # type: ignore[method-assign]
    _edit(deliveries, "SETTLE", r"AND d\.epoch = \$3", "AND $3::bigint IS NOT NULL")
    always = property(lambda self: math.inf, lambda self, value: None)
    delivery_drain.Drain._holds_until = always  # type: ignore[assignment,method-assign]


def page_as_empty() -> None:
    """A page that was not understood counts as one without orders."""
    from app.domain.errors import ServiceError
    from app.domain.kwork import Page, Surface
    from app.services.kwork_client import KworkClient

    read = KworkClient.orders

    async def orders(self: KworkClient, page: int = 1, *more: Any) -> Any:
        try:
            return await read(self, page, *more)
        except ServiceError:
            return Page((), page, None, None, Surface.WEB)

    KworkClient.orders = orders  # type: ignore[method-assign]


def cut_is_failure() -> None:
    """An answer that is cut or is no JSON counts as "it was not done", and the record is made again."""
    from app.crm import http
    from app.crm.native import connector
    from app.domain.errors import Unavailable

    read, parsed = http.FencedHttp.send, connector.parsed

    async def send(self: Any, method: str, *given: Any) -> Any:
        try:
            return await read(self, method, *given)
        except http.Unclear as error:
            if method != "GET" and "within" not in str(error):
                raise http.Unsent("cut") from None
            raise

    def must_be_read(answer: Any) -> Any:
        try:
            return parsed(answer)
        except connector.Unreadable as error:
            raise Unavailable(str(error)) from None

    http.FencedHttp.send = send  # type: ignore[method-assign]
    connector.parsed = must_be_read


def queue_in_redis() -> None:
    """What waits for the CRM waits in Redis, and comes to the table only when that has nothing open."""
    import redis.asyncio

    from app.domain.crm import Entity
    from app.repositories.deliveries import Deliveries, Outgoing

    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2)
    enqueue, claim, due = Deliveries.enqueue, Deliveries.claim, Deliveries.seconds_until_due

    async def into_redis(self: Any, connection_id: Any, run_id: Any, items: Any, **more: Any) -> int:
        rows = [
            json.dumps([item.entity, item.external_id, item.payload, item.payload_hash.hex()])
            for item in items
        ]
        if rows:
            await client.rpush(f"{self._tenant_id}/{connection_id}", *rows)
        return len(rows)

    async def move(self: Any, connection_id: Any) -> None:
        if await due(self, connection_id) is not None:
            return
        for row in await client.lpop(f"{self._tenant_id}/{connection_id}", 5) or ():
            entity, key, payload, digest = json.loads(row)
            item = Outgoing(Entity(entity), key, payload, bytes.fromhex(digest))
            await enqueue(self, connection_id, None, [item])

    async def claimed(self: Any, connection_id: Any, *given: Any) -> Any:
        await move(self, connection_id)
        return await claim(self, connection_id, *given)

    async def until_due(self: Any, connection_id: Any) -> Any:
        await move(self, connection_id)
        return await due(self, connection_id)

    Deliveries.enqueue = into_redis  # type: ignore[method-assign]
    Deliveries.claim = claimed  # type: ignore[method-assign]
    Deliveries.seconds_until_due = until_due  # type: ignore[method-assign]


def _edit(module: Any, name: str, pattern: str, instead: str) -> None:
    text, number = re.subn(pattern, instead, getattr(module, name), flags=re.DOTALL)
    if number == 0:
        raise LookupError(f"{module.__name__}.{name} is not what the control takes apart")
    setattr(module, name, text)


VARIANTS: Mapping[str, Variant] = {
    "no-unique-intents": Variant(
        "нет уникального ключа у намерений",
        no_unique_intents,
        sql="DROP INDEX kwork.deliveries_open",
    ),
    "blind-retry": Variant("слепой повтор после таймаута", blind_retry),
    "checkpoint-first": Variant("отметка раньше намерений", checkpoint_first, scene="resume"),
    "no-epoch": Variant("эпоха не проверяется", no_epoch, scene="freeze"),
    "page-as-empty": Variant("непонятная страница прочитана как пустая", page_as_empty, scene="pages"),
    "cut-is-failure": Variant("обрезанный JSON принят за неудачу", cut_is_failure),
    "no-search-lag": Variant("нет ожидания отставшего поиска", settings={"CRM_SEARCH_LAG_SECONDS": "0"}),
    "queue-in-redis": Variant("очередь только в Redis", queue_in_redis, scene="queue"),
}
