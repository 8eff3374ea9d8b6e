"""By which way a write goes: as asked, else by the tenant's rule; settled once, and never a second try by the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.errors import Ambiguous, Conflict, Rejected
from app.domain.writes import (
    BY_BROWSER,
    SURFACE,
    USUALLY,
    WriteAction,
    WriteInTheWay,
    WriteState,
    is_by_browser,
)
from app.services.hand_in_order import CheckDelivery, HandIn
from tests.ledger import Ledger


async def rule(ledger: Ledger, **rules: Any) -> None:
    await ledger.service.change_rules(ledger.caller(), rules)


async def test_the_rule_decides_unless_the_write_says_otherwise(ledger: Ledger) -> None:
    usual = await ledger.ask("Раз")
    asked = await ledger.ask("Два", surface=BY_BROWSER)
    await rule(ledger, messages_by_browser=True)
    ruled = await ledger.ask("Три")
    against = await ledger.ask("Четыре", surface=USUALLY)
    other = await ledger.ask("Пять", action=WriteAction.RESPOND, target="project:5")
    found = [is_by_browser(one.payload) for one in (usual, asked, ruled, against, other)]
    assert found == [False, True, True, False, False]


async def test_the_same_request_under_its_key_is_the_same_whatever_the_rules_have_become(
    ledger: Ledger,
) -> None:
    first = await ledger.ask("Раз", key="k")
    await rule(ledger, messages_by_browser=True)
    again = await ledger.ask("Раз", key="k")
    assert (again.id, is_by_browser(again.payload)) == (first.id, False)
    assert len(ledger.kwork.arrived) == 1


async def test_the_same_text_by_the_other_way_within_a_minute_is_a_double_click(ledger: Ledger) -> None:
    first = await ledger.ask("Раз")
    with pytest.raises(WriteInTheWay) as refused:
        await ledger.ask("Раз", surface=BY_BROWSER)
    assert (refused.value.code, refused.value.write_id) == ("duplicate_write", first.id)
    assert len(ledger.kwork.arrived) == 1


async def test_an_unclear_write_is_not_tried_by_the_other_way_and_a_refused_one_may_be(
    ledger: Ledger,
) -> None:
    ledger.kwork.days = [(Ambiguous("cut"), False)]
    ledger.kwork.shows = False
    unclear = await ledger.ask("Раз")
    assert unclear.state is WriteState.UNKNOWN
    with pytest.raises(WriteInTheWay):
        await ledger.ask("Раз", surface=BY_BROWSER, key="by-browser")
    ledger.kwork.days = [(Rejected("нет"), False)]
    await ledger.ask("Раз", target="dialog:78")
    by_browser = await ledger.ask("Раз", target="dialog:78", surface=BY_BROWSER)
    assert by_browser.state is WriteState.SUCCEEDED


async def test_in_approval_the_way_is_settled_when_it_is_asked_for(ledger: Ledger) -> None:
    await rule(ledger, mode="approval", messages_by_browser=True)
    waiting = await ledger.ask("Раз")
    await rule(ledger, messages_by_browser=False)
    confirmed = await ledger.service.confirm(ledger.caller(), waiting.id)
    assert (confirmed.state, is_by_browser(confirmed.payload)) == (WriteState.SUCCEEDED, True)


async def test_a_hand_in_by_page_has_no_uploads_before_it(ledger: Ledger) -> None:
    await rule(ledger, hand_in_by_browser=True)
    payload = {"message": "Готово", "file_ids": ["0f0e0d0c-0b0a-0908-0706-050403020100"], "stage_ids": []}
    write = await ledger.ask("", action=WriteAction.DELIVER, target="order:5", **payload)
    steps = await ledger.service.steps(write.tenant_id, write.id)
    assert [step.action for step in steps] == [WriteAction.HAND_IN, WriteAction.SEND_MESSAGE]
    assert [step.payload.get(SURFACE) for step in steps] == [BY_BROWSER, None]
    assert steps[0].payload["file_ids"] == payload["file_ids"]


@pytest.mark.parametrize("handler", [CheckDelivery(), HandIn()], ids=lambda one: type(one).__name__)
async def test_a_hand_in_by_page_is_refused_where_the_tenant_has_not_allowed_it(
    ledger: Ledger, handler: CheckDelivery | HandIn
) -> None:
    payload = {"message": "", "file_ids": [], "stage_ids": []}
    await rule(ledger, hand_in_by_browser=True)
    allowed = await ledger.ask("", action=WriteAction.DELIVER, target="order:5", **payload)
    await rule(ledger, hand_in_by_browser=False)  # a step that waited meanwhile does not go either
    client: Any = SimpleNamespace(writing=ledger.kwork)
    hands = await ledger.service._perform.hands(allowed, client)
    with pytest.raises(Conflict) as refused:
        await handler.check(allowed, hands)
    assert (refused.value.code, allowed.payload[SURFACE]) == ("hand_in_by_browser_off", BY_BROWSER)
