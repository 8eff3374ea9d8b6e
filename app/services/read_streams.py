"""What the schedule's jobs do: one stream of one account, read under a lease; then when it is read next."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from uuid import UUID

import structlog

from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.core.metrics import reading_failed
from app.core.patience import when_database_is_back
from app.domain.errors import CapabilityUnavailable, NotFound, RateLimited, ServiceError
from app.domain.live import Hint
from app.repositories.connections import Connections
from app.repositories.leases import Lease, LeaseLost, Leases
from app.repositories.schedule import NEWS, OFFERS, ORDERS, AccountSchedule, Taken
from app.services.account_states import StateForbids
from app.services.crm_connections import CrmConnectors
from app.services.pace_of_reading import Pace
from app.services.read_news import ReadNews
from app.services.run_scope import RUN_LEASE_SECONDS
from app.services.sync import ORDERS as ORDERS_RUN
from app.services.sync import Sync, SyncRequest

log = structlog.get_logger(__name__)

_SETTLE_SECONDS = 60.0
_WITHOUT_HINT = Hint(orders=True, dialogs=True)
_CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class _Work:
    """A stream that is being read."""

    tenant_id: str
    account_id: UUID
    stream: str
    taken: Taken
    lease: Lease
    targets: tuple[UUID, ...]
    """CRM connections that are told."""


@dataclass(frozen=True, slots=True)
class _Next:
    """``pause``: seconds from the beginning of this reading; ``None``: only for a hint. ``reason``: why it failed."""

    pause: float | None
    reason: str | None = None


class ReadStreams:
    """Never raises for what Kwork, a CRM or a bug does: the schedule goes on, slower."""

    def __init__(
        self, database: Database, news: ReadNews, sync: Sync, connectors: CrmConnectors, pace: Pace
    ) -> None:
        self._database = database
        self._news = news
        self._sync = sync
        self._connectors = connectors
        self._pace = pace
        self._holder = f"reader-{uuid.uuid4()}"

    async def read(self, tenant_id: str, account_id: UUID, stream: str) -> None:
        """Reads it now. Nothing happens when the account is gone or is not read any more."""
        work = await self._begin(tenant_id, account_id, stream)
        if work is None:
            return
        try:
            following = await self._outcome(work)
            # Unsettled, the stream would rest for a quarter of an hour.
            await when_database_is_back(lambda: self._settle(work, following), seconds=_SETTLE_SECONDS)
        except LeaseLost:
            log.info("stream_is_read_elsewhere", account=str(account_id), stream=stream)

    async def _begin(self, tenant_id: str, account_id: UUID, stream: str) -> _Work | None:
        async with self._database.tenant(tenant_id) as scope:
            taken = await AccountSchedule(scope).take(account_id, stream)
            if taken is None:
                return None
            lease = await Leases(scope).take_over(f"{stream}/{account_id}", self._holder, RUN_LEASE_SECONDS)
            if stream == NEWS and not taken.hint and await Leases(scope).is_held(f"{account_id}/orders"):
                # A sync that is going on reads more than a look would.
                pause = self._pace.after_success(stream)
                await AccountSchedule(scope).settle(account_id, stream, taken, pause)
                return None
            return _Work(tenant_id, account_id, stream, taken, lease, await self._targets(scope))

    async def _targets(self, scope: TenantConnection) -> tuple[UUID, ...]:
        receiving = await Connections(scope).receiving(self._connectors.kind)
        return tuple(connection.id for connection in receiving)

    async def _outcome(self, work: _Work) -> _Next:
        about = {"account": str(work.account_id), "stream": work.stream}
        try:
            await self._read(work)
        except CapabilityUnavailable:
            pass  # the next one may find that it can
        except RateLimited as error:
            return _Next(error.retry_after, error.code)
        except ServiceError as error:
            if not isinstance(
                error, StateForbids | NotFound
            ):  # these are told where the account's state changed
                log.info("stream_not_read", code=error.code, **about)
            return self._later(work, error.code)
        except DATABASE_DOWN as error:
            log.warning("stream_not_stored", error=type(error).__name__, **about)
            return self._later(work, "database_away")
        except LeaseLost:
            raise
        except Exception:
            log.exception("stream_crashed", **about)
            return self._later(work, _CRASHED)
        return _Next(self._pace.after_success(work.stream))

    def _later(self, work: _Work, reason: str) -> _Next:
        reading_failed(work.stream, reason)
        return _Next(self._pace.after_failure(work.stream, work.taken.failures), reason)

    async def _read(self, work: _Work) -> None:
        if work.stream == NEWS:
            hint = work.taken.hint or _WITHOUT_HINT
            await self._news.look(work.tenant_id, work.account_id, work.lease, hint, targets=work.targets)
        elif work.stream == OFFERS:
            await self._news.look(work.tenant_id, work.account_id, work.lease, Hint(offers=True))
        elif work.stream == ORDERS:
            request = SyncRequest(ORDERS_RUN, work.account_id, create_leads=bool(work.targets))
            await self._sync.start(work.tenant_id, request, by_schedule=True)
        else:
            await self._news.read_list(
                work.tenant_id, work.account_id, work.lease, work.stream, targets=work.targets
            )

    async def _settle(self, work: _Work, following: _Next) -> None:
        async with self._database.tenant(work.tenant_id) as scope:
            await Leases(scope).keep(work.lease, RUN_LEASE_SECONDS)
            await AccountSchedule(scope).settle(
                work.account_id, work.stream, work.taken, following.pause, reason=following.reason
            )
            await Leases(scope).give_back(work.lease)
