"""Gigs (кворки): editing through the form, pausing, starting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.kwork import GigState
from app.domain.sameness import same_text
from app.domain.writes import Checked, Finding, Found, Write, WriteAction
from app.domain.writing import GigForm
from app.services.write_handlers import Hands, WriteHandler


class EditGig(WriteHandler):
    """``payload``: title, description, price_kopecks, days (each may be None), fields (by the form's own names).

    The form is read, what was asked is changed, the rest is submitted as it was.
    """

    action = WriteAction.EDIT_GIG

    async def check(self, write: Write, hands: Hands) -> Checked:
        form = await hands.client.writing.gig_form(write.number)
        changes = _changes(write, hands, form)
        if not changes:
            raise Invalid("Менять нечего: назовите хотя бы одно поле.", code="nothing_to_change")
        before = {name: form.value(name) for name in changes}
        return Checked((hands.client.writing.save_gig(form, changes),), facts={"before": before})

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        return {"verified": await self._is_as_asked(write, hands)}

    async def find(self, write: Write, hands: Hands) -> Finding:
        return Finding(Found.DONE if await self._is_as_asked(write, hands) else Found.ABSENT)

    @staticmethod
    async def _is_as_asked(write: Write, hands: Hands) -> bool:
        form = await hands.client.writing.gig_form(write.number)
        asked = _changes(write, hands, form)
        return all(_same(form, name, value) for name, value in asked.items())


class SwitchGig(WriteHandler):
    """Pausing or starting a gig."""

    def __init__(self, action: WriteAction) -> None:
        self.action = action
        self._wanted = GigState.PAUSED if action is WriteAction.PAUSE_GIG else GigState.ACTIVE

    async def check(self, write: Write, hands: Hands) -> Checked:
        writing = hands.client.writing
        gig = await writing.own_gig(write.number)
        if gig is None:
            raise NotFound("Такого кворка у аккаунта нет.")
        if gig.state is self._wanted:
            raise Conflict(f"Кворк уже в состоянии {gig.state.value}.", code="gig_already_so")
        pause = self.action is WriteAction.PAUSE_GIG
        call = writing.pause_gig(write.number) if pause else writing.start_gig(write.number)
        return Checked((call,), facts={"state_before": gig.state.value, "title": gig.title})

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        gig = await hands.client.writing.own_gig(write.number)
        return {"state": gig.state.value if gig else None}

    async def find(self, write: Write, hands: Hands) -> Finding:
        gig = await hands.client.writing.own_gig(write.number)
        if gig is None:
            return Finding(Found.UNCLEAR, why="Кворка нет ни в одной группе: посмотрите его на kwork.ru.")
        return Finding(Found.DONE if gig.state is self._wanted else Found.ABSENT, {"state": gig.state.value})


def _changes(write: Write, hands: Hands, form: GigForm) -> dict[str, Any]:
    payload = write.payload
    asked: dict[str, Any] = dict(payload.get("fields") or {})
    asked |= hands.client.writing.gig_changes(
        form,
        title=payload.get("title"),
        description=payload.get("description"),
        price_kopecks=payload.get("price_kopecks"),
        days=payload.get("days"),
    )
    return asked


def _same(form: GigForm, name: str, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return same_text(form.value(name) or "", wanted)
    return [value for key, value in form.fields if key == name] == list(wanted)
