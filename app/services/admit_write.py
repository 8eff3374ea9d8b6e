"""Whether a write may enter the ledger, by the tenant's rules and the ledger itself; nothing is read from Kwork."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.database import TenantConnection
from app.domain.access import Caller
from app.domain.errors import Forbidden, Invalid
from app.domain.writes import (
    BY_BROWSER,
    SURFACE,
    Write,
    WriteAction,
    WriteInTheWay,
    WriteMode,
    WriteRules,
    WriteState,
    WriteTooMany,
)
from app.repositories.tenant_settings import TenantSettings
from app.repositories.writes import NewWrite, Writes

_DAY = 24 * 3600.0
_DIRECT_SECONDS = 600.0
"""What a dead worker left unsent goes out within that time, or never."""
_TWIN_SECONDS = 60.0
_BY_BROWSER: Mapping[WriteAction, str] = {
    WriteAction.RESPOND: "respond_by_browser",
    WriteAction.SEND_MESSAGE: "messages_by_browser",
    WriteAction.DELIVER: "hand_in_by_browser",
}
_CAPS: Mapping[WriteAction, str] = {
    WriteAction.RESPOND: "offers_per_day",
    WriteAction.SEND_MESSAGE: "messages_per_day",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A write somebody asks for."""

    account_id: UUID
    action: WriteAction
    target: str
    payload: Mapping[str, Any]


async def known_by_key(writes: Writes, new: NewWrite) -> Write | None:
    """The write that the key made already. One that failed before anything left, for a passing reason, frees its key."""
    if new.idempotency_key is None:
        return None
    found = await writes.by_key(new.idempotency_key)
    if found is None:
        return None
    write, content = found
    if content != new.payload_hash:
        raise Invalid(
            "Этот Idempotency-Key уже был с другим содержанием: для нового запроса нужен новый ключ.",
            field="header.Idempotency-Key",
            code="idempotency_key_reused",
        )
    is_passing = write.state is WriteState.REFUSED and write.committed_at is None
    if is_passing and write.problem is not None and write.problem.retryable:
        await writes.free_key(write.id)
        return None
    return write


async def refuse_obstacles(scope: TenantConnection, new: NewWrite, rules: WriteRules) -> None:
    """Raises what stands in the way of a new write, by the ledger alone."""
    writes = Writes(scope)
    if blocked := await writes.in_the_way(new.account_id, new.target):
        raise blocked
    if new.is_parent and (going := await writes.standing_parent(new.account_id, new.action, new.target)):
        raise WriteInTheWay(
            "Сдача этого заказа уже идёт. Посмотрите её: GET /api/v1/writes/" + str(going),
            code="write_in_progress",
            write_id=going,
        )
    may_be_a_double_click = new.idempotency_key is None and new.action is not WriteAction.MARK_READ
    if may_be_a_double_click and (twin := await writes.recent_twin(new, _TWIN_SECONDS)):
        raise WriteInTheWay(
            "То же самое уже отправлено меньше минуты назад. Если это не повтор, пришлите другой Idempotency-Key.",
            code="duplicate_write",
            write_id=twin,
        )
    cap = _CAPS.get(new.action)
    if cap is not None:
        most = getattr(rules, cap)
        sent, free_in = await writes.sent_since(new.account_id, [new.action], _DAY)
        if sent >= most:
            raise WriteTooMany(
                f"За сутки у аккаунта уже {sent} из {most} (настройка {cap}). Подождите или измените её: "
                "PUT /api/v1/tenant/settings.",
                retry_after=max(1.0, free_in),
            )


def new_write(caller: Caller, wanted: Wanted, rules: WriteRules, key: str | None) -> NewWrite:
    """The way it goes is settled here and stays. The hash is of what was asked: changed rules make no other request."""
    content = [str(wanted.account_id), wanted.action.value, wanted.target, wanted.payload]
    lives = rules.approval_minutes * 60.0 if rules.mode is WriteMode.APPROVAL else _DIRECT_SECONDS
    return NewWrite(
        account_id=wanted.account_id,
        action=wanted.action,
        target=wanted.target,
        payload=_on_its_way(wanted, rules),
        payload_hash=hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest(),
        actor=caller.actor,
        mode=rules.mode,
        lives_seconds=lives,
        idempotency_key=key,
        is_parent=wanted.action is WriteAction.DELIVER,
    )


def _on_its_way(wanted: Wanted, rules: WriteRules) -> Mapping[str, Any]:
    rule = _BY_BROWSER.get(wanted.action)
    if rule is None or SURFACE in wanted.payload or not getattr(rules, rule):
        return wanted.payload
    return {**wanted.payload, SURFACE: BY_BROWSER}


def unsaved(tenant_id: str, new: NewWrite) -> Write:
    now = datetime.now(UTC)
    return Write(
        tenant_id=tenant_id,
        id=uuid.uuid4(),
        account_id=new.account_id,
        action=new.action,
        target=new.target,
        payload=new.payload,
        actor=new.actor,
        mode=new.mode,
        state=WriteState.PREPARED,
        created_at=now,
        expires_at=now,
    )


async def rules_of(scope: TenantConnection) -> WriteRules:
    found = await TenantSettings(scope).group("writes")
    return WriteRules(**{**found, "mode": WriteMode(found.get("mode", WriteMode.DIRECT))})


def switched_off() -> Forbidden:
    return Forbidden(
        "Отправка на Kwork выключена для этого тенанта (настройка writes.mode = off): сервис только читает.",
        code="writes_off",
    )
