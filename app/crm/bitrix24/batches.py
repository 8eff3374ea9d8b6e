"""Many leads in two calls: one that looks everything up, one that writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.crm.bitrix24.answers import Unreadable, item_in, numbers_in
from app.crm.bitrix24.bodies import BodyWriter
from app.crm.bitrix24.items import ItemRef, ItemType, ref_of
from app.crm.bitrix24.keys import by_key, find_call, refuse_foreign
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import Lead, LeadChange, Saved
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, ServiceError, VendorError

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
        firsts = {step.change.lead.external_id: step for step in reversed(steps)}
        own = [step for step in steps if firsts[step.change.lead.external_id] is step]
        await self._look_up([step for step in own if step.outcome is None])
        await self._write([step for step in own if step.write is not None])
        return [_outcome_of(step, firsts[step.change.lead.external_id]) for step in steps]

    def _step(self, change: LeadChange) -> _Step:
        try:
            return _Step(change, ref_of(change.crm_id, self._kind) if change.crm_id else None)
        except VendorError as error:
            return _Step(change, outcome=error)

    async def _look_up(self, steps: Sequence[_Step]) -> None:
        asked = {f"l{n}": call for n, step in enumerate(steps) if (call := self._question(step)) is not None}
        answers = await self._rest.batch(asked, write=False)
        _raise_if_all(list(answers.values()))
        for number, step in enumerate(steps):
            try:
                self._plan(step, answers.get(f"l{number}"))
            except VendorError as error:
                step.outcome = error
            except Unreadable as error:
                step.outcome = self._rest.unclear(str(error), write=False)

    def _question(self, step: _Step) -> Call | None:
        lead = step.change.lead
        if step.ref is None:
            return find_call(self._kind, self._bodies.key(lead.external_id))
        return get_call(step.ref) if lead.contact_id is not None else None

    def _plan(self, step: _Step, answer: object) -> None:
        if isinstance(answer, VendorError):
            raise answer
        lead, key = step.change.lead, self._bodies.key(step.change.lead.external_id)
        if step.ref is None:
            found = by_key(answer, self._kind, key)
            if found is None:
                step.write = Call("crm.item.add", self._bodies.new_lead(lead, self._kind))
            else:
                step.outcome = Saved(str(found), created=False)
            return
        contacts = None
        if lead.contact_id is not None:
            record = item_in(answer)
            refuse_foreign(record, key)
            contacts = with_contact(numbers_in(record.get("contactIds")), lead.contact_id)
        body = self._bodies.changed_lead(lead, step.ref, ours=self._kind, contact_ids=contacts)
        step.write = Call("crm.item.update", body)

    async def _write(self, steps: Sequence[_Step]) -> None:
        calls = {f"l{n}": step.write for n, step in enumerate(steps) if step.write is not None}
        answers = await self._rest.batch(calls, write=True)
        _raise_if_all(list(answers.values()))
        for number, step in enumerate(steps):
            answer = answers[f"l{number}"]
            try:
                step.outcome = (
                    answer
                    if isinstance(answer, VendorError)
                    else self._judge(answer, step.change.lead, step.ref)
                )
            except VendorError as error:
                step.outcome = error


def get_call(ref: ItemRef) -> Call:
    return Call("crm.item.get", {"entityTypeId": int(ref.kind), "id": ref.id})


def with_contact(known: list[int], contact_id: str) -> list[int] | None:
    """All contacts, ours included; None when it is there already."""
    number = ref_of(contact_id, ItemType.CONTACT).id
    return None if number in known else [*known, number]


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
