"""Offers on projects of the exchange: sending one through the form's calls, taking one back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import Ambiguous, CapabilityUnavailable, Conflict, Invalid, NotFound
from app.domain.kwork import Project, ProjectStatus, Surface
from app.domain.writes import Checked, Finding, Found, Write, WriteAction, is_by_browser
from app.domain.writing import Offer, OfferForm, PlannedCall
from app.marketplaces.kwork import answers
from app.repositories.offers import Offers
from app.services.write_handlers import Hands, WriteHandler, uploads

COST_CONNECTS = 1
"""Connects an offer costs [CODE / CLAIM]."""
SHORTEST_OFFER = 150
"""Characters [CODE]."""


class RespondToProject(WriteHandler):
    """``payload``: message, price_kopecks, duration_days, title, file_ids, surface."""

    action = WriteAction.RESPOND

    async def check(self, write: Write, hands: Hands) -> Checked:
        """Against the project, the form and what the rubric asks for; the rule that fails has its own code."""
        payload, writing = write.payload, hands.client.writing
        if len(payload["message"].strip()) < SHORTEST_OFFER:
            raise Invalid(
                f"Текст отклика короче {SHORTEST_OFFER} символов: Kwork такой не примет.",
                field="body.message",
                code="offer_too_short",
            )
        files = await hands.files.ready(write.tenant_id, uploads(payload))
        project = await _open_project(write, hands)
        _refuse_price(payload["price_kopecks"], None, project.max_price_kopecks)
        await _refuse_second_offer(write, hands)
        needs = await writing.offer_requirements(write.number)
        if needs.portfolio_required:
            raise Conflict(
                "Для отклика Kwork требует портфолио в этой рубрике.", code="kwork_portfolio_required"
            )
        if needs.gig_required:
            raise Conflict("Для отклика Kwork требует кворк в этой рубрике.", code="kwork_gig_required")
        form = await writing.offer_form(write.number)
        _refuse_form(form, payload)
        offer = _offer(payload, project.title)
        calls: tuple[PlannedCall, ...]
        if is_by_browser(payload):  # its page sends the other calls by itself
            calls = (writing.offer_by_page(write.number, **offer, files=files),)
        else:
            calls = (
                *writing.prepare_offer(form, payload["message"]),
                writing.create_offer(write.number, **offer),
            )
        left = form.connects.left if form.connects else None
        if left is not None and left < COST_CONNECTS:
            raise Conflict("Коннекты кончились: отклик отправить не на что.", code="kwork_connects_spent")
        facts = {
            "project_title": project.title,
            "recipient": project.buyer.username,
            "price_kopecks": payload["price_kopecks"],
            "connects_left": left,
        }
        return Checked(calls, COST_CONNECTS, left, facts)

    async def prepare(self, write: Write, checked: Checked, hands: Hands) -> PlannedCall:
        """Draft and template check in their documented order, then the files; all of it may be repeated."""
        if is_by_browser(write.payload):
            return checked.calls[-1]
        writing = hands.client.writing
        for call in checked.calls[:-1]:
            await writing.carry_out(call)
        numbers = [
            answers.uploaded_file_id(await writing.carry_out(writing.upload_file(file, surface=Surface.WEB)))
            for file in await hands.files.ready(write.tenant_id, uploads(write.payload))
        ]
        offer = _offer(write.payload, checked.facts["project_title"])
        return writing.create_offer(write.number, **offer, file_ids=tuple(numbers))

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        """Kwork's answer carries no number of the offer: it is read back where the mobile surface is there."""
        try:
            offer = await hands.client.writing.offer_on(write.number)
        except CapabilityUnavailable:
            return {"offer_id": None, "verified": None}
        await _keep(write, hands, offer)
        return {"offer_id": offer.id if offer else None, "verified": offer is not None}

    async def find(self, write: Write, hands: Hands) -> Finding:
        try:
            offer = await hands.client.writing.offer_on(write.number)
        except CapabilityUnavailable:
            return Finding(Found.UNCLEAR, why=_NO_LIST)
        except Ambiguous as error:
            return Finding(Found.UNCLEAR, why=error.detail)
        await _keep(write, hands, offer)
        # Before the write there was none: checked.
        return Finding(Found.DONE, {"offer_id": offer.id}) if offer else Finding(Found.ABSENT)


class DeleteOffer(WriteHandler):
    """``payload``: offer_id."""

    action = WriteAction.DELETE_OFFER

    async def check(self, write: Write, hands: Hands) -> Checked:
        offer = await hands.client.writing.offer_on(write.number)
        if offer is None or offer.id != write.payload["offer_id"]:
            raise NotFound("Такого предложения на Kwork нет: возможно, его уже удалили.")
        return Checked((hands.client.writing.delete_offer(offer.id),))

    async def find(self, write: Write, hands: Hands) -> Finding:
        try:
            offer = await hands.client.writing.offer_on(write.number)
        except Ambiguous as error:
            return Finding(Found.UNCLEAR, why=error.detail)
        return Finding(Found.ABSENT if offer and offer.id == write.payload["offer_id"] else Found.DONE)


_NO_LIST = (
    "Без мобильного API список своих предложений не прочитать. Посмотрите на kwork.ru, отправлено ли, и ответьте: "
    "POST /api/v1/writes/{id}/resolve."
)


async def _keep(write: Write, hands: Hands, offer: Offer | None) -> None:
    """It shows at once, not only when the account's offers are read next."""
    if offer is not None:
        async with hands.database.tenant(write.tenant_id) as scope:
            await Offers(scope).save(write.account_id, [offer])


def _offer(payload: Mapping[str, Any], project_title: str) -> dict[str, Any]:
    """What the offer says, by either way."""
    return {
        "title": (payload["title"] or project_title)[:70],
        "message": payload["message"],
        "price_kopecks": payload["price_kopecks"],
        "duration_days": payload["duration_days"],
    }


async def _open_project(write: Write, hands: Hands) -> Project:
    project = await hands.client.project(write.number)
    if project.status in (ProjectStatus.ARCHIVED, ProjectStatus.STOPPED, ProjectStatus.CANCELLED):
        raise Conflict("Проект закрыт или в архиве: откликнуться нельзя.", code="kwork_project_closed")
    if project.expires_at is not None and project.expires_at < datetime.now(UTC):
        raise Conflict("Срок проекта вышел: откликнуться нельзя.", code="kwork_project_closed")
    if project.offered:
        raise Conflict("Вы уже откликнулись на этот проект.", code="kwork_already_offered")
    return project


async def _refuse_second_offer(write: Write, hands: Hands) -> None:
    try:
        offer = await hands.client.writing.offer_on(write.number)
    except CapabilityUnavailable:
        return
    if offer is not None:
        raise Conflict(
            f"Вы уже откликнулись на этот проект: предложение {offer.id}.", code="kwork_already_offered"
        )


def _refuse_form(form: OfferForm, payload: Mapping[str, Any]) -> None:
    _refuse_price(payload["price_kopecks"], form.min_price_kopecks, form.max_price_kopecks)
    if form.durations and payload["duration_days"] not in form.durations:
        raise Invalid(
            f"Срок в днях: допустимы {', '.join(map(str, form.durations))}.",
            field="body.duration_days",
            code="offer_duration",
        )


def _refuse_price(price: int, low: int | None, high: int | None) -> None:
    if (low is not None and price < low) or (high is not None and price > high):
        bounds = f"{'' if low is None else f'от {low // 100} '}{'' if high is None else f'до {high // 100} '}"
        raise Invalid(f"Цена отклика: {bounds}₽.", field="body.price", code="offer_price")
