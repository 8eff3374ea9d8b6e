"""The account's own offers on projects [SPEC]. Making one is possible on the web alone."""

from __future__ import annotations

from app.domain.errors import Ambiguous, LayoutChanged
from app.domain.kwork import Page, Surface
from app.domain.writing import Offer, OfferStatus
from app.marketplaces.kwork.mapping import CURRENCY
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.readers import chat_text, flag, moment
from app.marketplaces.kwork.values import Fields, count, identifier, integer, kopecks, text

MOST_PAGES = 200
"""Of offers. More is no seller but pages that never end."""
_TAKEN_BACK = {"cancel", "cancelled", "delete", "deleted"}
"""Words of ``status`` for offers that are no more; none of them is known for sure."""
_DECLINED = {"decline", "declined", "reject", "rejected"}
"""Words of ``status`` for offers that the buyer turned down; none of them is known for sure."""


class Row:
    """Fields of an offer in ``/offers``."""

    ID = "id"
    PROJECT = "want_id"
    ORDER = "order_id"
    STATUS = "status"  # a word
    PRICE = "price"  # roubles
    DURATION = "duration"  # days
    TEXT = "comment"
    CREATED = "date_create"
    READ = "is_read"
    ACTUAL = "is_actual"
    CARD = "project"


async def offers(calls: Calls, page: int) -> Page[Offer]:
    """One page of offers; an account without any gets a known empty one [LIVE]."""
    envelope = await calls.call("offers", {"page": page})
    items = tuple(_offer(row) for row in envelope.rows())
    paging = envelope.paging()
    return Page(items, paging.page or page, paging.last, paging.total, Surface.MOBILE)


async def offer_on(calls: Calls, project_id: int) -> Offer | None:
    """The offer on a project; ``None`` when the whole list was read and holds none.

    Raises ``Ambiguous`` when there are several, ``LayoutChanged`` when the list comes out shorter than told.
    """
    found: dict[int, Offer] = {}
    for number in range(1, MOST_PAGES + 1):
        page = await offers(calls, number)
        fresh = [offer for offer in page.items if offer.id not in found]
        found |= {offer.id: offer for offer in fresh}
        if not fresh or (page.last is not None and number >= page.last):
            return _only(found, project_id, page.total)
    raise LayoutChanged("Список откликов не кончается.", path="offers.paging")


def _only(found: dict[int, Offer], project_id: int, total: int | None) -> Offer | None:
    matching = [
        offer
        for offer in found.values()
        if offer.project_id == project_id and offer.status.casefold() not in _TAKEN_BACK
    ]
    if len(matching) > 1:
        raise Ambiguous(
            "На этом проекте несколько откликов: который из них отправлен сейчас, неизвестно.",
            code="kwork_offers_several",
        )
    if not matching and total is not None and len(found) < total:
        raise LayoutChanged("Список откликов прочитан не целиком.", path="offers.paging.total")
    return matching[0] if matching else None


def _offer(row: Fields) -> Offer:
    card = row.maybe_inner(Row.CARD)
    status, order_id = row.may(text, Row.STATUS) or "", row.may(integer, Row.ORDER) or None
    read = row.may(flag, Row.READ)
    return Offer(
        id=row.need(identifier, Row.ID),
        project_id=row.expect(integer, Row.PROJECT) or None,
        status=status,
        price_kopecks=row.may(kopecks, Row.PRICE),
        currency=CURRENCY,
        duration_days=row.may(count, Row.DURATION) or None,
        message=row.may(chat_text, Row.TEXT),
        created_at=row.may(moment, Row.CREATED),
        order_id=order_id,
        read=read,
        actual=row.may(flag, Row.ACTUAL),
        project_title=card.may(text, "title"),
        state=_state(status.casefold(), read=read, is_order=order_id is not None),
    )


def _state(word: str, *, read: bool | None, is_order: bool) -> OfferStatus | None:
    """An order counts more than a word, a word more than the mark of having been read [SPEC]."""
    if is_order:
        return OfferStatus.CHOSEN
    if word in _TAKEN_BACK:
        return OfferStatus.WITHDRAWN
    if word in _DECLINED:
        return OfferStatus.DECLINED
    if read is None:
        return None
    return OfferStatus.VIEWED if read else OfferStatus.NEW
