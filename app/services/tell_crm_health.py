"""Writes a CRM's health down, and tells once when it is lost and once when it is back."""

from __future__ import annotations

import structlog

from app.core.database import TenantConnection
from app.domain.events import EventType
from app.repositories.connections import CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.crm_problems import CrmProblems
from app.repositories.events import Events
from app.services.crm_breaker import Breaker

log = structlog.get_logger(__name__)


async def tell_crm_health(scope: TenantConnection, connection: CrmConnection, breaker: Breaker) -> None:
    """In the transaction of what was learnt; whoever opened that sets ``dirty`` again where it fails.

    Held against what stands there, which only the holder of the connection's lease changes: lost or back is told once
    (log, event, problem), whichever worker sees it and however often it tries to write it down.
    """
    note = breaker.told()
    breaker.dirty = False
    was_open = await CrmHealths(scope).note(connection.id, note)
    problems = CrmProblems(scope)
    if note.is_open:
        await problems.seen(connection.id, note.code or "unavailable", "connection", note.detail)
    elif was_open:
        await problems.close(connection.id)
    if note.is_open == was_open:
        return
    # Back is back, whatever the next call met before this could be written down.
    code, detail = (note.code, note.detail) if note.is_open else (None, None)
    told = {"name": connection.name, "answers": not note.is_open, "code": code, "detail": detail}
    await Events(scope).add(EventType.CRM_CONNECTION_CHANGED, str(connection.id), told)
    log.warning(
        "crm_lost" if note.is_open else "crm_answers_again",
        tenant=scope.tenant_id,
        connection=str(connection.id),
        code=code,
    )


async def tell_crm_answers(scope: TenantConnection, connection: CrmConnection) -> bool:
    """A check found that the CRM does what it is asked: nothing is left alone any more. False: it was not."""
    breaker = Breaker(await CrmHealths(scope).of(connection.id))
    if not breaker.is_open:
        return False
    breaker.close()
    await tell_crm_health(scope, connection, breaker)
    return True
