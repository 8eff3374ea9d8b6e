"""Orders as browsers render them: rows of ``/manage_orders`` and the page ``/track`` [CODE].

For pages saved by people; the service itself reads orders as JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

from app.domain.errors import LayoutChanged
from app.domain.kwork import Attachment, Order, OrderStatus, Person
from app.marketplaces.kwork import values
from app.marketplaces.kwork.selectors import OrderPage, OrderRow
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.markup import (
    attribute,
    clean,
    link_target,
    linked_file_id,
    maybe_text,
    need_node,
    need_text,
)
from app.marketplaces.kwork.web.pages.orders import status_word
from app.marketplaces.kwork.web.pages.wants import CURRENCY, absolute
from app.marketplaces.kwork.web.reading import Reading, Way

_ORDER = re.compile(r"[?&]id=(\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an order's thread as shown."""

    author: str | None
    text: str


@dataclass(frozen=True, slots=True)
class TrackPage:
    """``/track`` as shown: ``time`` is a display string of Kwork's."""

    title: str
    price_kopecks: int | None
    time: str | None
    entries: tuple[Entry, ...]
    files: tuple[Attachment, ...]


def read_order_rows(document: Document, *, site: str) -> Reading[tuple[Order, ...]]:
    """None in the shell as it is sent: a script draws the rows."""
    orders: list[Order] = []
    unreadable: list[str] = []
    for place, row in enumerate(document.tree.css(OrderRow.ROW)):
        try:
            orders.append(_order(row, f"row[{place}]", site))
        except LayoutChanged as error:
            unreadable.append(error.path)
    return Reading(tuple(orders), Way.CARDS, unreadable=tuple(unreadable))


def read_track(document: Document, *, site: str) -> Reading[TrackPage]:
    """Raises ``LayoutChanged`` when the order has no title."""
    root = document.tree.root
    if root is None:
        raise drifted("page", "is empty")
    price, drift = _price(root, OrderPage.PRICE, "")
    entries = tuple(
        Entry(maybe_text(node, OrderPage.ENTRY_LOGIN), text)
        for node in root.css(OrderPage.ENTRY)
        if (text := maybe_text(node, OrderPage.ENTRY_TEXT))
    )
    page = TrackPage(
        title=need_text(root, OrderPage.TITLE, ""),
        price_kopecks=price,
        time=maybe_text(root, OrderPage.TIME),
        entries=entries,
        files=tuple(_file(node, site) for node in root.css(OrderPage.FILE)),
    )
    return Reading(page, Way.CARDS, drift)


def _order(row: LexborNode, path: str, site: str) -> Order:
    found = _ORDER.search(link_target(need_node(row, "a[href*='track']", path)))
    if found is None:
        raise drifted(f"{path} a", "holds no order number")
    order_id = values.identifier(found.group(1), f"{path}.id")
    status = status_word(maybe_text(row, OrderRow.STATUS) or "")
    return Order(
        id=order_id,
        title=need_text(row, OrderRow.TITLE, path),
        status=OrderStatus(status) if status else OrderStatus.UNKNOWN,
        price_kopecks=_price(row, OrderRow.PRICE, path)[0],
        currency=CURRENCY,
        buyer=Person(None, need_text(row, OrderRow.BUYER, path)),
        url=f"{site}/track?id={order_id}",
    )


def _price(node: LexborNode, selector: str, path: str) -> tuple[int | None, tuple[str, ...]]:
    words = maybe_text(node, selector)
    if words is None:
        return None, ()
    try:
        return values.display_kopecks(words, f"{path} {selector}".strip()), ()
    except LayoutChanged as error:
        return None, (error.path,)


def _file(node: LexborNode, site: str) -> Attachment:
    target = link_target(node)
    name = attribute(node, "download") or clean(node)
    return Attachment(linked_file_id(target), name, absolute(site, target))
