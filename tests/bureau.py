"""A connection whose leads people move in the CRM, and a ledger of writes to a Kwork that only notes what arrives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.domain.crm import CrmConnector, Lead, LeadStatus
from app.models.mapping_schemas import MappingIn
from app.repositories.crm_moves import CrmMoves
from app.repositories.crm_schedule import CrmSchedule
from app.services.read_crm_stages import ReadCrmStages, StagesRead
from tests.api import add_order
from tests.crm_stands import CrmStand
from tests.ledger import TENANT, Ledger

WORK, REVIEW, LOST = LeadStatus.IN_PROGRESS, LeadStatus.ON_REVIEW, LeadStatus.LOST


@dataclass
class Bureau:
    """A live connection with one linked order, whose lead we put into the stage of new ones."""

    stand: CrmStand
    ledger: Ledger
    owner: asyncpg.Connection
    connection_id: UUID
    crm: CrmConnector
    crm_id: str = ""

    def reader(self) -> ReadCrmStages:
        return ReadCrmStages(self.ledger.database, lambda *_: self.stand.connector(), self.ledger.service.ask)

    async def stage(self, status: LeadStatus) -> str:
        return str(await self.crm.stage_of(Lead("kwork:order:7", "Сайт", status=status)))  # type: ignore[attr-defined]

    async def says(self, *back: dict[str, Any], mode: str = "live") -> None:
        mapping = MappingIn.model_validate({"back": list(back)}).kept()
        await self.owner.execute(
            "UPDATE crm_connections SET mapping = $1::text::jsonb, mode = $2", json.dumps(mapping), mode
        )
        async with self.ledger.database.tenant(TENANT) as scope:
            await CrmSchedule(scope).connection_became(self.connection_id)

    async def link(self, number: int = 7, put: LeadStatus | None = LeadStatus.NEW, **order: Any) -> None:
        await add_order(self.owner, TENANT, self.ledger.account_id, number, **{"status": "new", **order})
        lead = Lead(f"kwork:order:{number}", "Сайт", status=put or LeadStatus.NEW)
        self.crm_id = (await self.crm.create_lead(lead)).crm_id
        await self.owner.execute(
            "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash, put_stage) "
            "VALUES ($1, $2, 'lead', $3, $4, '', $5)",
            TENANT,
            self.connection_id,
            lead.external_id,
            self.crm_id,
            await self.stage(put) if put else None,
        )

    async def move(self, status: LeadStatus) -> None:
        self.stand.later(60)
        await self.stand.by_hand(self.crm_id, status=status)

    async def read(self) -> StagesRead:
        found = await self.reader().run(TENANT, self.connection_id)
        await self.ledger.service.idle()
        return found

    async def moves(self) -> list[asyncpg.Record]:
        async with self.ledger.database.tenant(TENANT) as scope:
            return (await CrmMoves(scope).page(self.connection_id, open_only=False, limit=50, offset=0))[0]

    async def open(self) -> list[asyncpg.Record]:
        async with self.ledger.database.tenant(TENANT) as scope:
            return (await CrmMoves(scope).page(self.connection_id, open_only=True, limit=50, offset=0))[0]


@asynccontextmanager
async def opened_bureau(stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection) -> AsyncIterator[Bureau]:
    """Over an emptied stand-in."""
    await stand.clear()
    connection_id = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin, mode, settings) "
        "VALUES ($1, $2, 'Наша CRM', 'api', 'live', '{}') RETURNING id",
        TENANT,
        stand.kind,
    )
    crm = stand.connector()
    yield Bureau(stand, ledger, owner, connection_id, crm)
    await crm.aclose()


async def taken(bureau: Bureau) -> dict[str, Any]:
    return {"stage": await bureau.stage(WORK), "action": "take_order"}
