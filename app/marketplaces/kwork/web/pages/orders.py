"""The seller's orders: the JSON of ``get_manage_orders`` (FACTS A6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app.domain.errors import AuthExpired, LayoutChanged
from app.domain.kwork import Order, OrderStatus, Page, Person, Surface
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web.fields import OrderItem, Orders, User
from app.marketplaces.kwork.web.pages.wants import CURRENCY, absolute
from app.marketplaces.kwork.web.reading import Reading, Rows, Way


def read_orders(
    answer: Any, *, site: str, asked: int, status: str = "all", lenient: bool = False
) -> Reading[Page[Order]]:
    """One page of rows. Tolerant of a row's fields (none is certain), never silently empty.

    Raises ``AuthExpired`` when the answer says so, else ``LayoutChanged``.
    """
    drift = Drift(lenient=lenient)
    fields = Fields(answer, "", drift)
    _refuse(fields)
    data = fields.inner(Orders.DATA)
    path = data.at(Orders.ROWS)
    read = Rows(data.need(values.sequence, Orders.ROWS), path, OrderReader(site), drift)
    size = data.expect(values.identifier, *Orders.SIZE)
    total = _total(data, status)
    last = max(1, math.ceil(total / size)) if size and total is not None else None
    try:
        _check(path, read.count, asked, last, total)
    except LayoutChanged as error:
        drift.stop(error)
    page = Page(read.items, asked, last, total, Surface.WEB)
    return Reading(page, Way.JSON, drift.paths, read.unreadable)


def _refuse(fields: Fields) -> None:
    inner = fields.raw(Orders.DATA)
    words = [fields.raw(name) for name in Orders.ERROR]
    words += [inner.get(name) for name in Orders.ERROR] if isinstance(inner, dict) else []
    if Orders.NOT_SIGNED_IN in words:
        raise AuthExpired("Kwork отвечает, что никто не вошёл.")
    if fields.raw(Orders.SUCCESS) is False:
        raise drifted(Orders.SUCCESS, "is false for a reading")


def _total(data: Fields, status: str) -> int | None:
    """``ordersCount`` as a number, or the asked filter's number out of an object."""
    value = data.raw(Orders.COUNT)
    if isinstance(value, Mapping):
        return Fields(value, data.at(Orders.COUNT)).may(values.count, status)
    return data.expect(values.count, Orders.COUNT)


def _check(path: str, rows: int, asked: int, last: int | None, total: int | None) -> None:
    if total is None and not rows:
        raise drifted(path, "is empty, and no total confirms it")
    if total and not rows and asked <= (last or 1):
        raise drifted(path, "is empty though the total is not zero")
    if total == 0 and rows:
        raise drifted(Orders.COUNT, "is zero though there are rows")


class OrderReader:
    """One of ``orderListData[]``: only the number is required."""

    def __init__(self, site: str) -> None:
        self._site = site

    def __call__(self, row: Fields) -> Order:
        order_id = row.need(values.identifier, *OrderItem.ID)
        return Order(
            id=order_id,
            title=row.expect(values.text, *OrderItem.TITLE) or "",
            status=_status(row),
            price_kopecks=row.expect(values.display_kopecks, *OrderItem.PRICE),
            currency=CURRENCY,
            buyer=_buyer(row, self._site),
            url=f"{self._site}/track?id={order_id}",
            gig_title=row.may(values.text, *OrderItem.GIG_TITLE),
            created_at=row.may(values.moment, *OrderItem.CREATED),
            deadline_at=row.may(values.moment, *OrderItem.DEADLINE),
            progress=row.may(values.count, *OrderItem.PROGRESS),
            has_stages=row.may(values.truth, *OrderItem.STAGES),
            cancel_requested=row.may(values.truth, *OrderItem.CANCEL),
            note="" if row.raw(OrderItem.NOTE[0]) == "" else row.may(values.text, *OrderItem.NOTE),
        )


def _status(row: Fields) -> OrderStatus:
    for name in OrderItem.STATUS:
        status = _status_of(row.raw(name))
        if status is not None:
            return status
    status = _status_of(next((row.raw(n) for n in OrderItem.STATUS_NAME if n in row), None))
    row.note(OrderItem.STATUS[0])
    return status or OrderStatus.UNKNOWN


def _status_of(value: object) -> OrderStatus | None:
    try:
        code = OrderItem.CODES.get(values.integer(value, ""))
    except LayoutChanged:
        code = status_word(value) if isinstance(value, str) else None
    return OrderStatus(code) if code else None


def status_word(words: str) -> str | None:
    """Our status for Kwork's words («На проверке»)."""
    lowered = words.lower()
    return next((status for part, status in OrderItem.WORDS if part in lowered), None)


def _buyer(row: Fields, site: str) -> Person:
    name = next((name for name in OrderItem.BUYER if isinstance(row.raw(name), dict)), None)
    if name is None:
        row.note(OrderItem.BUYER[0])
        return Person(None, "")
    user = row.inner(name)
    return Person(
        id=user.may(values.identifier, *User.ID),
        username=user.expect(values.text, *User.USERNAME) or "",
        picture_url=absolute(site, user.may(values.raw_text, *User.PICTURE)),
    )
