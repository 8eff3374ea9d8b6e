"""Takes claimed deliveries to a connector, one by one or in its batches, and tells how each ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from app.core.failpoints import failpoint
from app.crm.exchanges import WatchedCalls, watched_calls
from app.domain.content import plain
from app.domain.crm import (
    Contact,
    CrmConnector,
    Entity,
    Exchange,
    Lead,
    LeadChange,
    Saved,
    TakesBatches,
    TakesNotes,
)
from app.domain.errors import Rejected, ServiceError
from app.domain.failures import UNCLEAR
from app.repositories.deliveries import Claimed, Settled
from app.repositories.leases import LeaseLost
from app.services.crm_breaker import Breaker
from app.services.delivery_decisions import after, crashed, held, unclear_note
from app.services.lead_payloads import contact_of, content_of, lead_of, note_of
from app.services.ready_mapping import ReadyMapping
from app.services.shape_records import Known, ShapedLead, ShapeRecords

log = structlog.get_logger(__name__)

_CONTACT_WAIT = 0.2
_MIN_LOOKUPS = 2
NO_NOTES: Final = ("notes_unsupported", "Эта CRM не принимает заметок: они остаются в переписке на Kwork.")


class Sending:
    """One worker's calls to one CRM; ``slots`` bounds how many go on at a time.

    ``may_leave`` is asked right before each request leaves; it raises ``LeaseLost`` or ``Paused``.
    """

    def __init__(
        self,
        connector: CrmConnector,
        mapping: ReadyMapping,
        breaker: Breaker,
        *,
        may_leave: Callable[[], None],
        slots: int,
        search_lag_seconds: float,
    ) -> None:
        self._connector = connector
        self._shaping = ShapeRecords(mapping, connector)
        self._breaker = breaker
        self._may_leave = may_leave
        self._slots = asyncio.Semaphore(slots)
        self._lag = search_lag_seconds

    def groups(self, items: Sequence[Claimed]) -> list[list[Claimed]]:
        """What goes out in one call each: a batch where the CRM takes some, else one."""
        size = self._connector.batch_size if isinstance(self._connector, TakesBatches) else 1
        together = [item for item in items if size > 1 and _fits_a_batch(item)]
        batched = {item.id for item in together}
        alone = [[item] for item in items if item.id not in batched]
        return alone + [together[place : place + size] for place in range(0, len(together), size)]

    async def carry(self, group: list[Claimed]) -> list[Settled]:
        """How each ended. Raises ``LeaseLost``; then nothing more of it leaves."""
        async with self._slots:
            if self._breaker.pause > 0:
                return [held(item, self._breaker.pause) for item in group]
            failpoint("push.calling")
            settled = await self._batch(group) if len(group) > 1 else [await self._one(group[0])]
            failpoint("push.answered")
            return settled

    async def _one(self, item: Claimed) -> Settled:
        if item.entity is Entity.NOTE and item.is_unclear:
            return unclear_note(item)
        with watched_calls(self._may_leave) as calls:
            try:
                settled = await (self._look_up(item) if item.is_unclear else self._send(item))
            except ServiceError as error:
                return self._failed(item, error, calls.last())
            except LeaseLost:
                raise
            except Exception:
                log.exception("delivery_crashed", external_id=item.external_id)
                return crashed(item)
            if settled.sent:
                self._breaker.note(None)
            return settled if settled.state == "done" else _with(settled, calls.last())

    async def _batch(self, items: list[Claimed]) -> list[Settled]:
        """What concerns the whole call is each one's outcome; a refusal that names nobody is asked one by one."""
        assert isinstance(self._connector, TakesBatches)
        shaped: Sequence[ShapedLead] = ()
        outcomes: Sequence[Saved | ServiceError]
        with watched_calls(self._may_leave) as calls:
            try:
                shaped = await self._shaping.leads([(_lead(item), _known(item)) for item in items])
                changes = [LeadChange(one.lead, item.crm_id) for one, item in zip(shaped, items, strict=True)]
                outcomes = await self._connector.save_leads(changes)
            except ServiceError as error:
                outcomes = [error] * len(items)
            except LeaseLost:
                raise
            except Exception:
                log.exception("delivery_crashed", external_ids=[item.external_id for item in items])
                return [crashed(item) for item in items]
        first = outcomes[0]
        if isinstance(first, Rejected) and all(outcome is first for outcome in outcomes):
            return [await self._one(item) for item in items]
        for told in {id(outcome): outcome for outcome in outcomes}.values():
            self._breaker.note(told if isinstance(told, ServiceError) else None)
        if isinstance(first, ServiceError) and not shaped:
            return [_with(after(item, first, self._breaker.pause), calls.last()) for item in items]
        return [
            _saved(item, outcome, one)
            if isinstance(outcome, Saved)
            else _with(after(item, outcome, self._breaker.pause), self._own_part(calls, one))
            for item, outcome, one in zip(items, outcomes, shaped, strict=True)
        ]

    def _own_part(self, calls: WatchedCalls, shaped: ShapedLead) -> Exchange | None:
        """Of a batch's request only this delivery's record is of interest."""
        last = calls.last()
        if last is None:
            return None
        try:
            body = self._connector.lead_body(shaped.lead)
        except ServiceError:
            return last
        return calls.last(instead=plain(body))

    async def _look_up(self, item: Claimed) -> Settled:
        found = await self._connector.find(item.entity, item.external_id)
        if found is not None:
            return Settled(
                item.id, "done", "adopted", crm_id=found, link_hash=item.sent_hash or b"", looked_up=True
            )
        age = item.unclear_seconds
        if (age is not None and age < self._lag) or item.lookups + 1 < _MIN_LOOKUPS:
            # The CRM's search may lag behind its writes: one "not found" proves nothing yet.
            wait = min(max(1.0, self._lag / 4), 5.0) if self._lag else 0.0
            reason = f"Ответ CRM на создание «{item.external_id}» не получен: ищем запись по ключу."
            return Settled(item.id, "unknown", delay=wait, looked_up=True, reason_code=UNCLEAR, reason=reason)
        return Settled(item.id, "retry", looked_up=True, reason_code="surely_absent")

    async def _send(self, item: Claimed) -> Settled:
        if _is_there(item):
            return Settled(
                item.id, "done", "unchanged", crm_id=item.crm_id, link_hash=item.payload_hash, sent=False
            )
        if _waits_for_contact(item):
            return Settled(
                item.id,
                "retry",
                delay=_CONTACT_WAIT,
                reason_code="waits_for_contact",
                reason="Покупателя ещё нет в контактах CRM: лид уйдёт сразу за ним.",
                sent=False,
            )
        return await self._save(item)

    async def _save(self, item: Claimed) -> Settled:
        if item.entity is Entity.NOTE:
            return _saved(item, await self._add_note(item), None)
        if item.entity is Entity.CONTACT:
            contact = self._shaping.contact(contact_of(item.payload), _known(item))
            return _saved(item, await self._save_contact(item, contact), contact)
        shaped = await self._shaping.lead(_lead(item), _known(item))
        crm = self._connector
        saved = await (
            crm.update_lead(item.crm_id, shaped.lead) if item.crm_id else crm.create_lead(shaped.lead)
        )
        return _saved(item, saved, shaped)

    async def _save_contact(self, item: Claimed, contact: Contact) -> Saved:
        crm = self._connector
        return await (
            crm.update_contact(item.crm_id, contact) if item.crm_id else crm.create_contact(contact)
        )

    async def _add_note(self, item: Claimed) -> Saved:
        if not isinstance(self._connector, TakesNotes):
            raise Rejected(NO_NOTES[1], code=NO_NOTES[0])
        assert item.lead_id is not None, "a note is claimed only once its lead is linked"
        return await self._connector.add_note(item.lead_id, self._shaping.note(note_of(item.payload)))

    def _failed(self, item: Claimed, error: ServiceError, exchange: Exchange | None) -> Settled:
        self._breaker.note(error)
        return _with(after(item, error, self._breaker.pause), exchange)


def _fits_a_batch(item: Claimed) -> bool:
    """A lead that takes a call, and no look-up before it."""
    return not (
        item.entity is not Entity.LEAD or item.is_unclear or _is_there(item) or _waits_for_contact(item)
    )


def _is_there(item: Claimed) -> bool:
    """The CRM holds just this. Once something else was tried for it, nobody knows what the CRM made of that."""
    return item.crm_id is not None and item.linked_hash == item.payload_hash and item.attempts == 1


def _waits_for_contact(item: Claimed) -> bool:
    wanted = item.payload.get("contact_external_id")
    return wanted is not None and item.contact_id is None and item.contact_open


def _lead(item: Claimed) -> Lead:
    return lead_of(item.payload, item.contact_id)


def _known(item: Claimed) -> Known | None:
    return Known(item.crm_id, item.sent, item.put_stage) if item.crm_id is not None else None


def _saved(item: Claimed, saved: Saved, sent: ShapedLead | Contact | None) -> Settled:
    # A lead that had to go without its contact is not what we want yet: the next sync sends it again.
    complete = item.payload.get("contact_external_id") is None or item.contact_id is not None
    settled = Settled(
        item.id,
        "done",
        "updated" if item.crm_id is not None else "created" if saved.created else "adopted",
        crm_id=saved.crm_id,
        link_hash=item.payload_hash if complete else b"",
    )
    if sent is None or settled.outcome == "adopted":  # what was there already is not what we would have sent
        return settled
    if isinstance(sent, Contact):
        return replace(settled, record=content_of(sent))
    return replace(settled, record=content_of(sent.lead), put_stage=sent.put_stage)


def _with(settled: Settled, exchange: Exchange | None) -> Settled:
    return replace(settled, exchange=exchange)
