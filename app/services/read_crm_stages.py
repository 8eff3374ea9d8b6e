"""Looks where linked leads stand in the CRM; a person's move becomes a write on Kwork where the mapping says so.

A move and where the lead stood are kept in one transaction before anything is asked of Kwork, and the ledger knows
each move by its key: old, doubled and out-of-order observations change nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.core.database import Database, TenantConnection
from app.domain.access import Caller, Role
from app.domain.connections import ConnectionMode
from app.domain.crm import CrmConnector, LeadAtCrm, TakesBatches, TellsStages
from app.domain.crm_moves import LinkedOrder, Move, Seen, key_of, meaning_of, payload_of
from app.domain.errors import RateLimited, ServiceError
from app.domain.mapping import CrmMapping
from app.domain.writes import Write, WriteInTheWay
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.crm_links import CrmLinks
from app.repositories.crm_moves import CrmMoves
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services.admit_write import Wanted
from app.services.crm_breaker import Paused
from app.services.note_move_problems import note_move_problems
from app.services.ready_mapping import ready_mapping

log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 120.0
_PAGE: Final = 200
_ONE_BY_ONE: Final = 20
"""Of a CRM that tells of one lead a call: so many, then it is asked whether the CRM is to be left alone meanwhile."""
_PATIENCE: Final = timedelta(hours=24)
"""So long a move waits for what stands in its way; afterwards a person decides."""


@dataclass(frozen=True, slots=True)
class StagesRead:
    """What one reading found."""

    looked_at: int = 0
    moved: int = 0
    asked: int = 0
    """Moves that entered the ledger of writes."""


class ReadCrmStages:
    """``ask`` puts a write into the ledger (``WritesService.ask``)."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[str, CrmConnection], CrmConnector],
        ask: Callable[..., Awaitable[Write]],
    ) -> None:
        self._database = database
        self._connect = connect
        self._ask = ask
        self._holder = f"stages-{uuid.uuid4()}"

    async def run(
        self, tenant_id: str, connection_id: UUID, *, only: Sequence[str] | None = None
    ) -> StagesRead:
        """One reading: of all open orders' leads, or ``only`` of these keys. Nothing where the mapping lets nothing come
        back; broken off where somebody else begins one, who finds what this one would have.

        Raises the families of a read from the CRM, and ``Paused`` while it is left alone.
        """
        async with self._database.tenant(tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
            said = ready_mapping(dict(connection.mapping)).said
            if not said.back or connection.mode is not ConnectionMode.LIVE:
                return StagesRead()
            await _refuse_while_left_alone(scope, connection_id)
            lease = await Leases(scope).take_over(f"stages/{connection_id}", self._holder, LEASE_SECONDS)
        try:
            return await self._read(tenant_id, connection, said, lease, only)
        except LeaseLost:
            log.info("crm_stages_are_read_elsewhere", connection=str(connection_id))
            return StagesRead()
        finally:
            async with self._database.tenant(tenant_id) as scope:
                await Leases(scope).give_back(lease)

    async def _read(
        self,
        tenant_id: str,
        connection: CrmConnection,
        said: CrmMapping,
        lease: Lease,
        only: Sequence[str] | None,
    ) -> StagesRead:
        crm = self._connect(tenant_id, connection)
        looked_at = moved = 0
        try:
            after = ""
            limit = _PAGE if isinstance(crm, TakesBatches) else _ONE_BY_ONE
            while links := await self._page(tenant_id, connection.id, after, lease, only, limit=limit):
                told = (
                    await crm.leads_at([link.crm_id for link in links])
                    if isinstance(crm, TellsStages)
                    else ()
                )
                looked_at += len(told)
                by_id = {link.crm_id: link for link in links}
                for one in told:
                    if meaning_of(by_id[one.crm_id], one) is not Seen.OLD:
                        moved += await self._keep(tenant_id, connection.id, said, by_id[one.crm_id], one)
                after = links[-1].external_id
        finally:
            await crm.aclose()
        asked = await self._ask_for(tenant_id, connection)
        async with self._database.tenant(tenant_id) as scope:
            await note_move_problems(scope, connection.id)
        return StagesRead(looked_at, moved, asked)

    async def _page(
        self,
        tenant_id: str,
        connection_id: UUID,
        after: str,
        lease: Lease,
        only: Sequence[str] | None,
        *,
        limit: int,
    ) -> list[LinkedOrder]:
        async with self._database.tenant(tenant_id) as scope:
            await Leases(scope).keep(lease, LEASE_SECONDS)
            await _refuse_while_left_alone(scope, connection_id)
            return await CrmLinks(scope).open_orders(connection_id, after=after, limit=limit, only=only)

    async def _keep(
        self, tenant_id: str, connection_id: UUID, said: CrmMapping, link: LinkedOrder, told: LeadAtCrm
    ) -> bool:
        """Judged once more by the link as it is now. True: a move that causes something."""
        async with self._database.tenant(tenant_id) as scope:
            links, moves = CrmLinks(scope), CrmMoves(scope)
            now = await links.lock_order(connection_id, link.external_id)
            meaning = meaning_of(now, told) if now is not None and now.crm_id == told.crm_id else Seen.OLD
            if now is None or meaning is Seen.OLD:
                return False
            await links.saw(connection_id, link.external_id, told.stage_id, told.changed_at)
            back = said.back_from(told.stage_id) if meaning is Seen.MOVED else None
            if back is None:
                return False
            number = await moves.count(connection_id, link.external_id) + 1
            return await moves.add(
                connection_id,
                now,
                stage=told.stage_id,
                changed_at=told.changed_at,
                key=key_of(connection_id, now, told, number),
                action=back.action,
                payload=payload_of(back),
            )

    async def _ask_for(self, tenant_id: str, connection: CrmConnection) -> int:
        """Puts what is wanted into the ledger; also what an earlier reading could not."""
        async with self._database.tenant(tenant_id) as scope:
            wanted = await CrmMoves(scope).wanted(connection.id)
        asked = 0
        for move in wanted:
            asked += await self._ask_one(tenant_id, connection, move)
        return asked

    async def _ask_one(self, tenant_id: str, connection: CrmConnection, move: Move) -> bool:
        wanted = Wanted(move.account_id, move.action, f"order:{move.order_id}", move.payload)
        try:
            write = await self._ask(_caller(tenant_id, connection), wanted, key=move.key, wait_seconds=0.0)
        except ServiceError as error:
            passes = isinstance(error, WriteInTheWay | RateLimited) or error.retryable
            for_good = not passes or datetime.now(UTC) - move.seen_at > _PATIENCE
            async with self._database.tenant(tenant_id) as scope:
                await CrmMoves(scope).held_up(move.id, error.code, error.detail, for_good=for_good)
            log.info("crm_move_held_up", move=str(move.id), code=error.code, for_good=for_good)
            return False
        async with self._database.tenant(tenant_id) as scope:
            await CrmMoves(scope).asked(move.id, write.id)
        return True


async def _refuse_while_left_alone(scope: TenantConnection, connection_id: UUID) -> None:
    """Raises ``Paused``: a CRM that asked to wait, or does not answer, is not read either."""
    health = await CrmHealths(scope).of(connection_id)
    if pause := health.pause if health else 0.0:
        raise Paused("CRM попросила подождать или не отвечает: пока не читается.", retry_after=pause)


def _caller(tenant_id: str, connection: CrmConnection) -> Caller:
    """Who the ledger and the audit name: the CRM, with what an operator may."""
    return Caller(tenant_id, f"crm:{connection.name}", Role.OPERATOR, None, "", 0.0)
