"""What a running run carries along, and the one way it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.core.failpoints import failpoint
from app.domain.errors import LayoutChanged
from app.repositories.leases import Lease, Leases
from app.repositories.runs import Runs

RUN_LEASE_SECONDS = 60.0


@dataclass(slots=True)
class RunScope:
    """A run on its way."""

    tenant_id: str
    account_id: UUID | None
    lease: Lease
    connection_ids: tuple[UUID, ...] = ()
    """Where leads and contacts go; none: only read."""
    counts: dict[str, int] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, None] = field(default_factory=dict)
    """Paths of what had drifted although the reading went on: another surface told it, or it was left out."""
    stopped: LayoutChanged | None = None
    """The first reading that a drifted layout ended; the others went on."""

    def add(self, **numbers: int) -> None:
        """Adds to the counts."""
        for name, number in numbers.items():
            self.counts[name] = self.counts.get(name, 0) + number

    def note_drift(self, paths: Iterable[str]) -> None:
        """Remembers paths of fields that could not be read."""
        self.drift.update(dict.fromkeys(paths))

    def stop_reading(self, error: LayoutChanged) -> None:
        """Remembers why one of the readings ended."""
        self.stopped = self.stopped or error


async def save_step(
    database: Database, run: RunScope, store: Callable[[TenantConnection], Awaitable[None]]
) -> None:
    """One transaction: the lease is still ours, rows and deliveries are stored, the checkpoint moves.

    Raises ``LeaseLost``; nothing is stored then.
    """
    failpoint("run.storing")
    async with database.tenant(run.tenant_id) as scope:
        await Leases(scope).keep(run.lease, RUN_LEASE_SECONDS)
        await store(scope)
        failpoint("run.intents")
        await Runs(scope).progress(run.lease, run.counts, run.checkpoint)
        failpoint("run.checkpointed")
    failpoint("run.stored")
