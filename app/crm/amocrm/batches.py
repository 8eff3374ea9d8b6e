"""Many leads in one call: 50 of ``leads/complex`` at most [doc], and as many of ``PATCH leads``.

A list with a bad record is refused as a whole with a 400 that names the bad ones by ``request_id`` [doc]; nothing of it
is done [mem], so the others are sent again without them. Batches do not look keys up beforehand: the caller knows
that his new leads are new.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.crm.amocrm.answers import Record, Unreadable, complex_rows, id_of, parsed, request_ids, rows_in
from app.crm.amocrm.bodies import BodyWriter, number
from app.crm.amocrm.client import AmoClient
from app.crm.amocrm.creating import Creation
from app.domain.crm import JsonBody, Lead, LeadChange, RecordField, Saved
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)

SIZE: Final = 50

Outcome = Saved | ServiceError
_STOPS: Final = (AuthExpired, Blocked, RateLimited, Unavailable)
"""After these no further call of the batch leaves."""


@dataclass(slots=True)
class _Item:
    """One change on its way; ``place`` is its request id."""

    place: int
    lead: Lead
    crm_id: str | None
    body: JsonBody = field(default_factory=dict)
    outcome: Outcome | None = None


Send = Callable[[list[_Item]], Awaitable[None]]


class Batches:
    """Saves lists of leads."""

    def __init__(self, client: AmoClient, bodies: BodyWriter, creation: Creation) -> None:
        self._client = client
        self._bodies = bodies
        self._creation = creation

    async def save(self, changes: Sequence[LeadChange]) -> list[Outcome]:
        """As ``TakesBatches`` tells. Where one call of a batch went well and another did not, the error stands as
        the outcome of its own leads: what was made is never taken for not sent."""
        if len(changes) > SIZE:
            raise ValueError(f"more than {SIZE} leads")
        items = [_Item(place, change.lead, change.crm_id) for place, change in enumerate(changes)]
        for item in items:
            self._write_body(item)
        await self._carry([item for item in items if item.crm_id is not None], self._update)
        new = [item for item in items if item.crm_id is None]
        if stop := next((item.outcome for item in items if isinstance(item.outcome, _STOPS)), None):
            for item in new:
                item.outcome = item.outcome or stop
        await self._carry(new, self._create)
        return _told([item.outcome for item in items])

    def _write_body(self, item: _Item) -> None:
        try:
            if item.crm_id is None:
                item.body = self._bodies.new_lead(item.lead)
            else:
                item.body = {"id": number(item.crm_id), **self._bodies.lead_changes(item.lead)}
            item.body["request_id"] = str(item.place)
        except Rejected as error:
            item.outcome = error

    async def _carry(self, items: list[_Item], send: Send) -> None:
        """Sends those without an outcome until each has one; every round settles one at least."""
        while waiting := [item for item in items if item.outcome is None]:
            try:
                await send(waiting)
            except ServiceError as error:
                for item in waiting:
                    item.outcome = item.outcome or error

    async def _update(self, items: list[_Item]) -> None:
        rows = await self._send("PATCH", "leads", items, lambda body: rows_in(body, "leads")[0])
        if rows is None:
            return
        done = {id_of(row) for row in rows}
        for item in items:
            known = str(item.crm_id)
            item.outcome = Saved(known, created=False) if known in done else self._untold()
        await self._link([item for item in items if item.crm_id in done and _is_to_link(item.lead)])

    async def _link(self, items: list[_Item]) -> None:
        """The vendor's own library links many by ``POST leads/link``; linking again changes nothing [mem]. Where that
        is refused, each lead is linked by itself, so that one deleted contact parks one lead."""
        try:
            if items:
                await self._client.write("POST", "leads/link", [_link_of(item) for item in items])
        except Rejected as error:
            for item in items if len(items) > 1 else ():
                await self._link([item])
            if len(items) == 1:
                items[0].outcome = error
        except ServiceError as error:
            told = Ambiguous(error.detail) if isinstance(error, Unavailable) else error
            for item in items:
                item.outcome = told  # changed already, so never «nothing was sent»

    async def _create(self, items: list[_Item]) -> None:
        rows = await self._send("POST", "leads/complex", items, complex_rows)
        if rows is None:
            return
        named = {request_id: row for row in rows for request_id in request_ids(row)}
        for item in items:
            row = named.get(str(item.place))
            try:
                item.outcome = await self._creation.confirmed(row, item.lead) if row else self._untold()
            except ServiceError as error:
                item.outcome = error

    async def _send(
        self, method: str, path: str, items: list[_Item], rows: Callable[[object], list[Record]]
    ) -> list[Record] | None:
        """The answer's rows; None when amoCRM refused some records, which have their outcome then."""
        answer = await self._client.attempt(method, path, [item.body for item in items], refusable=True)
        if answer.status == 400:
            refused = self._client.refusals.by_record(answer)
            for item in items:
                item.outcome = refused.get(str(item.place))
            if all(item.outcome is None for item in items):
                raise self._client.refusals.of_status(answer, write=True)
            return None
        try:
            return rows(parsed(answer))
        except Unreadable as error:
            raise self._client.refusals.unclear(str(error), write=True) from None

    def _untold(self) -> Ambiguous:
        return Ambiguous("Ответ amoCRM об этой сделке не говорит ничего: была ли она сохранена, неизвестно.")


def _is_to_link(lead: Lead) -> bool:
    return lead.contact_id is not None and RecordField.CONTACT not in lead.handling.protected


def _link_of(item: _Item) -> JsonBody:
    return {
        "entity_id": number(str(item.crm_id)),
        "to_entity_id": number(str(item.lead.contact_id)),
        "to_entity_type": "contacts",
    }


def _told(outcomes: Sequence[Outcome | None]) -> list[Outcome]:
    """Raises what concerns the whole batch."""
    told = [outcome for outcome in outcomes if outcome is not None]
    first = told[0] if told else None
    common = isinstance(first, ServiceError) and all(outcome is first for outcome in told)
    if isinstance(first, ServiceError) and common and not isinstance(first, Rejected):
        raise first
    return told
