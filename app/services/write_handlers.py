"""What every kind of write has to know of itself, and the table of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.kwork import OrderEvent
from app.domain.writes import Checked, Finding, Found, Write, WriteAction, WriteRules
from app.domain.writing import Answered, OutgoingFile, PlannedCall
from app.services.kwork_client import KworkClient


class FilesAtHand(Protocol):
    """Files that were uploaded to the service."""

    async def ready(self, tenant_id: str, file_ids: Sequence[UUID]) -> list[OutgoingFile]:
        """Raises ``Invalid`` for a file that is not there any more."""
        ...

    async def mark_used(self, scope: TenantConnection, file_ids: Collection[UUID], write_id: UUID) -> None:
        """The write needs them until it is settled."""
        ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What a handler works with: the account's client, the store, the tenant's rules."""

    client: KworkClient
    database: Database
    rules: WriteRules
    files: FilesAtHand
    steps: tuple[Write, ...] = ()
    """Of a step: its parent's steps before it, with what came out of them."""


class WriteHandler(ABC):
    """One kind of write. Everything here reads or prepares, but for the one call that ``prepare`` gives back."""

    action: WriteAction

    @abstractmethod
    async def check(self, write: Write, hands: Hands) -> Checked:
        """Whether Kwork would take it, by reading only. Raises the rule that fails (``Invalid``, ``Conflict`` …)."""

    async def prepare(self, write: Write, checked: Checked, hands: Hands) -> PlannedCall:
        """Sends what may be repeated and gives back the call that may not."""
        for call in checked.calls[:-1]:
            await hands.client.writing.carry_out(call)
        return checked.calls[-1]

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        """What Kwork's answer tells (a message's id …). Never raises for what is missing."""
        return {}

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        """Reads back what the answer does not tell; the write has succeeded whatever happens here."""
        return {}

    async def find(self, write: Write, hands: Hands) -> Finding:
        """Looks on Kwork whether the write happened. Reading only."""
        return Finding(Found.UNCLEAR, why="Kwork не показывает, было ли это сделано.")


class Handlers:
    """All kinds of writes, by action."""

    def __init__(self, handlers: tuple[WriteHandler, ...]) -> None:
        self._by_action = {handler.action: handler for handler in handlers}

    def __getitem__(self, action: WriteAction) -> WriteHandler:
        return self._by_action[action]

    def __contains__(self, action: object) -> bool:
        return action in self._by_action


def since(write: Write, slack_seconds: float = 120.0) -> datetime:
    """The moment from which on the write may show on Kwork; its clock may differ from ours by the slack."""
    return (write.committed_at or write.created_at) - timedelta(seconds=slack_seconds)


def is_new(event: OrderEvent, write: Write) -> bool:
    """Whether an event of an order's thread may come from the write: it was not there before it left."""
    return event.at >= since(write) and event.id not in write.before.get("events", ())


def uploads(payload: Mapping[str, Any]) -> list[UUID]:
    """The service's files that a payload names."""
    return [UUID(one) for one in payload.get("file_ids", ())]
