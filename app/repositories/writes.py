"""The ledger of writes in PostgreSQL. Every change of state names the states it may come from, and the epoch.

What nobody works on any more is found by ``write_queue.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection, savepoint
from app.domain.errors import NotFound
from app.domain.writes import Problem, Write, WriteAction, WriteInTheWay, WriteMode, WriteState

_COLUMNS = (
    "tenant_id, id, account_id, parent_id, step, action, target, payload, idempotency_key, actor, mode, state, "
    "outcome, problem, plan, cost_connects, lookups, epoch, created_at, expires_at, confirmed_at, confirmed_by, "
    "committed_at, settled_at, resolved_by, extract(epoch FROM now() - committed_at)::float8 AS marked_ago"
)
MOST_UNKNOWN = 3
"""With so many unclear writes of an account, none of its writes goes out."""


@dataclass(frozen=True, slots=True)
class NewWrite:
    """A write to be put into the ledger."""

    account_id: UUID
    action: WriteAction
    target: str
    payload: Mapping[str, Any]
    payload_hash: bytes
    actor: str
    mode: WriteMode
    lives_seconds: float
    idempotency_key: str | None = None
    parent_id: UUID | None = None
    step: int = 0
    is_parent: bool = False


class WriteLost(Exception):
    """Somebody else holds the write now, or it is too late for it: nothing may be sent."""


class Writes:
    """Writes of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def lock_account(self, account_id: UUID) -> None:
        """Until the transaction ends nobody else adds a write of the account."""
        await self._connection.fetchval(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 7013))", f"{self._tenant_id}/{account_id}"
        )

    async def add(self, new: NewWrite) -> Write:
        """Inserts a ``prepared`` write. Raises ``asyncpg.UniqueViolationError`` for a key that is taken."""
        row = await self._connection.fetchrow(
            "INSERT INTO kwork_writes (tenant_id, account_id, parent_id, step, is_parent, action, target, payload, "  # noqa: S608
            "payload_hash, idempotency_key, actor, mode, state, expires_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'prepared', "
            f"now() + make_interval(secs => $13)) RETURNING {_COLUMNS}",
            self._tenant_id,
            new.account_id,
            new.parent_id,
            new.step,
            new.is_parent,
            new.action.value,
            new.target,
            dict(new.payload),
            new.payload_hash,
            new.idempotency_key,
            new.actor,
            new.mode.value,
            new.lives_seconds,
        )
        return _write(row)

    async def get(self, write_id: UUID) -> Write:
        """Raises ``NotFound``."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM kwork_writes WHERE tenant_id = $1 AND id = $2",  # noqa: S608
            self._tenant_id,
            write_id,
        )
        if row is None:
            raise NotFound("Такой записи в журнале отправок нет.")
        return _write(row)

    async def by_key(self, key: str) -> tuple[Write, bytes] | None:
        """The write that this Idempotency-Key made, with the hash of what was asked."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS}, payload_hash FROM kwork_writes WHERE tenant_id = $1 AND idempotency_key = $2",  # noqa: S608
            self._tenant_id,
            key,
        )
        return (_write(row), row["payload_hash"]) if row else None

    async def steps(self, parent_id: UUID) -> list[Write]:
        """The parent's steps in order; of a step that was made again only the last."""
        rows = await self._connection.fetch(
            f"SELECT DISTINCT ON (step) {_COLUMNS} FROM kwork_writes "  # noqa: S608
            "WHERE tenant_id = $1 AND parent_id = $2 ORDER BY step, created_at DESC",
            self._tenant_id,
            parent_id,
        )
        return [_write(row) for row in rows]

    async def page(
        self,
        *,
        account_id: UUID | None,
        states: Sequence[str],
        action: str | None,
        target: str | None,
        limit: int,
        offset: int,
    ) -> tuple[list[Write], int]:
        """A page, newest first, without the steps of others; and how many there are in all."""
        where = (
            "tenant_id = $1 AND parent_id IS NULL AND ($2::uuid IS NULL OR account_id = $2) "
            "AND ($3::text[] = '{}' OR state = ANY ($3)) AND ($4::text IS NULL OR action = $4) "
            "AND ($5::text IS NULL OR target = $5)"
        )
        given = (self._tenant_id, account_id, list(states), action, target)
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM kwork_writes WHERE {where} "  # noqa: S608
            "ORDER BY created_at DESC, id LIMIT $6 OFFSET $7",
            *given,
            limit,
            offset,
        )
        total = await self._connection.fetchval(f"SELECT count(*) FROM kwork_writes WHERE {where}", *given)  # noqa: S608
        return [_write(row) for row in rows], total

    async def recent_twin(self, new: NewWrite, seconds: float) -> UUID | None:
        """A write of the last seconds with the same content to the same target, standing or done, by whichever way."""
        found: UUID | None = await self._connection.fetchval(
            "SELECT id FROM kwork_writes WHERE tenant_id = $1 AND account_id = $2 AND target = $3 AND action = $4 "
            "AND payload - 'surface' = $5::jsonb - 'surface' AND parent_id IS NULL AND created_at > now() - make_interval(secs => $6) "
            "AND state NOT IN ('refused', 'cancelled', 'expired', 'reconciled_absent') "
            "ORDER BY created_at DESC LIMIT 1",
            self._tenant_id,
            new.account_id,
            new.target,
            new.action.value,
            dict(new.payload),
            seconds,
        )
        return found

    async def standing_parent(self, account_id: UUID, action: WriteAction, target: str) -> UUID | None:
        """A parent of that kind that has not come to its end."""
        found: UUID | None = await self._connection.fetchval(
            "SELECT id FROM kwork_writes WHERE tenant_id = $1 AND account_id = $2 AND action = $3 AND target = $4 "
            "AND is_parent AND state IN ('prepared', 'confirmed', 'committing', 'unknown') LIMIT 1",
            self._tenant_id,
            account_id,
            action.value,
            target,
        )
        return found

    async def in_the_way(
        self, account_id: UUID, target: str, *, but: UUID | None = None
    ) -> WriteInTheWay | None:
        """Why nothing of the account may go to that target now: an unclear write, or too many of them."""
        rows = await self._connection.fetch(
            "SELECT id, target FROM kwork_writes WHERE tenant_id = $1 AND account_id = $2 AND state = 'unknown' "
            "AND NOT is_parent AND id IS DISTINCT FROM $3 ORDER BY created_at",
            self._tenant_id,
            account_id,
            but,
        )
        same = next((row["id"] for row in rows if row["target"] == target), None)
        if same is not None:
            return WriteInTheWay(
                "Исход прошлой отправки сюда ещё не ясен: сервис проверяет его на Kwork. "
                f"Дождитесь или решите сами: POST /api/v1/writes/{same}/resolve.",
                code="write_unsettled",
                write_id=same,
            )
        if len(rows) >= MOST_UNKNOWN:
            return WriteInTheWay(
                f"У аккаунта {len(rows)} отправок с неясным исходом: новые остановлены. "
                "Посмотрите GET /api/v1/writes?state=unknown и решите каждую.",
                code="account_writes_stopped",
                write_id=rows[0]["id"],
            )
        return None

    async def sent_since(
        self, account_id: UUID, actions: Sequence[WriteAction], seconds: float
    ) -> tuple[int, float]:
        """How many such writes count against the account's cap, and in how many seconds the oldest stops counting.

        Counted: what is done, on its way, waiting or unclear.
        """
        row = await self._connection.fetchrow(
            "SELECT count(*) AS n, coalesce(extract(epoch FROM min(created_at) + make_interval(secs => $4) - now()), 0)"
            "::float8 AS free_in FROM kwork_writes WHERE tenant_id = $1 AND account_id = $2 "
            "AND action = ANY ($3::text[]) AND created_at > now() - make_interval(secs => $4) "
            "AND state NOT IN ('refused', 'cancelled', 'expired', 'reconciled_absent')",
            self._tenant_id,
            account_id,
            [action.value for action in actions],
            seconds,
        )
        return row["n"], row["free_in"]

    async def free_key(self, write_id: UUID) -> None:
        """A write that failed before anything left, for a passing reason, gives its key back."""
        await self._connection.execute(
            "UPDATE kwork_writes SET idempotency_key = NULL WHERE tenant_id = $1 AND id = $2 "
            "AND state = 'refused' AND committed_at IS NULL",
            self._tenant_id,
            write_id,
        )

    async def take(
        self, write_id: UUID, holder: str, seconds: float, states: Sequence[WriteState]
    ) -> Write | None:
        """The right to work on a write, with a new epoch; ``None`` while another worker has it or the state differs."""
        row = await self._connection.fetchrow(
            "UPDATE kwork_writes SET holder = $3, epoch = epoch + 1, held_until = now() + make_interval(secs => $4) "  # noqa: S608
            "WHERE tenant_id = $1 AND id = $2 AND state = ANY ($5::text[]) "
            f"AND (held_until IS NULL OR held_until <= now()) RETURNING {_COLUMNS}",
            self._tenant_id,
            write_id,
            holder,
            seconds,
            [state.value for state in states],
        )
        return _write(row) if row else None

    async def keep(self, write: Write, seconds: float) -> bool:
        """Extends the right; ``False`` when somebody else has it."""
        kept = await self._connection.fetchval(
            "UPDATE kwork_writes SET held_until = now() + make_interval(secs => $4) "
            "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 RETURNING true",
            self._tenant_id,
            write.id,
            write.epoch,
            seconds,
        )
        return bool(kept)

    async def let_go(self, write: Write, *, due_in: float = 0.0) -> None:
        """Lets others have it, after ``due_in`` seconds."""
        await self._connection.execute(
            "UPDATE kwork_writes SET held_until = NULL, due_at = now() + make_interval(secs => $4) "
            "WHERE tenant_id = $1 AND id = $2 AND epoch = $3",
            self._tenant_id,
            write.id,
            write.epoch,
            due_in,
        )

    async def mark(self, write: Write) -> None:
        """The durable mark: from here on the write may be on its way. Commit before anything leaves.

        ``write.outcome`` is kept with it.

        Raises ``WriteLost`` when it is not ours any more, has run out or was cancelled; ``WriteInTheWay``
        when another write of the account to that target is on its way or unclear, or too many are unclear.
        """
        while not await self._marked(write):
            if other := await self._on_its_way(write):
                raise WriteInTheWay(
                    f"Прошлая отправка сюда ещё в пути: GET /api/v1/writes/{other}. Повторите через несколько секунд.",
                    code="write_in_progress",
                    write_id=other,
                )  # else it has settled this moment

    async def _marked(self, write: Write) -> bool:
        """``False`` when another write to the target is on its way or unclear."""
        if blocked := await self.in_the_way(write.account_id, write.target, but=write.id):
            raise blocked
        try:
            async with savepoint(self._connection):  # what stands in the way is looked up after it
                marked = await self._connection.fetchval(
                    "UPDATE kwork_writes SET state = 'committing', committed_at = now(), outcome = outcome || $4 "
                    "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND held_until > now() AND expires_at > now() "
                    "AND (state = 'confirmed' OR (state = 'prepared' AND mode = 'direct')) RETURNING true",
                    self._tenant_id,
                    write.id,
                    write.epoch,
                    dict(write.outcome),
                )
        except asyncpg.UniqueViolationError:
            return False
        if not marked:
            raise WriteLost(str(write.id))
        return True

    async def _on_its_way(self, write: Write) -> UUID | None:
        found: UUID | None = await self._connection.fetchval(
            "SELECT id FROM kwork_writes WHERE tenant_id = $1 AND account_id = $2 AND target = $3 AND id <> $4 "
            "AND state = 'committing' AND NOT is_parent",
            self._tenant_id,
            write.account_id,
            write.target,
            write.id,
        )
        return found

    async def begin_parent(self, write: Write) -> None:
        """A parent whose steps are under way. Raises ``WriteLost``."""
        begun = await self._connection.fetchval(
            "UPDATE kwork_writes SET state = 'committing', committed_at = coalesce(committed_at, now()) "
            "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND is_parent AND (state IN ('confirmed', 'committing') "
            "OR (state = 'prepared' AND mode = 'direct')) RETURNING true",
            self._tenant_id,
            write.id,
            write.epoch,
        )
        if not begun:
            raise WriteLost(str(write.id))

    async def reopen_parent(self, write_id: UUID) -> bool:
        """A hand-in that broke off goes on. ``False`` when it is not one, or is going on."""
        moved = await self._connection.fetchval(
            "UPDATE kwork_writes SET state = 'committing', problem = NULL, settled_at = NULL, epoch = epoch + 1, "
            "held_until = NULL, due_at = now() WHERE tenant_id = $1 AND id = $2 AND is_parent AND state = 'refused' "
            "AND committed_at IS NOT NULL RETURNING true",
            self._tenant_id,
            write_id,
        )
        return bool(moved)

    async def wake(self, write_id: UUID) -> None:
        """It is due at once."""
        await self._connection.execute(
            "UPDATE kwork_writes SET due_at = now() WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            write_id,
        )

    async def settle(
        self,
        write: Write,
        state: WriteState,
        *,
        came_from: Sequence[WriteState],
        outcome: Mapping[str, Any] | None = None,
        problem: Problem | None = None,
        due_in: float = 0.0,
    ) -> bool:
        """Moves to ``state``; ``False`` when the write is not ours any more or stands elsewhere."""
        moved = await self._connection.fetchval(
            "UPDATE kwork_writes SET state = $4, outcome = outcome || $5, problem = $6, held_until = NULL, "
            "due_at = now() + make_interval(secs => $7), settled_at = CASE WHEN $8 THEN now() END "
            "WHERE tenant_id = $1 AND id = $2 AND epoch = $3 AND state = ANY ($9::text[]) RETURNING true",
            self._tenant_id,
            write.id,
            write.epoch,
            state.value,
            dict(outcome or {}),
            asdict(problem) if problem else None,
            due_in,
            state.is_settled,
            [one.value for one in came_from],
        )
        return bool(moved)

    async def add_outcome(self, write_id: UUID, outcome: Mapping[str, Any]) -> None:
        """What was learnt after the write had settled."""
        await self._connection.execute(
            "UPDATE kwork_writes SET outcome = outcome || $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            write_id,
            dict(outcome),
        )

    async def show_plan(
        self, write: Write, plan: Sequence[Mapping[str, Any]], cost_connects: int, facts: Mapping[str, Any]
    ) -> None:
        """What whoever confirms is shown."""
        await self._connection.execute(
            "UPDATE kwork_writes SET plan = $3, cost_connects = $4, outcome = outcome || $5 "
            "WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            write.id,
            [dict(call) for call in plan],
            cost_connects,
            {"facts": dict(facts)},
        )

    async def decide(
        self, write_id: UUID, state: WriteState, *, came_from: Sequence[WriteState], by: str
    ) -> bool:
        """A person's decision about a write nobody is working on: ``confirmed``, ``cancelled``, ``reconciled_*``."""
        column = {"confirmed": "confirmed_by = $4, confirmed_at = now()"}.get(state.value, "resolved_by = $4")
        moved = await self._connection.fetchval(
            f"UPDATE kwork_writes SET state = $3, {column}, epoch = epoch + 1, held_until = NULL, due_at = now(), "  # noqa: S608
            "settled_at = CASE WHEN $5 THEN now() END, "
            "expires_at = CASE WHEN $3 = 'confirmed' THEN greatest(expires_at, now() + interval '10 minutes') "
            "ELSE expires_at END WHERE tenant_id = $1 AND id = $2 AND state = ANY ($6::text[]) "
            "AND ($3 <> 'confirmed' OR expires_at > now()) RETURNING true",
            self._tenant_id,
            write_id,
            state.value,
            by,
            state.is_settled,
            [one.value for one in came_from],
        )
        return bool(moved)

    async def looked_up(self, write: Write, *, due_in: float, problem: Problem | None) -> None:
        """One more look that did not settle it."""
        await self._connection.execute(
            "UPDATE kwork_writes SET lookups = lookups + 1, held_until = NULL, problem = $5, "
            "due_at = now() + make_interval(secs => $4) WHERE tenant_id = $1 AND id = $2 AND epoch = $3",
            self._tenant_id,
            write.id,
            write.epoch,
            due_in,
            asdict(problem) if problem else None,
        )


def _write(row: asyncpg.Record) -> Write:
    found = {key: value for key, value in row.items() if key != "payload_hash"}
    problem = found["problem"]
    found |= {
        "action": WriteAction(found["action"]),
        "mode": WriteMode(found["mode"]),
        "state": WriteState(found["state"]),
        "problem": Problem(**{**problem, "allowed": tuple(problem["allowed"])}) if problem else None,
        "plan": tuple(found["plan"]),
    }
    return Write(**found)
