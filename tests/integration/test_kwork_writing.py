"""Writing to the stand-in: what is read before a write, what arrives, what is read back, every refusal's code."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    CapabilityUnavailable,
    ChallengeRequired,
    LayoutChanged,
    RateLimited,
    Rejected,
)
from app.domain.kwork import Surface
from app.domain.sameness import same_text
from app.marketplaces.kwork import answers
from app.marketplaces.kwork.mobile import plans as mobile_plans
from app.marketplaces.kwork.web import plans as web_plans
from tests.kwork_writing import DEEDS, OFFER_TEXT, Deed, Writer, outgoing

TRICKY = 'Цена "та же" < 500 ₽ & больше\n\n\nвторая   строка'


async def test_the_offer_flow_runs_in_its_documented_order_and_the_offer_is_read_back(
    writer: Writer, tmp_path: Path
) -> None:
    project = writer.project(price=3000, is_higher_price=True, description="Нужен бот")
    since = writer.stand.mark()
    async with writer.client() as client:
        writing = client.writing
        form = await writing.offer_form(project)
        needs = await writing.offer_requirements(project)
        for call in writing.prepare_offer(form, OFFER_TEXT):
            await writing.carry_out(call)
        upload = writing.upload_file(outgoing(tmp_path, "схема.txt", b"abc"), surface=Surface.WEB)
        file_id = answers.uploaded_file_id(await writing.carry_out(upload))
        assert await writing.offer_on(project) is None
        offer_call = writing.create_offer(
            project,
            title='Бот "под ключ"',
            message=f"{TRICKY}\n{OFFER_TEXT}",
            price_kopecks=450_000,
            duration_days=7,
            file_ids=[file_id],
        )
        await writing.carry_out(offer_call, writer.mark(offer_call))
        offer = await writing.offer_on(project)
        assert (form.min_price_kopecks, form.max_price_kopecks) == (50_000, 900_000)
        assert (needs.portfolio_required, needs.gig_required) == (False, False)
        assert form.connects is not None
        assert form.connects.left - 1 == (await writing.connects()).left
        assert offer is not None
        assert (offer.price_kopecks, offer.duration_days, offer.project_id) == (450_000, 7, project)
        assert same_text(offer.message or "", f"{TRICKY}\n{OFFER_TEXT}")
        assert client.drift == ()
    rows = writer.stand.journal(surface="web", since=since)
    assert [row["path"] for row in rows] == [
        "/new_offer",
        f"/wants/{project}/check_offer_notify",
        "/quick-faq/init",
        "/wants/create_offer_draft",
        "/projects/check_is_template",
        "/api/file/upload",
        "/api/offer/createoffer",
    ]
    sent = rows[-1]
    assert sent["query"] == {"wantId": str(project), "offerType": "custom"}
    assert sent["headers"]["x-csrf-token"] == sent["body"]["csrftoken"]
    assert sent["body"]["files[]"] == [str(file_id)]
    assert rows[2]["body"] == {"page": "new_offer"}
    assert rows[4]["body"]["wantid"] == project
    assert rows[5]["body"]["upload_files"] == {"file": "схема.txt", "size": 3, "mime": "text/plain"}


async def test_several_offers_on_one_project_are_no_answer(writer: Writer) -> None:
    async with writer.client() as client:
        offer = await writer.offer(client.writing)
        project = next(row["project_id"] for row in writer.stand.offers() if row["id"] == offer)
        writer.stand.fault("error", surface="api", path="/offers", body=two_offers(project), status=200)
        with pytest.raises(Ambiguous) as several:
            await client.writing.offer_on(project)
    assert several.value.code == "kwork_offers_several"


def two_offers(project: int) -> dict[str, object]:
    rows = [{"id": number, "want_id": project, "status": "active", "price": 500} for number in (1, 2)]
    return {"success": True, "response": rows, "paging": {"page": 1, "total": 2, "limit": 12, "pages": 1}}


async def test_a_list_of_offers_that_comes_out_short_is_not_taken_for_absence(writer: Writer) -> None:
    body = {"success": True, "response": [], "paging": {"page": 1, "total": 0, "limit": 12, "pages": 1}}
    short = two_offers(1) | {"paging": {"page": 1, "total": 30, "limit": 12, "pages": 1}}
    async with writer.client() as client:
        writer.stand.fault("error", surface="api", path="/offers", body=body, status=200, count=1)
        assert await client.writing.offer_on(5) is None
        writer.stand.fault("error", surface="api", path="/offers", body=short, status=200)
        with pytest.raises(LayoutChanged):
            await client.writing.offer_on(5)


async def test_an_offer_is_found_on_whichever_page_it_stands(writer: Writer) -> None:
    async with writer.client() as client:
        first = await writer.offer(client.writing)
        project = next(row["project_id"] for row in writer.stand.offers() if row["id"] == first)
        for _ in range(13):
            await writer.offer(client.writing)
        found = await client.writing.offer_on(project)
        since = writer.stand.mark()
        assert (await client.writing.offer_on(project)) == found
        assert len(writer.stand.journal(path="/offers", since=since)) >= 2
    assert found is not None
    assert found.id == first


CLOSED = [
    ({"worker_id": 7}, "kwork_worker_chosen"),
    ({"need_portfolio": True}, "kwork_portfolio_required"),
    ({"need_gig": True}, "kwork_gig_required"),
    ({"status": "archived"}, "kwork_project_archived"),
    ({"status": "stop"}, "kwork_project_closed"),
]


@pytest.mark.parametrize(("fields", "code"), CLOSED)
async def test_a_project_that_takes_no_offer_says_why(
    writer: Writer, fields: dict[str, object], code: str
) -> None:
    project = writer.project()
    writer.stand.change_project(project, **fields)
    call = web_plans.create_offer(
        project, title="Бот", message=OFFER_TEXT, price_kopecks=100_000, duration_days=3
    )
    async with writer.client() as client:
        mark = writer.mark(call)
        with pytest.raises(Rejected) as refused:
            await client.writing.carry_out(call, mark)
        assert refused.value.code == code
        assert writer.effects(mark.since) == []
        if "status" in fields:
            with pytest.raises(Rejected) as closed:
                await client.writing.offer_form(project)
            assert closed.value.code == "kwork_project_closed"


async def test_a_second_offer_and_one_without_connects_are_refused(writer: Writer) -> None:
    async with writer.client() as client:
        call = web_plans.create_offer(
            writer.project(), title="Бот", message=OFFER_TEXT, price_kopecks=100_000, duration_days=3
        )
        await client.writing.carry_out(call, writer.mark(call))
        with pytest.raises(Rejected) as again:
            await client.writing.carry_out(call, writer.mark(call))
        other = web_plans.create_offer(
            writer.project(), title="Бот", message=OFFER_TEXT, price_kopecks=100_000, duration_days=3
        )
        writer.stand.change_account(writer.stand.username, connects_active=0)
        with pytest.raises(Rejected) as spent:
            await client.writing.carry_out(other, writer.mark(other))
    assert (again.value.code, spent.value.code) == ("kwork_already_offered", "kwork_connects_spent")


SENTENCES = {
    "connects_refill": "kwork_connects_refill",
    "lesson": "kwork_lesson_required",
    "not_confirmed": "kwork_seller_not_confirmed",
    "stop_words": "kwork_stop_words",
    "dialog_forbidden": "kwork_dialog_forbidden",
}


@pytest.mark.parametrize("deed", DEEDS, ids=str)
@pytest.mark.parametrize(("name", "code"), SENTENCES.items())
async def test_a_refusal_in_kworks_words_has_its_code_on_every_call(
    writer: Writer, deed: Deed, name: str, code: str
) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        mark = writer.mark(call)
        writer.stand.fault("asked", path=call.path, name=name, count=1)
        with pytest.raises(Rejected) as refused:
            await client.writing.carry_out(call, mark)
        assert refused.value.code == code
        assert writer.effects(mark.since) == []


@pytest.mark.parametrize("deed", [deed for deed in DEEDS if "message" in deed.name], ids=str)
async def test_a_message_that_comes_too_early_tells_how_long_to_wait(writer: Writer, deed: Deed) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        writer.stand.fault("asked", path=call.path, name="expire_time", seconds=90, count=1)
        with pytest.raises(RateLimited) as waits:
            await client.writing.carry_out(call, writer.mark(call))
    assert (waits.value.retry_after, waits.value.code) == (90, "kwork_wait")


async def test_a_captcha_is_for_a_person(writer: Writer) -> None:
    async with writer.client() as client:
        call = client.writing.send_message(writer.buyer(), "Добрый день")
        writer.stand.fault("asked", path=call.path, name="robot", count=1)
        with pytest.raises(ChallengeRequired):
            await client.writing.carry_out(call, writer.mark(call))


@pytest.mark.parametrize(
    "deed",
    [deed for deed in DEEDS if deed.name.startswith("web_") or deed.name in ("create_offer", "save_gig")],
    ids=str,
)
async def test_a_refused_csrf_key_is_a_clear_no_and_the_key_is_shown_nowhere(
    writer: Writer, deed: Deed, caplog: pytest.LogCaptureFixture
) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        mark = writer.mark(call)
        writer.stand.fault("asked", path=call.path, name="csrf", count=1)
        with caplog.at_level(logging.DEBUG), pytest.raises(Rejected) as refused:
            await client.writing.carry_out(call, mark)
        key = writer.stand.journal(path=call.path, since=mark.since)[0]["headers"]["x-csrf-token"]
        assert refused.value.code == "kwork_csrf_refused"
        assert len(key) > 20
        assert key not in f"{refused.value!r}{call!r}{call.described()}{caplog.text}"
        assert writer.effects(mark.since) == []


async def test_what_we_sent_in_confidence_never_comes_back_in_an_error(writer: Writer) -> None:
    async with writer.client() as client:
        assert writer.access.web is not None
        assert writer.access.mobile is not None
        csrf = next(str(c["value"]) for c in writer.access.web.cookies if c["name"] == "csrf_user_token")
        token = writer.access.mobile.token
        for call, secret in (
            (web_plans.send_message(writer.buyer(), "Да"), csrf),
            (client.writing.send_message(writer.buyer(), "Да"), token),
        ):
            body = {"success": False, "error": f"Странное {secret} слово"}
            writer.stand.fault("error", path=call.path, body=body, status=200, count=1)
            with pytest.raises(Rejected) as refused:
                await client.writing.carry_out(call, writer.mark(call))
            assert "Странное" in refused.value.detail
            assert secret not in f"{refused.value!r}{refused.value.args}"


@pytest.mark.parametrize("page", ["/new_offer", "/edit"])
async def test_a_form_of_a_lost_session_is_told_before_anything_is_marked(writer: Writer, page: str) -> None:
    project, gig = writer.project(), writer.gig()
    async with writer.client() as client:
        writer.stand.fault("session_lost", surface="web", path=page, count=1)
        with pytest.raises(AuthExpired):
            await (
                client.writing.offer_form(project) if page == "/new_offer" else client.writing.gig_form(gig)
            )
        assert client.expired == {Surface.WEB}
    writer.stand.sign_out()


async def test_a_surface_without_a_session_is_told_before_anything_is_marked(writer: Writer) -> None:
    marked: list[bool] = []

    async def marker() -> None:
        marked.append(True)

    async with writer.client(web=None) as client:
        with pytest.raises(AuthExpired):
            await client.writing.carry_out(web_plans.send_message(7, "Да"), marker)
    async with writer.client(mobile=None) as client:
        with pytest.raises(CapabilityUnavailable):
            await client.writing.carry_out(mobile_plans.mark_read(7), marker)
    assert marked == []


async def test_without_a_key_in_the_jar_a_private_page_is_asked_for_one(writer: Writer) -> None:
    assert writer.access.web is not None
    bare = tuple(c for c in writer.access.web.cookies if c["name"] != "csrf_user_token")
    async with writer.client(web=replace(writer.access.web, cookies=bare)) as client:
        call = web_plans.send_message(writer.buyer(), "Да")
        mark = writer.mark(call)
        await client.writing.carry_out(call, mark)
        assert mark.once_before_arrival
    assert [row["path"] for row in writer.stand.journal(surface="web", since=mark.since)] == [
        "/seller",
        "/sendmessage",
    ]
