"""Looks at any saved page of Kwork for a person: what it is, what was read, what drifted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.errors import LayoutChanged, VendorError
from app.marketplaces.kwork import values
from app.marketplaces.kwork.selectors import ProjectCard
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Orders, State
from app.marketplaces.kwork.web.guards import PageKind, kind_of
from app.marketplaces.kwork.web.pages.cards import read_cards
from app.marketplaces.kwork.web.pages.categories import read_categories
from app.marketplaces.kwork.web.pages.gigs import read_gigs
from app.marketplaces.kwork.web.pages.inbox import read_inbox
from app.marketplaces.kwork.web.pages.order_pages import read_order_rows, read_track
from app.marketplaces.kwork.web.pages.orders import read_orders
from app.marketplaces.kwork.web.pages.profile import read_profile
from app.marketplaces.kwork.web.pages.projects import read_project, read_projects
from app.marketplaces.kwork.web.reading import Reading, Way

GOOD, DRIFTED, UNUSABLE = 0, 1, 2
SITE = "https://kwork.ru"

_BETRAYING = (
    'stateData={"',
    'stateData = {"',
    '"priceLimit"',
    '"kwork_count"',
    '"wantsListData"',
    '"gtitle"',
    '"chatList',
    "window.chatList",
    '"unread_count"',
    'class="want-card',
)
"""Signs that a page without recognised content once had some: then its layout changed."""


@dataclass(slots=True)
class Inspection:
    """``items``: what was recognised, all fields; moments in UTC (ISO 8601), money in kopecks.

    ``drift``: paths of what could not be read, never values. ``exit_code``: 0 good, 1 drifted, 2 unusable.
    """

    kind: PageKind
    signed_in: bool | None = None
    way: Way | None = None
    items: list[Any] = field(default_factory=list)
    counts: dict[str, int | None] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        if self.kind is PageKind.FOREIGN:
            return UNUSABLE
        return DRIFTED if self.drift else GOOD

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "way": self.way.value if self.way else None,
            "signed_in": self.signed_in,
            "counts": self.counts,
            "drift": self.drift,
            "items": [plain(item) for item in self.items],
        }


def inspect_page(raw: bytes, site: str = SITE) -> Inspection:
    """Never raises for what a page contains. ``site`` begins the addresses in items."""
    if raw.lstrip()[:1] == b"{":
        return _inspect_json(raw, site)
    document = Document(raw)
    found = Inspection(kind_of(document), document.signed_in)
    reader = _READERS.get(found.kind)
    try:
        if reader is not None:
            reader(found, document, site)
        elif found.kind is PageKind.OTHER and any(sign in document.source for sign in _BETRAYING):
            found.drift.append("page")
    except LayoutChanged as error:
        found.drift.append(error.path)
    return found


def plain(value: Any) -> Any:
    """Dataclasses, moments and tuples as JSON knows them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def _take(found: Inspection, reading: Reading[Any], items: list[Any]) -> None:
    found.way = reading.way
    found.items = items
    found.counts["items"] = len(items)
    found.counts["unreadable"] = len(reading.unreadable)
    found.drift += [*reading.drift, *reading.unreadable]


def _projects(found: Inspection, document: Document, site: str) -> None:
    reading = read_projects(document, site=site, lenient=True)
    page = reading.value
    _take(found, reading, list(page.items))
    found.counts |= {"page": page.number, "last_page": page.last, "total": page.total}
    if reading.way is Way.STATE:
        _check_cards(found, document, site)
        _count_categories(found, document)


def _check_cards(found: Inspection, document: Document, site: str) -> None:
    """The second way must work too, where the page was rendered at all."""
    ids = {item.id for item in found.items}
    rendered = any(f'href="/projects/{number}' in document.source for number in ids)
    try:
        cards = {card.id for card in read_cards(document, site)}
    except LayoutChanged as error:
        found.drift.append(error.path)
        return
    found.counts["cards"] = len(cards)
    if rendered and not ids <= cards:
        found.drift.append(ProjectCard.CARD)


def _count_categories(found: Inspection, document: Document) -> None:
    try:
        reading = read_categories(document.state.get(State.CATEGORIES), State.CATEGORIES, Way.STATE)
    except LayoutChanged as error:
        found.drift.append(error.path)
        return
    found.counts["categories"] = len(reading.value)
    found.drift += reading.drift


def _project(found: Inspection, document: Document, site: str) -> None:
    reading = read_project(document, site=site)
    _take(found, reading, [reading.value])


def _gigs(found: Inspection, document: Document, site: str) -> None:
    reading = read_gigs(document, site=site, lenient=True)
    page = reading.value
    gigs = {gig.id: gig for gig in page.posts} | {gig.id: gig for g in page.groups for gig in g.gigs}
    _take(found, reading, list(gigs.values()))
    found.counts |= {f"group:{group.key}": group.count for group in page.groups}
    found.counts["total"] = page.total


def _inbox(found: Inspection, document: Document, site: str) -> None:
    reading = read_inbox(document, lenient=True)
    _take(found, reading, list(reading.value.items))
    found.counts["total"] = reading.value.total


def _orders(found: Inspection, document: Document, site: str) -> None:
    reading = read_order_rows(document, site=site)
    _take(found, reading, list(reading.value))


def _order(found: Inspection, document: Document, site: str) -> None:
    reading = read_track(document, site=site)
    _take(found, reading, [reading.value])


def _user(found: Inspection, document: Document, site: str) -> None:
    reading = read_profile(document, site=site)
    _take(found, reading, [reading.value])


_READERS: dict[PageKind, Callable[[Inspection, Document, str], None]] = {
    PageKind.PROJECTS: _projects,
    PageKind.PROJECT: _project,
    PageKind.GIGS: _gigs,
    PageKind.INBOX: _inbox,
    PageKind.ORDERS: _orders,
    PageKind.ORDER: _order,
    PageKind.USER: _user,
}


def _inspect_json(raw: bytes, site: str) -> Inspection:
    """A saved answer of ``get_manage_orders``; other JSON is none of ours."""
    try:
        answer = values.parse_json(raw, "answer")
    except LayoutChanged:
        return Inspection(PageKind.FOREIGN)
    data = answer.get(Orders.DATA)
    if not isinstance(data, dict) or Orders.COUNT not in data:
        return Inspection(PageKind.FOREIGN)
    found = Inspection(PageKind.ORDERS, signed_in=True)
    try:
        reading = read_orders(answer, site=site, asked=1, lenient=True)
    except VendorError as error:
        found.drift.append(getattr(error, "path", error.code))
        return found
    _take(found, reading, list(reading.value.items))
    found.counts["total"] = reading.value.total
    return found
