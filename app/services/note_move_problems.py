"""Keeps the open problems of people's moves in the CRM as they are: each opens with its first lead and closes by itself."""

from __future__ import annotations

from uuid import UUID

from app.core.database import TenantConnection
from app.repositories.crm_moves import CrmMoves
from app.repositories.crm_problems import MOVE, CrmProblems


async def note_move_problems(scope: TenantConnection, connection_id: UUID) -> None:
    """A cause is gone when its leads were moved on, their orders are over, or Kwork did it after all."""
    troubles = await CrmMoves(scope).troubles(connection_id)
    causes = {code: (one.detail, one.count) for code, one in troubles.items()}
    await CrmProblems(scope).stand(connection_id, MOVE, causes)
