"""Planned calls are exact, hold no secret, and refuse what Kwork cannot take before anything leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import CapabilityUnavailable, Invalid
from app.domain.kwork import Surface
from app.domain.writing import (
    Encoding,
    GigForm,
    OfferForm,
    OutgoingFile,
    PlannedCall,
    StageChange,
    StageDraft,
)
from app.marketplaces.kwork.mobile import plans as mobile
from app.marketplaces.kwork.web import plans as web
from app.services.kwork_capabilities import Reach
from app.services.kwork_plans import KworkPlans

FORM = OfferForm(7, "key1234", None, None, None, ())
GIG = GigForm(
    5,
    (("title", "Было"), ("attribute[3610][]", "1"), ("attribute[3610][]", "2"), ("price", "500")),
    "/save_kwork?id=5",
)
BOTH = KworkPlans(Reach(mobile_key=True, mobile_session=True, web_session=True))
SITE = KworkPlans(Reach(web_session=True))
NOTHING = KworkPlans(Reach())


def file(size: int = 3, name: str = "отчёт.pdf") -> OutgoingFile:
    return OutgoingFile(Path("/nowhere/secret-folder/x"), name, size, "application/pdf")


@pytest.mark.parametrize(
    ("call", "path", "fields"),
    [
        (mobile.delete_offer(9), "/deleteOffer", "id=9"),
        (mobile.take_order(9), "/workerInprogress", "order_id=9"),
        (mobile.report(9, 40, " Да "), "/sendReport", "order_id=9 progress=40 comment=Да"),
        (
            mobile.stage_progress(9, {3: 15, 4: 0}, "Идёт"),
            "/updateStageProgress",
            "order_id=9 stages[3]=15 stages[4]=0 comment=Идёт",
        ),
        (mobile.hand_in(9, (), ()), "/sendOrderForApproval", "orderId=9"),
        (
            mobile.hand_in(9, (3, 4), (8, 7, 8)),
            "/sendOrderForApproval",
            "orderId=9 stageIds[]=3 stageIds[]=4 filesIds[]=8 filesIds[]=7",
        ),
        (
            mobile.suggest_stages(
                9, 5, "Так", [StageDraft("Новый", 12_300), StageDraft(stage_id=3, change=StageChange.DELETE)]
            ),
            "/suggestStages",
            "order_id=9 days=5 message=Так stages[0][title]=Новый stages[0][payer_price]=123 stages[0][action]=add "
            "stages[1][id]=3 stages[1][action]=delete",
        ),
        (
            mobile.create_stages(9, 2, [StageDraft("Новый", 100)]),
            "/createStage",
            "order_id=9 extend_time=2 stages[0][title]=Новый stages[0][payer_price]=1",
        ),
        (
            mobile.edit_stages(9, 0, [StageDraft(None, 20_000, 3)]),
            "/editStage",
            "orderId=9 extendTime=0 stages[3][payer_price]=200",
        ),
        (mobile.delete_stage(9, 3), "/deleteStage", "orderId=9 stageId=3"),
        (mobile.accept_stages(9), "/acceptStageSuggestion", "order_id=9"),
        (mobile.reject_stages(9), "/rejectStageSuggestion", "order_id=9"),
        (mobile.cancel_order(9, "why", ""), "/cancelOrderByWorker", "order_id=9 reason_type=why"),
        (mobile.confirm_cancel(9), "/confirmCancelOrderRequestByWorker", "order_id=9"),
        (mobile.reject_cancel(9), "/rejectCancelOrderRequestByWorker", "order_id=9"),
        (mobile.withdraw_cancel(9), "/deleteCancelOrderRequestByWorker", "order_id=9"),
        (mobile.send_message(4, "Да"), "/inboxCreate", "user_id=4 text=Да"),
        (
            mobile.send_message(4, "", file_ids=[1, 2], order_id=9, reply_to=3, message_key="k"),
            "/inboxCreate",
            "user_id=4 text= uploaded_files[]=1 uploaded_files[]=2 order_id=9 reply_message_id=3 message_key=k",
        ),
        (mobile.mark_read(4), "/inboxRead", "user_id=4"),
        (mobile.start_gig(5), "/startKwork", "kwork_id=5"),
        (mobile.pause_gig(5), "/pauseKwork", "kwork_id=5"),
        (web.delete_offer(9), "/api/offer/deleteoffer", "offerId=9"),
        (
            web.send_message(4, "Да", reply_to=3),
            "/sendmessage",
            "submg=1 msgto=4 message_body=Да kworkId= want_id= message_id=3 message_message_format=",
        ),
        (web.start_gig(5), "/manage_kworks/activate", "id=5"),
        (web.pause_gig(5), "/manage_kworks/suspend", "id=5"),
    ],
)
def test_a_plan_names_kworks_parameters_exactly(call: PlannedCall, path: str, fields: str) -> None:
    assert (call.method, call.path, call.irrevocable) == ("POST", path, True)
    assert " ".join(f"{name}={value}" for name, value in call.fields) == fields


def test_an_offer_goes_as_the_form_sends_it_and_repeats_two_fields_in_the_address() -> None:
    call = web.create_offer(
        7, title="Парсер", message="Сделаю", price_kopecks=150_000, duration_days=3, file_ids=(1, 1, 2)
    )
    assert dict(call.query) == {"wantId": "7", "offerType": "custom"}
    assert call.fields == (
        ("wantId", "7"),
        ("offerType", "custom"),
        ("description", "Сделаю"),
        ("kwork_duration", "3"),
        ("kwork_price", "1500"),
        ("kwork_name", "Парсер"),
        ("files[]", "1"),
        ("files[]", "2"),
    )
    assert (call.encoding, call.irrevocable) == (Encoding.MULTIPART, True)


def test_what_comes_before_an_offer_is_in_the_documented_order_and_may_be_repeated() -> None:
    calls = web.prepare_offer(FORM, "Сделаю")
    assert [call.path for call in calls] == [
        "/quick-faq/init",
        "/wants/create_offer_draft",
        "/projects/check_is_template",
    ]
    assert not any(call.irrevocable for call in calls)
    assert dict(calls[1].fields) == {"projectId": "7", "message": "Сделаю", "draftKey": "key1234"}


@pytest.mark.parametrize("upload", [mobile.upload_file, web.upload_file])
def test_an_upload_may_be_repeated_and_shows_no_path(upload: Callable[[OutgoingFile], PlannedCall]) -> None:
    call = upload(file())
    assert not call.irrevocable
    assert "secret-folder" not in f"{call!r}{call.described()}"
    for size in (0, 100 * 1024 * 1024 + 1):
        with pytest.raises(Invalid):
            upload(file(size))


def test_a_saved_gig_differs_in_what_was_asked_alone() -> None:
    call = web.save_gig(GIG, {"title": "Стало", "attribute[3610][]": ["2", "3", "4"]})
    assert call.path == "/save_kwork"
    assert call.query == (("id", "5"),)
    assert call.fields == (
        ("title", "Стало"),
        ("attribute[3610][]", "2"),
        ("attribute[3610][]", "3"),
        ("attribute[3610][]", "4"),
        ("price", "500"),
    )
    assert web.save_gig(GIG, {"attribute[3610][]": []}).fields == (("title", "Было"), ("price", "500"))
    assert web.save_gig(GIG, {}).fields == GIG.fields


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (
            lambda: web.create_offer(7, title="a", message="b", price_kopecks=150_050, duration_days=3),
            "price",
        ),
        (lambda: web.create_offer(7, title="a", message="b", price_kopecks=0, duration_days=3), "price"),
        (lambda: web.create_offer(7, title=" ", message="b", price_kopecks=100, duration_days=3), "title"),
        (lambda: web.create_offer(7, title="a", message="\n", price_kopecks=100, duration_days=3), "message"),
        (
            lambda: web.create_offer(7, title="a", message="b", price_kopecks=100, duration_days=0),
            "duration_days",
        ),
        (lambda: mobile.create_stages(9, 0, [StageDraft("a", 199)]), "stages"),
        (lambda: mobile.create_stages(9, 0, [StageDraft("a")]), "stages"),
        (lambda: mobile.create_stages(9, -1, [StageDraft("a", 100)]), "days"),
        (lambda: mobile.create_stages(9, 0, []), "stages"),
        (lambda: mobile.create_stages(9, 0, [StageDraft("a", 100)] * 11), "stages"),
        (lambda: mobile.edit_stages(9, 0, [StageDraft("a", 100)]), "stages"),
        (lambda: mobile.edit_stages(9, 0, [StageDraft(stage_id=3)]), "stages"),
        (lambda: mobile.suggest_stages(9, 1, " ", [StageDraft("a", 100)]), "message"),
        (lambda: mobile.suggest_stages(9, 1, "a", [StageDraft("a", 100, change=StageChange.EDIT)]), "stages"),
        (lambda: mobile.report(9, 45, "Да"), "progress"),
        (lambda: mobile.report(9, 0, "Да"), "progress"),
        (lambda: mobile.report(9, 50, "Я"), "message"),
        (lambda: mobile.report(9, 50, "Я" * 351), "message"),
        (lambda: mobile.stage_progress(9, {}, "Да"), "stages"),
        (lambda: mobile.stage_progress(9, {1: 101}, "Да"), "stages"),
        (lambda: mobile.hand_in(9, (), range(1, 27)), "files"),
        (lambda: mobile.cancel_order(9, "", "a"), "reason"),
        (lambda: mobile.send_message(4, " \n"), "message"),
        (lambda: mobile.send_message(4, "я" * 4001), "message"),
        (lambda: mobile.send_message(4, "я", file_ids=range(1, 12)), "files"),
        (lambda: web.send_message(4, ""), "message"),
        (lambda: web.save_gig(GIG, {"colour": "red"}), "colour"),
    ],
)
def test_what_kwork_cannot_take_is_refused_by_field(plan: Callable[[], PlannedCall], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        plan()
    assert refused.value.field == field


def test_a_message_goes_by_the_site_only_where_the_mobile_surface_is_lacking() -> None:
    assert BOTH.send_message(4, "Да", message_key="k").surface is Surface.MOBILE
    assert SITE.send_message(4, "Да", message_key="k").surface is Surface.WEB
    for beyond in ({"file_ids": [1]}, {"order_id": 9}):
        with pytest.raises(CapabilityUnavailable):
            SITE.send_message(4, "Да", **beyond)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "by_site"),
    [
        (lambda p: p.create_offer(7, title="a", message="b", price_kopecks=100, duration_days=1), True),
        (lambda p: p.prepare_offer(FORM, "b")[0], True),
        (lambda p: p.upload_file(file(), surface=Surface.WEB), True),
        (lambda p: p.save_gig(GIG, {}), True),
        (lambda p: p.start_gig(5), True),
        (lambda p: p.pause_gig(5), True),
        (lambda p: p.upload_file(file()), False),
        (lambda p: p.delete_offer(9), False),
        (lambda p: p.take_order(9), False),
        (lambda p: p.hand_in(9), False),
        (lambda p: p.mark_read(4), False),
    ],
)
def test_a_lacking_surface_is_told_when_planning(
    plan: Callable[[KworkPlans], PlannedCall], by_site: bool
) -> None:
    plan(BOTH)
    with pytest.raises(CapabilityUnavailable):
        plan(NOTHING)
    if by_site:
        assert plan(SITE).surface is Surface.WEB
    else:
        with pytest.raises(CapabilityUnavailable):
            plan(SITE)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ((("title", "a"), ("price", "500"), ("min_volume_price", "")), {"price": "1500"}),
        ((("title", "a"), ("price", ""), ("min_volume_price", "500")), {"min_volume_price": "1500"}),
        ((("title", "a"), ("min_volume_price", "")), {"min_volume_price": "1500"}),
    ],
)
def test_a_price_goes_where_the_form_keeps_it(
    fields: tuple[tuple[str, str], ...], asked: dict[str, str]
) -> None:
    form = GigForm(5, fields, "/save_kwork?id=5")
    assert BOTH.gig_changes(form, price_kopecks=150_000) == asked
    assert BOTH.gig_changes(form, title="b", days=3) == {"title": "b", "work_time": "3"}


def test_a_form_without_a_price_takes_none() -> None:
    with pytest.raises(Invalid):
        BOTH.gig_changes(GigForm(5, (("title", "a"),), "/save_kwork?id=5"), price_kopecks=150_000)
