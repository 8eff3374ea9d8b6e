"""Messages, orders, gigs and files at the stand-in: what arrives is what was asked, and is read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import Invalid, NotFound, Rejected
from app.domain.kwork import GigState, OrderStatus, Surface
from app.domain.sameness import same_text
from app.marketplaces.kwork import answers
from tests.kwork_writing import STAGES, Writer, outgoing

TRICKY = 'Цена "та же" < 500 ₽ & больше\n\n\nвторая   строка'


async def test_a_message_with_a_file_arrives_and_is_known_again_by_its_key_and_text(
    writer: Writer, tmp_path: Path
) -> None:
    name = writer.stand.add_user(username="ivan_key")
    async with writer.client() as client:
        writing = client.writing
        upload = writing.upload_file(outgoing(tmp_path, 'от"чёт.pdf', b"%PDF" * 100, "application/pdf"))
        file_id = answers.uploaded_file_id(await writing.carry_out(upload))
        call = writing.send_message(name["user_id"], TRICKY, file_ids=[file_id], message_key="key-1")
        told = await writing.carry_out(call, writer.mark(call))
        found = [m for m in await writing.recent_messages("ivan_key") if m.message_key == "key-1"]
        assert [m.id for m in found] == [answers.sent_message_id(told)]
        assert answers.sent_as(told) == "message"
        assert same_text(found[0].text, TRICKY)
        assert (found[0].incoming, [file.size for file in found[0].files]) == (False, [400])
    assert writer.stand.messages(user_id=name["user_id"])[0]["unread"] is True


async def test_a_message_into_an_order_is_known_again_in_its_thread(writer: Writer) -> None:
    order = writer.order("take")
    buyer = writer.stand.order(order)["payer_id"]
    async with writer.client() as client:
        call = client.writing.send_message(buyer, TRICKY, order_id=order, message_key="key-2")
        told = await client.writing.carry_out(call, writer.mark(call))
        events = await client.writing.recent_events(order)
        found = [event for event in events if event.message_key == "key-2"]
        assert answers.sent_as(told) == "track"
        assert [event.id for event in found] == [answers.sent_message_id(told)]
        assert (found[0].author_id, same_text(found[0].text or "", TRICKY)) == (writer.stand.user_id, True)
        assert (await client.order_events(order)) == events


async def test_who_may_be_written_to_is_asked(writer: Writer) -> None:
    silent = writer.buyer()
    async with writer.client() as client:
        assert await client.writing.may_write(silent) is True
        body = {
            "success": True,
            "response": {"privateMessageStatus": 3, "privateMessageStatuses": {"DENY": 3}},
        }
        writer.stand.fault("error", surface="api", path="/isDialogAllow", body=body, status=200, count=1)
        assert await client.writing.may_write(silent) is False


async def test_an_order_tells_what_may_be_done_with_it(writer: Writer) -> None:
    async with writer.client() as client:
        permissions = client.writing.order_permissions
        new = await permissions(writer.order())
        taken = await permissions(writer.order("take", stages=STAGES))
        given = await permissions(writer.order("take", "hand_in"))
        asked = await permissions(writer.order("take", "propose_cancel"))
        own = await permissions(writer.order("take", "seller_proposes_cancel"))
        staged = writer.order("take", stages=STAGES)
        writer.stand.suggest_stages(staged, days=5, message="Так", stages=[["Ещё", 700]])
        suggested = await permissions(staged)
    assert (new.status, new.taken, new.can_hand_in) == (OrderStatus.NEW, False, False)
    assert (taken.status, taken.taken, taken.can_hand_in) == (OrderStatus.IN_PROGRESS, True, True)
    assert [(stage.title, stage.price_kopecks) for stage in taken.stages] == [
        ("Первый этап", 100_000),
        ("Второй этап", 200_000),
    ]
    assert (given.status, given.can_hand_in, given.cancel_requested) == (OrderStatus.ON_REVIEW, False, False)
    assert (asked.cancel_requested, asked.cancel_requested_by_seller) == (True, False)
    assert (own.cancel_requested, own.cancel_requested_by_seller) == (True, True)
    assert (suggested.suggestion_open, taken.suggestion_open) == (True, False)
    assert new.buyer_id == writer.stand.order(new.order_id)["payer_id"]


async def test_an_answered_request_is_no_longer_open(writer: Writer) -> None:
    order = writer.order("take", "propose_cancel")
    async with writer.client() as client:
        call = client.writing.reject_cancel(order)
        await client.writing.carry_out(call, writer.mark(call))
        assert (await client.writing.order_permissions(order)).cancel_requested is False
        reasons = await client.writing.cancel_reasons(order)
    assert (reasons[0].code, reasons[0].comment_required) == ("worker_force_cancel", True)


async def test_a_hand_in_with_files_turns_the_status_and_names_the_files(
    writer: Writer, tmp_path: Path
) -> None:
    order = writer.order("take", stages=STAGES)
    async with writer.client() as client:
        upload = client.writing.upload_file(outgoing(tmp_path, "итог.zip", b"zip"))
        file_id = answers.uploaded_file_id(await client.writing.carry_out(upload))
        call = client.writing.hand_in(order, stage_ids=[writer.stage(order, 0)], file_ids=[file_id])
        await client.writing.carry_out(call, writer.mark(call))
        assert (await client.writing.order_permissions(order)).status is OrderStatus.ON_REVIEW
    handed = writer.stand.order(order)["tracks"][-1]
    assert [file["id"] for file in handed["files"]] == [file_id]


async def test_a_report_tells_the_event_it_left(writer: Writer) -> None:
    order = writer.order("take")
    async with writer.client() as client:
        call = client.writing.report(order, progress=30, comment="Идёт")
        told = answers.report_track_id(await client.writing.carry_out(call, writer.mark(call)))
        last = (await client.writing.recent_events(order))[-1]
    assert (last.id, last.kind) == (told, "interim_report")


async def test_a_saved_gig_changes_in_what_was_asked_and_in_nothing_else(writer: Writer) -> None:
    number = writer.gig(description="<p>" + 'Сделаю "аккуратно" & в срок. ' * 6 + "</p>")
    before = next(row for row in writer.stand.gigs() if row["id"] == number)
    async with writer.client() as client:
        form = await client.writing.gig_form(number)
        changes = client.writing.gig_changes(form, title='Новое "имя"', price_kopecks=170_000, days=5)
        call = client.writing.save_gig(form, changes)
        assert before["faq"]
        await client.writing.carry_out(call, writer.mark(call))
        again = await client.writing.gig_form(number)
        gig = await client.writing.own_gig(number)
    after = next(row for row in writer.stand.gigs() if row["id"] == number)
    changed = {name for name in after if after[name] != before[name]} - {"modified", "fee"}
    assert changed == {"title", "price", "days"}
    assert (after["title"], after["price"], after["days"]) == ("Новое «имя»", 1700, 5)
    assert same_text(again.value("title") or "", 'Новое "имя"')
    assert {name: again.value(name) for name in ("price", "work_time")} == {"price": "1700", "work_time": "5"}
    assert gig is not None
    assert (gig.price_kopecks, gig.state) == (170_000, GigState.ACTIVE)


@pytest.mark.parametrize(
    ("name", "code"), [("phone_check", "kwork_phone_check"), ("receipts", "kwork_receipts_required")]
)
async def test_a_gig_that_needs_a_person_says_so(writer: Writer, name: str, code: str) -> None:
    async with writer.client() as client:
        form = await client.writing.gig_form(writer.gig())
        call = client.writing.save_gig(form, {})
        writer.stand.fault("asked", path="/save_kwork", name=name, count=1)
        with pytest.raises(Rejected) as refused:
            await client.writing.carry_out(call, writer.mark(call))
    assert refused.value.code == code


async def test_a_gigs_form_that_kwork_sends_back_keeps_its_sentence(writer: Writer) -> None:
    async with writer.client() as client:
        form = await client.writing.gig_form(writer.gig())
        low, high = await client.writing.price_bounds(41) or (0, 0)
        call = client.writing.save_gig(form, client.writing.gig_changes(form, price_kopecks=high + 100))
        with pytest.raises(Rejected) as refused:
            await client.writing.carry_out(call, writer.mark(call))
        with pytest.raises(NotFound):
            await client.writing.gig_form(writer.stand.gigs(writer.stand.accounts[1]["username"])[0]["id"])
    assert (low, high) == (50_000, 7_118_300)
    assert refused.value.code == "kwork_form_invalid"
    assert "Цена: от 500 до 71183 ₽" in refused.value.detail


@pytest.mark.parametrize("surfaces", [{}, {"mobile": None}])
async def test_a_gig_is_paused_and_started_by_whichever_surface_is_there(
    writer: Writer, surfaces: dict[str, None]
) -> None:
    number = writer.gig()
    async with writer.client(**surfaces) as client:
        for plan, state in (
            (client.writing.pause_gig, GigState.PAUSED),
            (client.writing.start_gig, GigState.ACTIVE),
        ):
            call = plan(number)
            await client.writing.carry_out(call, writer.mark(call))
            gig = await client.writing.own_gig(number)
            assert gig is not None
            assert gig.state is state
        assert await client.writing.own_gig(1) is None


async def test_a_file_that_changed_or_went_is_met_before_anything_leaves(
    writer: Writer, tmp_path: Path
) -> None:
    file = outgoing(tmp_path, "a.txt", b"abc")
    since = writer.stand.mark()
    async with writer.client() as client:
        for surface in (Surface.WEB, Surface.MOBILE):
            call = client.writing.upload_file(file, surface=surface)
            file.path.write_bytes(b"abcd")
            with pytest.raises(Invalid):
                await client.writing.carry_out(call)
            file.path.unlink()
            with pytest.raises(Invalid):
                await client.writing.carry_out(call)
            file.path.write_bytes(b"abc")
    assert writer.stand.journal(path="/fileUpload", since=since) == []
    assert writer.stand.journal(path="/api/file/upload", since=since) == []
