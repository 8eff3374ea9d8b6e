"""The ledger: whatever breaks where, nothing is sent twice and nothing is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.domain.access import Role
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Rejected,
    Unavailable,
)
from app.domain.writes import Checked, WriteAction, WriteInTheWay, WriteRefused, WriteState, WriteTooMany
from app.repositories.writes import Writes
from app.services import perform_write
from app.services.write_handlers import WriteHandler
from tests.clockwork import until
from tests.ledger import TENANT, Ledger


async def rule(ledger: Ledger, **rules: Any) -> None:
    await ledger.service.change_rules(ledger.caller(), rules)


def handler(ledger: Ledger, action: WriteAction = WriteAction.SEND_MESSAGE) -> Any:
    found: WriteHandler = ledger.handlers[action]
    return found


async def test_a_write_goes_out_once_and_tells_what_came_of_it(ledger: Ledger) -> None:
    write = await ledger.ask("Здравствуйте!")
    assert (write.state, write.outcome["kwork_id"]) == (WriteState.SUCCEEDED, 1)
    assert ledger.kwork.arrived == ["/send_message/dialog:77/Здравствуйте!"]


async def test_ten_equal_calls_with_one_key_make_one_write_and_get_equal_answers(ledger: Ledger) -> None:
    found = await asyncio.gather(*(ledger.ask("Раз", key="one-click") for _ in range(10)))
    assert {write.id for write in found} == {found[0].id}
    assert {write.state for write in found} == {WriteState.SUCCEEDED}
    assert len(ledger.kwork.arrived) == 1


async def test_the_same_without_a_key_within_a_minute_is_one_write_and_the_rest_name_it(
    ledger: Ledger,
) -> None:
    found = await asyncio.gather(*(ledger.ask("Раз") for _ in range(10)), return_exceptions=True)
    writes = [one for one in found if not isinstance(one, BaseException)]
    refused = [one for one in found if isinstance(one, WriteInTheWay)]
    assert len(writes) == 1
    assert len(refused) == 9
    assert {(one.code, one.write_id) for one in refused} == {("duplicate_write", writes[0].id)}
    assert len(ledger.kwork.arrived) == 1


async def test_the_same_text_goes_out_again_after_a_minute(ledger: Ledger) -> None:
    await ledger.ask("Раз")
    await ledger.owner.execute("UPDATE kwork_writes SET created_at = created_at - interval '61 seconds'")
    await ledger.ask("Раз")
    assert len(ledger.kwork.arrived) == 2


async def test_another_body_under_a_used_key_is_refused(ledger: Ledger) -> None:
    await ledger.ask("Раз", key="k")
    with pytest.raises(Invalid) as refused:
        await ledger.ask("Два", key="k")
    assert refused.value.code == "idempotency_key_reused"
    assert len(ledger.kwork.arrived) == 1


async def test_a_key_of_one_tenant_means_nothing_to_another(ledger: Ledger) -> None:
    await ledger.ask("Раз", key="k")
    async with ledger.database.tenant("other") as scope:
        from app.repositories.writes import Writes

        assert await Writes(scope).by_key("k") is None


@pytest.mark.parametrize("acted", [True, False])
@pytest.mark.parametrize(
    "error", [Ambiguous("cut"), AuthExpired("signed out"), RuntimeError("a fault of ours")]
)
async def test_a_lost_answer_is_looked_up_and_never_repeated(
    ledger: Ledger, error: Exception, acted: bool
) -> None:
    ledger.kwork.days = [(error, acted)]
    write = await ledger.ask("Раз")
    await ledger.settle()
    state = (await ledger.service.get(TENANT, write.id)).state
    assert state is (WriteState.RECONCILED_DONE if acted else WriteState.RECONCILED_ABSENT)
    assert len(ledger.kwork.arrived) == 1


@pytest.mark.parametrize(
    "error",
    [Rejected("нет", code="kwork_dialog_forbidden"), RateLimited("ждите", retry_after=30), Blocked("403")],
)
async def test_a_clear_no_is_a_no(ledger: Ledger, error: Any) -> None:
    ledger.kwork.days = [(error, False)]
    write = await ledger.ask("Раз")
    assert write.state is WriteState.REFUSED
    assert write.problem is not None
    assert write.problem.code == error.code
    await ledger.settle()
    assert len(ledger.kwork.arrived) == 1


async def test_a_block_reaches_the_account(ledger: Ledger) -> None:
    ledger.kwork.days = [(Blocked("403"), False)]
    await ledger.ask("Раз")
    assert [type(error) for error in ledger.accounts.errors] == [Blocked]


async def test_a_session_lost_before_the_mark_is_renewed_and_the_write_goes_out(ledger: Ledger) -> None:
    asked = handler(ledger)
    check = asked.check

    async def check_once_signed_out(write: Any, hands: Any) -> Any:
        asked.check = check
        raise AuthExpired("signed out")

    asked.check = check_once_signed_out
    write = await ledger.ask("Раз")
    assert write.state is WriteState.SUCCEEDED
    assert len(ledger.kwork.arrived) == 1


async def test_what_fails_a_rule_never_leaves_and_says_which(ledger: Ledger) -> None:
    handler(ledger).refusal = Conflict("проект закрыт", code="project_closed")
    write = await ledger.ask("Раз")
    assert write.state is WriteState.REFUSED
    assert write.problem is not None
    assert write.problem.code == "project_closed"
    assert write.committed_at is None
    assert ledger.kwork.arrived == []


async def test_what_failed_before_leaving_for_a_passing_reason_may_go_under_the_same_key(
    ledger: Ledger,
) -> None:
    handler(ledger).refusal = Unavailable("Kwork не отвечает")
    first = await ledger.ask("Раз", key="k")
    handler(ledger).refusal = None
    second = await ledger.ask("Раз", key="k")
    assert (first.state, second.state) == (WriteState.REFUSED, WriteState.SUCCEEDED)
    assert len(ledger.kwork.arrived) == 1


async def test_what_was_refused_for_good_stays_refused_under_its_key(ledger: Ledger) -> None:
    handler(ledger).refusal = Conflict("проект закрыт", code="project_closed")
    first = await ledger.ask("Раз", key="k")
    handler(ledger).refusal = None
    assert (await ledger.ask("Раз", key="k")).id == first.id
    assert ledger.kwork.arrived == []


async def test_while_one_is_unclear_others_to_the_same_target_wait_and_elsewhere_go(ledger: Ledger) -> None:
    ledger.kwork.days = [(Ambiguous("cut"), True)]
    ledger.kwork.shows = False
    unclear = await ledger.ask("Раз")
    assert unclear.state is WriteState.UNKNOWN
    with pytest.raises(WriteInTheWay) as waits:
        await ledger.ask("Два")
    assert (waits.value.code, waits.value.write_id) == ("write_unsettled", unclear.id)
    assert (await ledger.ask("Два", target="dialog:78")).state is WriteState.SUCCEEDED


async def test_three_unclear_ones_stop_all_writes_of_the_account(ledger: Ledger) -> None:
    ledger.kwork.shows = False
    for number in range(3):
        ledger.kwork.days = [(Ambiguous("cut"), True)]
        await ledger.ask("Раз", target=f"dialog:{number + 1}")
    with pytest.raises(WriteInTheWay) as stopped:
        await ledger.ask("Раз", target="dialog:99")
    assert stopped.value.code == "account_writes_stopped"
    ledger.kwork.shows = True
    await ledger.settle()
    assert (await ledger.ask("Раз", target="dialog:99")).state is WriteState.SUCCEEDED


async def test_absence_counts_only_when_the_request_can_no_longer_be_on_its_way(ledger: Ledger) -> None:
    late = ledger.other()
    late._reconcile._absent_after = 3600.0
    ledger.service._reconcile._absent_after = 3600.0
    ledger.kwork.days = [(Ambiguous("cut"), False)]
    write = await ledger.ask("Раз")
    await ledger.settle()
    assert (await ledger.service.get(TENANT, write.id)).state is WriteState.UNKNOWN
    await ledger.owner.execute("UPDATE kwork_writes SET committed_at = now() - interval '2 hours'")
    await ledger.settle()
    assert (await ledger.service.get(TENANT, write.id)).state is WriteState.RECONCILED_ABSENT


async def test_what_kwork_showed_before_is_kept_with_the_mark(ledger: Ledger) -> None:
    handler(ledger).checked = Checked((), before={"events": [7]})
    ledger.kwork.days, ledger.kwork.shows = [(Ambiguous("cut"), True)], False
    write = await ledger.ask("Раз")
    assert (write.state, write.before) == (WriteState.UNKNOWN, {"events": [7]})


async def test_a_person_may_settle_what_kwork_does_not_show(ledger: Ledger) -> None:
    ledger.kwork.days, ledger.kwork.shows = [(Ambiguous("cut"), True)], False
    write = await ledger.ask("Раз")
    settled = await ledger.service.resolve(
        ledger.caller(), write.id, happened=True, reason="вижу в переписке"
    )
    assert (settled.state, settled.resolved_by) == (WriteState.RECONCILED_DONE, "anna@example.com")
    audited = await ledger.owner.fetchrow("SELECT * FROM audit WHERE action = 'write.resolve'")
    assert (audited["actor"], "вижу в переписке" in str(audited["details"])) == ("anna@example.com", True)
    with pytest.raises(Conflict):
        await ledger.service.resolve(ledger.caller(), write.id, happened=False, reason="передумала")


async def test_in_approval_nothing_leaves_until_somebody_with_the_role_confirms(ledger: Ledger) -> None:
    await rule(ledger, mode="approval")
    write = await ledger.ask("Раз", role=Role.OPERATOR)
    assert (write.state, len(write.plan)) == (WriteState.PREPARED, 1)
    await ledger.settle()
    assert ledger.kwork.arrived == []
    with pytest.raises(Forbidden):
        await ledger.service.confirm(ledger.caller(Role.OPERATOR, "igor@example.com"), write.id)
    done = await ledger.service.confirm(ledger.caller(name="chief@example.com"), write.id)
    assert (done.state, done.confirmed_by) == (WriteState.SUCCEEDED, "chief@example.com")
    with pytest.raises(Conflict):
        await ledger.service.confirm(ledger.caller(), write.id)
    assert len(ledger.kwork.arrived) == 1


async def test_a_cancelled_or_run_out_write_never_leaves(ledger: Ledger) -> None:
    await rule(ledger, mode="approval")
    cancelled, late = await ledger.ask("Раз"), await ledger.ask("Два")
    await ledger.service.cancel(ledger.caller(), cancelled.id)
    await ledger.owner.execute(
        "UPDATE kwork_writes SET expires_at = now() - interval '1 s' WHERE id = $1", late.id
    )
    with pytest.raises(Conflict):
        await ledger.service.confirm(ledger.caller(), late.id)
    await ledger.settle()
    assert await ledger.states() == ["cancelled", "expired"]
    with pytest.raises(Conflict):
        await ledger.service.confirm(ledger.caller(), cancelled.id)
    assert ledger.kwork.arrived == []


async def test_switched_off_means_reading_only(ledger: Ledger) -> None:
    await rule(ledger, mode="off")
    with pytest.raises(Forbidden) as refused:
        await ledger.ask("Раз")
    assert refused.value.code == "writes_off"
    assert await ledger.rows() == []


async def test_a_dry_run_shows_the_requests_and_keeps_nothing(ledger: Ledger) -> None:
    shown = await ledger.service.dry_run(ledger.caller(), ledger.wanted("Раз"))
    assert [call.path for call in shown.checked.calls] == ["/send_message/dialog:77/Раз"]
    assert await ledger.rows() == []
    assert ledger.kwork.arrived == []


async def test_the_daily_cap_counts_what_went_out_or_may_have(ledger: Ledger) -> None:
    await rule(ledger, messages_per_day=2)
    ledger.kwork.days = [(Ambiguous("cut"), True), (Rejected("нет"), False)]
    await ledger.ask("Раз", target="dialog:1")
    await ledger.ask("Два", target="dialog:2")  # refused: does not count
    await ledger.ask("Три", target="dialog:3")
    with pytest.raises(WriteTooMany) as capped:
        await ledger.ask("Четыре", target="dialog:4")
    assert 80_000 < capped.value.retry_after <= 86_400
    assert (
        await ledger.ask("x", target="order:1", action=WriteAction.TAKE_ORDER)
    ).state is WriteState.SUCCEEDED


async def test_the_floor_of_connects_is_never_passed(ledger: Ledger) -> None:
    await rule(ledger, connects_floor=5)
    respond = handler(ledger, WriteAction.RESPOND)
    respond.checked = Checked((), cost_connects=1, connects_left=5)
    write = await ledger.ask("Раз", action=WriteAction.RESPOND, target="project:5")
    assert write.problem is not None
    assert (write.state, write.problem.code) == (WriteState.REFUSED, "connects_floor")
    respond.checked = Checked((), cost_connects=1, connects_left=6)
    assert (
        await ledger.ask("Раз", action=WriteAction.RESPOND, target="project:5")
    ).state is WriteState.SUCCEEDED


async def test_two_messages_to_one_dialog_arrive_in_the_order_they_were_asked_for(ledger: Ledger) -> None:
    ledger.kwork.gate = asyncio.Event()
    asked = [asyncio.create_task(ledger.ask(f"{number}")) for number in range(5)]
    while not ledger.kwork.arrived:  # noqa: ASYNC110 - the fake has no event for it
        await asyncio.sleep(0)
    ledger.kwork.gate.set()
    writes = [await one for one in asked]
    assert {write.state for write in writes} == {WriteState.SUCCEEDED}
    rows = await ledger.owner.fetch("SELECT payload->>'text' AS text FROM kwork_writes ORDER BY committed_at")
    assert [row["text"] for row in rows] == [name.rpartition("/")[2] for name in ledger.kwork.arrived]


async def test_a_worker_that_died_after_the_mark_leaves_an_unclear_write(ledger: Ledger) -> None:
    ledger.kwork.gate = asyncio.Event()
    write = await ledger.ask("Раз", wait_seconds=0.0)
    while not ledger.kwork.arrived:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await ledger.release_all()
    other = ledger.other()
    await other.tidy(TENANT)
    assert (await other.get(TENANT, write.id)).state is WriteState.UNKNOWN
    await ledger.settle(other)
    assert (await other.get(TENANT, write.id)).state is WriteState.RECONCILED_ABSENT
    ledger.kwork.gate.set()  # the dead one wakes up: what it learns comes too late
    await ledger.service.idle()
    assert (await other.get(TENANT, write.id)).state is WriteState.RECONCILED_ABSENT
    assert len(ledger.kwork.arrived) == 1


async def test_a_worker_that_slept_before_the_mark_cannot_send_any_more(ledger: Ledger) -> None:
    asleep = asyncio.Event()
    asked = handler(ledger)
    check = asked.check

    async def sleep_first(write: Any, hands: Any) -> Any:
        asked.check = check
        await asleep.wait()
        return await check(write, hands)

    asked.check = sleep_first
    write = await ledger.ask("Раз", wait_seconds=0.0)
    while asked.check is not check:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await ledger.release_all()
    other = ledger.other()
    await ledger.settle(other)
    assert (await other.get(TENANT, write.id)).state is WriteState.SUCCEEDED
    asleep.set()
    await ledger.service.idle()
    assert len(ledger.kwork.arrived) == 1


async def test_what_a_dead_worker_had_not_marked_goes_out_soon_or_never(ledger: Ledger) -> None:
    for late in (False, True):
        asked = ledger.wanted(f"Раз {late}")
        new = await ledger.service._added(ledger.caller(), asked, None)
        if late:
            await ledger.owner.execute(
                "UPDATE kwork_writes SET expires_at = now() - interval '1 s' WHERE id = $1", new[0].id
            )
    await ledger.settle()
    assert await ledger.states() == ["succeeded", "expired"]
    assert len(ledger.kwork.arrived) == 1


async def test_another_tenants_write_does_not_exist(ledger: Ledger) -> None:
    write = await ledger.ask("Раз")
    with pytest.raises(NotFound):
        await ledger.service.get("other", write.id)


# Handing in: a parent with steps ------------------------------------------------------------------


F1, F2 = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"


async def deliver(ledger: Ledger, **more: Any) -> Any:
    payload = {"file_ids": [F1, F2], "stage_ids": [], "message": "Готово", **more}
    wanted = ledger.wanted(action=WriteAction.DELIVER, target="order:5", **payload)
    return await ledger.service.ask(ledger.caller(), wanted)


STEPS = [
    f"/upload_file/order:5/{F1}",
    f"/upload_file/order:5/{F2}",
    "/hand_in/order:5/",
    "/send_message/order:5/Готово",
]


async def test_a_hand_in_does_its_steps_in_order_each_in_the_ledger(ledger: Ledger) -> None:
    write = await deliver(ledger)
    assert write.state is WriteState.SUCCEEDED
    assert ledger.kwork.arrived == STEPS
    assert [step.state for step in await ledger.service.steps(TENANT, write.id)] == [WriteState.SUCCEEDED] * 4


async def test_an_unclear_step_is_looked_up_and_the_rest_follows_by_itself(ledger: Ledger) -> None:
    ledger.kwork.days = [(None, True), (None, True), (Ambiguous("cut"), True)]
    write = await deliver(ledger)
    await ledger.settle()
    assert (await ledger.service.get(TENANT, write.id)).state is WriteState.SUCCEEDED
    assert ledger.kwork.arrived == STEPS


async def test_a_refused_step_stops_the_rest_until_a_person_goes_on(ledger: Ledger) -> None:
    ledger.kwork.days = [(None, True), (None, True), (Rejected("нет", code="kwork_bad_values"), False)]
    write = await deliver(ledger)
    assert write.problem is not None
    assert (write.state, write.problem.code) == (WriteState.REFUSED, "kwork_bad_values")
    await ledger.settle()
    assert ledger.kwork.arrived == STEPS[:3]
    again = await ledger.service.carry_on(ledger.caller(), write.id)
    assert again.state is WriteState.SUCCEEDED
    assert ledger.kwork.arrived == [*STEPS[:3], *STEPS[2:]]
    assert ledger.kwork.done == STEPS


async def test_a_hand_in_whose_worker_died_between_steps_goes_on_where_it_stopped(ledger: Ledger) -> None:
    ledger.kwork.gate = asyncio.Event()
    task = asyncio.create_task(deliver(ledger))
    while not ledger.kwork.arrived:  # noqa: ASYNC110
        await asyncio.sleep(0)
    ledger.kwork.gate.set()
    await task
    await ledger.owner.execute(
        "UPDATE kwork_writes SET state = 'prepared', outcome = '{}', settled_at = NULL, committed_at = NULL "
        "WHERE action = 'send_message'"
    )
    await ledger.owner.execute(
        "UPDATE kwork_writes SET state = 'committing', settled_at = NULL WHERE is_parent"
    )
    ledger.kwork.arrived.clear()
    await ledger.release_all()
    await ledger.settle(ledger.other())
    assert ledger.kwork.arrived == STEPS[3:]


async def test_a_second_hand_in_of_the_same_order_waits_for_the_first(ledger: Ledger) -> None:
    ledger.kwork.gate = asyncio.Event()
    first = asyncio.create_task(deliver(ledger))
    while not ledger.kwork.arrived:  # noqa: ASYNC110
        await asyncio.sleep(0)
    with pytest.raises(WriteInTheWay) as refused:
        await deliver(ledger, message="Другое")
    assert refused.value.code == "write_in_progress"
    ledger.kwork.gate.set()
    assert (await first).state is WriteState.SUCCEEDED


async def test_who_waits_in_vain_for_another_process_is_told_which_write_is_in_the_way(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform_write, "_TURN_SECONDS", 0.0)
    ledger.kwork.gate = asyncio.Event()
    first = asyncio.create_task(ledger.ask("Раз"))
    await until(lambda: bool(ledger.kwork.arrived))
    second = await ledger.other().ask(ledger.caller(), ledger.wanted("Два"))
    ledger.kwork.gate.set()
    problem = second.problem
    assert problem is not None
    assert (second.state, problem.code) == (WriteState.REFUSED, "write_in_progress")
    assert WriteRefused(problem, second.id).write_id == (await first).id
    assert str((await first).id) in problem.detail
    assert ledger.kwork.arrived == ["/send_message/dialog:77/Раз"]


async def test_in_approval_a_hand_in_is_confirmed_as_a_whole(ledger: Ledger) -> None:
    await rule(ledger, mode="approval")
    write = await deliver(ledger)
    assert (write.state, bool(write.plan), ledger.kwork.arrived) == (WriteState.PREPARED, True, [])
    done = await ledger.service.confirm(ledger.caller(), write.id)
    assert done.state is WriteState.SUCCEEDED
    assert ledger.kwork.arrived == STEPS


# Bad days of our own --------------------------------------------------------------------------------


async def test_what_kwork_said_is_kept_although_the_database_was_away_just_then(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, refusals = Writes.settle, [ConnectionRefusedError(), ConnectionRefusedError()]

    async def settle_when_it_is_back(self: Writes, *given: Any, **named: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return await settle(self, *given, **named)

    monkeypatch.setattr(Writes, "settle", settle_when_it_is_back)
    write = await ledger.ask("Раз")
    assert (write.state, write.lookups) == (WriteState.SUCCEEDED, 0)
    assert len(ledger.kwork.arrived) == 1


@pytest.mark.parametrize("day", [(None, True), (Blocked("403"), False), (Ambiguous("cut"), True)])
async def test_a_settled_write_is_told_once(ledger: Ledger, day: Any) -> None:
    ledger.kwork.days = [day]
    write = await ledger.ask("Раз")
    await ledger.settle()
    told = await ledger.owner.fetch("SELECT subject FROM events WHERE type = 'write.settled'")
    assert [row["subject"] for row in told] == [str(write.id)]


async def test_a_dialog_may_be_marked_read_again_at_once(ledger: Ledger) -> None:
    for _ in range(2):
        write = await ledger.ask("", action=WriteAction.MARK_READ)
        assert write.state is WriteState.SUCCEEDED
