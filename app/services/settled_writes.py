"""What follows when a write is settled, in the same transaction: it is told, its files are free again, and an offer
that was taken back stands so in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.events import EventType
from app.domain.writes import Problem, Write, WriteAction, WriteState
from app.repositories.events import Events
from app.repositories.files import FileRows
from app.repositories.offers import Offers
from app.repositories.writes import Writes


async def settle(
    scope: TenantConnection,
    write: Write,
    state: WriteState,
    *,
    came_from: Sequence[WriteState],
    outcome: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
) -> bool:
    """Moves the write and does what follows; ``False``, and nothing, when it is not ours or stands elsewhere."""
    moved = await Writes(scope).settle(write, state, came_from=came_from, outcome=outcome, problem=problem)
    if moved:
        await after_settling(scope, write.id)
    return moved


async def after_settling(scope: TenantConnection, write_id: UUID) -> None:
    """Does nothing for a write that is not settled, and for the steps of another (their parent is told)."""
    write = await Writes(scope).get(write_id)
    if write.parent_id is not None or not write.state.is_settled:
        return
    await FileRows(scope).release(write_id)
    if write.action is WriteAction.DELETE_OFFER and write.state.is_done:
        await Offers(scope).withdrawn(write.account_id, write.payload["offer_id"])
    data = {
        "action": write.action.value,
        "target": write.target,
        "state": write.state.value,
        "done": write.state.is_done,
        "code": write.problem.code if write.problem else None,
    }
    await Events(scope).add(EventType.WRITE_SETTLED, str(write.id), data, write.account_id)
