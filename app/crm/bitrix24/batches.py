"""Many leads at once: what is there already is asked in one list, what is to be written goes in one ``batch``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.crm.bitrix24.answers import Unreadable, item_in, numbers_in
from app.crm.bitrix24.bodies import BodyWriter
from app.crm.bitrix24.items import ItemRef, ItemType, Record, ref_of
from app.crm.bitrix24.keys import by_key, find_call, refuse_foreign
from app.crm.bitrix24.lookups import by_keys, get_call, records_of, with_contact
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import Lead, LeadChange, Saved
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    VendorError,
)

_OF_ALL: Final = (AuthExpired, Blocked, RateLimited)
"""What concerns the whole connection, though each call of a batch is told it."""

Outcome = Saved | ServiceError
Judge = Callable[[object, Lead, ItemRef | None], Saved]


@dataclass(slots=True)
class _Step:
    """One change on its way; ``outcome`` once it is decided."""

    change: LeadChange
    ref: ItemRef | None = None
    write: Call | None = None
    outcome: Outcome | None = None

    @property
    def lead(self) -> Lead:
        return self.change.lead

    @property
    def meant(self) -> tuple[str, str | None]:
        """Two steps that mean the same must not both be sent."""
        return self.lead.external_id, self.change.crm_id


class BatchSaver:
    """Saves leads of one kind; ``judge`` reads a written item's answer."""

    def __init__(self, rest: Rest, bodies: BodyWriter, kind: ItemType, judge: Judge) -> None:
        self._rest = rest
        self._bodies = bodies
        self._kind = kind
        self._judge = judge

    async def save(self, changes: Sequence[LeadChange]) -> list[Outcome]:
        """An outcome for each change, in their order. Raises what concerns the whole call."""
        steps = [self._step(change) for change in changes]
        firsts = {step.meant: step for step in reversed(steps)}
        own = [step for step in steps if firsts[step.meant] is step and step.outcome is None]
        await self._plan_creates([step for step in own if step.ref is None])
        await self._plan_updates([step for step in own if step.ref is not None])
        await self._write([step for step in own if step.write is not None])
        return [_outcome_of(step, firsts[step.meant]) for step in steps]

    def _step(self, change: LeadChange) -> _Step:
        try:
            return _Step(change, ref_of(change.crm_id, self._kind) if change.crm_id else None)
        except VendorError as error:
            return _Step(change, outcome=error)

    async def _plan_creates(self, steps: Sequence[_Step]) -> None:
        """Those that are there already are only named."""
        keys = [self._bodies.key(step.lead.external_id) for step in steps]
        found = await by_keys(self._rest, self._kind, keys)
        for step, key in zip(steps, keys, strict=True):
            try:
                ref = found[str(key["originId"])] if found is not None else await self._one(key)
                if ref is not None:
                    step.outcome = Saved(str(ref), created=False)
                else:
                    step.write = Call("crm.item.add", self._bodies.new_lead(step.lead, self._kind))
            except VendorError as error:
                step.outcome = error

    async def _one(self, key: Record) -> ItemRef | None:
        try:
            return by_key(await self._rest.read(find_call(self._kind, key)), self._kind, key)
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None

    async def _plan_updates(self, steps: Sequence[_Step]) -> None:
        """A contact is added to those that people linked, so they are asked for first."""
        wanted = [step.ref for step in steps if step.ref is not None and step.lead.contact_id is not None]
        records = await records_of(self._rest, wanted)
        for step in steps:
            try:
                step.write = await self._update(step, records)
            except VendorError as error:
                step.outcome = error

    async def _update(self, step: _Step, records: Mapping[ItemRef, Record]) -> Call:
        assert step.ref is not None
        contacts = None
        if step.lead.contact_id is not None:
            record = records.get(step.ref)
            if record is None:
                raise Rejected("Такой записи в Битрикс24 нет, или вебхук её не видит.")
            if not isinstance(record.get("contactIds"), list):
                record = await self._whole(step.ref)
            refuse_foreign(record, self._bodies.key(step.lead.external_id))
            contacts = with_contact(numbers_in(record.get("contactIds")), step.lead.contact_id)
        body = self._bodies.changed_lead(step.lead, step.ref, ours=self._kind, contact_ids=contacts)
        return Call("crm.item.update", body)

    async def _whole(self, ref: ItemRef) -> Record:
        try:
            return item_in(await self._rest.read(get_call(ref)))
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None

    async def _write(self, steps: Sequence[_Step]) -> None:
        calls = {f"l{n}": step.write for n, step in enumerate(steps) if step.write is not None}
        answers = await self._rest.batch(calls, write=True)
        _raise_if_all(list(answers.values()))
        for number, step in enumerate(steps):
            answer = answers[f"l{number}"]
            try:
                if isinstance(answer, VendorError):
                    raise answer
                step.outcome = self._judge(answer, step.lead, step.ref)
            except VendorError as error:
                step.outcome = error


def _raise_if_all(outcomes: Sequence[object]) -> None:
    first = next(iter(outcomes), None)
    if isinstance(first, _OF_ALL) and all(isinstance(outcome, type(first)) for outcome in outcomes):
        raise first


def _outcome_of(step: _Step, first: _Step) -> Outcome:
    """A key that came twice in one call was sent once."""
    outcome = first.outcome or Ambiguous("Об этой записи Битрикс24 ничего не ответил.")
    if step is first or step.outcome is not None:
        return step.outcome or outcome
    return Saved(outcome.crm_id, created=False) if isinstance(outcome, Saved) else outcome
