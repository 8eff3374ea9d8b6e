"""How every door for writes asks the ledger and shows what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Query, Response

from app.api.describe import problems
from app.api.rows import json_answer
from app.domain.access import Caller
from app.domain.errors import Conflict
from app.domain.writes import BEFORE, SURFACE, Write, WriteAction, WriteRefused, WriteState
from app.models.write_schemas import DryRunOut, WriteOut
from app.services.admit_write import Wanted
from app.services.container import Services

ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {
        "model": WriteOut,
        "description": "Waits for approval (`prepared`), is still on its way, or its outcome is unclear (`unknown`): "
        "see `GET writes/{id}`.",
    },
    **problems(409, 413, 415, 429, 502),
}


@dataclass(frozen=True, slots=True)
class How:
    """Header and query that every write takes."""

    key: str | None
    dry_run: bool


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Same key and body: done once and the same answer, however often it is sent.",
    ),
]


async def _how(
    key: IdempotencyKey = None,
    dry_run: Annotated[
        bool, Query(description="Validate by reading and show the exact requests; nothing is sent.")
    ] = False,
) -> How:
    return How(key, dry_run)


Asked = Annotated[How, Depends(_how)]
Outcome = WriteOut | DryRunOut


async def sent(
    services: Services,
    caller: Caller,
    how: How,
    *,
    account_id: UUID,
    action: WriteAction,
    target: str,
    payload: Mapping[str, Any],
) -> Response:
    """Asks the ledger; 200 when it surely happened, 202 while that is open, a problem when it surely did not."""
    wanted = Wanted(account_id, action, target, payload)
    if how.dry_run:
        shown = await services.writes.dry_run(caller, wanted)
        checked = shown.checked
        return json_answer(
            {
                "dry_run": True,
                "action": action,
                "target": target,
                "account_id": account_id,
                "cost_connects": checked.cost_connects,
                "connects_left": checked.connects_left,
                "facts": checked.facts,
                "requests": [call.described() for call in checked.calls],
            }
        )
    return await answered(services, await services.writes.ask(caller, wanted, key=how.key))


def by(surface: str | None) -> dict[str, str]:
    """The part of a payload that says by which way, where the caller does."""
    return {} if surface is None else {SURFACE: surface}


async def answered(services: Services, write: Write) -> Response:
    """The write as a door shows it. Raises ``WriteRefused``, ``Conflict`` for what surely did not happen."""
    if write.state is WriteState.REFUSED and write.problem is not None:
        raise WriteRefused(write.problem, write.id)
    if write.state is WriteState.RECONCILED_ABSENT:
        raise NotSent(
            "Точно не отправлено: на Kwork этого нет. Можно отправить заново, с новым Idempotency-Key.",
            code="write_absent",
            write_id=write.id,
        )
    if write.state in (WriteState.CANCELLED, WriteState.EXPIRED):
        raise NotSent(
            "Не отправлено: отменено или истёк срок.", code=f"write_{write.state}", write_id=write.id
        )
    return json_answer(await shown(services, write), 200 if write.state.is_done else 202)


async def account_or_only(services: Services, caller: Caller, account_id: UUID | None) -> UUID:
    """The named account, or the tenant's only one. Raises ``NotFound``, ``Conflict`` (``account_needed``)."""
    if account_id is not None:
        return (await services.accounts.get_account(caller.tenant_id, account_id)).id
    accounts, total = await services.accounts.list_accounts(caller.tenant_id, page=1, limit=2)
    if total != 1:
        raise Conflict(
            "Укажите account_id: от имени какого аккаунта это сделать."
            if total
            else "Нет ни одного аккаунта Kwork: подключите его (POST /api/v1/accounts).",
            code="account_needed",
        )
    return accounts[0].id


class NotSent(Conflict):
    """A write that surely never reached Kwork."""

    def __init__(self, detail: str, *, code: str, write_id: UUID) -> None:
        super().__init__(detail, code=code)
        self.write_id = write_id


async def shown(services: Services, write: Write) -> dict[str, Any]:
    """``WriteOut`` with its steps."""
    steps = None
    if write.action is WriteAction.DELIVER:
        steps = [
            {"id": one.id, "action": one.action, "state": one.state, "outcome": _outcome(one)}
            for one in await services.writes.steps(write.tenant_id, write.id)
        ]
    return {**row(write), "steps": steps}


def row(write: Write) -> dict[str, Any]:
    """``WriteOut`` without steps."""
    problem = write.problem
    return {
        "id": write.id,
        "account_id": write.account_id,
        "action": write.action,
        "target": write.target,
        "state": write.state,
        "done": write.state.is_done,
        "settled": write.state.is_settled,
        "mode": write.mode,
        "actor": write.actor,
        "payload": write.payload,
        "outcome": _outcome(write),
        "plan": list(write.plan),
        "cost_connects": write.cost_connects,
        "code": problem.code if problem else None,
        "detail": problem.detail.replace("{id}", str(write.id)) if problem else None,
        "created_at": write.created_at,
        "expires_at": write.expires_at,
        "confirmed_at": write.confirmed_at,
        "confirmed_by": write.confirmed_by,
        "committed_at": write.committed_at,
        "settled_at": write.settled_at,
        "resolved_by": write.resolved_by,
    }


def _outcome(write: Write) -> dict[str, Any]:
    """Without what only serves to know the write again on Kwork."""
    return {name: value for name, value in write.outcome.items() if name != BEFORE}


def rules_row(rules: Any) -> dict[str, Any]:
    """``TenantSettingsOut``."""
    shown_rules = asdict(rules)
    return {"writes": {name: shown_rules[name] for name in _RULES}}


_RULES = (
    *("mode", "approver_role", "approval_minutes", "offers_per_day", "messages_per_day", "connects_floor"),
    *("respond_by_browser", "messages_by_browser", "hand_in_by_browser"),
)
