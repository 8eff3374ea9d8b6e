"""``WebSurface``: Kwork's site read over HTTP, signed out or with a browser's session.

Every method answers with data or a known empty page, or raises: ``AuthExpired``, ``ChallengeRequired``,
``Blocked``, ``Maintenance``, ``Unavailable``, ``RateLimited``, ``LayoutChanged``, ``NotFound``.
What was read although something in it drifted goes to ``on_drift``. What is sent: see ``writing``.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from app.domain.errors import AuthExpired, CapabilityUnavailable, Invalid, NotFound
from app.domain.kwork import (
    Category,
    Dialog,
    Gig,
    Order,
    Page,
    Project,
    ProjectFilter,
    Surface,
    UserProfile,
    WebSession,
)
from app.marketplaces.kwork import values
from app.marketplaces.kwork.download import Download, open_download
from app.marketplaces.kwork.selectors import Header
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fetch import Fetch, Query, leads_to_login
from app.marketplaces.kwork.web.fields import State, Window
from app.marketplaces.kwork.web.filters import query_of, sifted
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls
from app.marketplaces.kwork.web.order_of_pages import OrderOfPages
from app.marketplaces.kwork.web.pages.categories import read_categories, unwrap_categories
from app.marketplaces.kwork.web.pages.gigs import GigPage, Group, read_gigs
from app.marketplaces.kwork.web.pages.inbox import read_inbox
from app.marketplaces.kwork.web.pages.orders import read_orders
from app.marketplaces.kwork.web.pages.profile import read_profile
from app.marketplaces.kwork.web.pages.projects import read_project, read_projects
from app.marketplaces.kwork.web.reading import Reading, Way
from app.marketplaces.kwork.web.writing import WebWriting

T = TypeVar("T")

_log = logging.getLogger(__name__)
_USERNAME = re.compile(r"[\w.-]{1,100}")
_GIGS_PER_PAGE = 12
_MAX_GIG_PAGES = 50


@dataclass(frozen=True, slots=True)
class DriftReport:
    """What of a reading could not be read. Paths of fields, never values.

    ``unreadable``: rows left out, each named by the field that stopped it.
    """

    reading: str
    drift: tuple[str, ...]
    unreadable: tuple[str, ...]


def log_drift(report: DriftReport) -> None:
    _log.warning(
        "kwork layout drift in %s: fields %s, rows left out %s",
        report.reading,
        ", ".join(report.drift[:20]) or "none",
        ", ".join(report.unreadable[:20]) or "none",
    )


class WebSurface:
    """``transport`` carries the session's cookies; ``session`` says whether they should be signed in."""

    def __init__(
        self,
        transport: Transport,
        session: WebSession | None = None,
        *,
        on_drift: Callable[[DriftReport], None] = log_drift,
    ) -> None:
        self._transport = transport
        self._fetch = Fetch(transport, session)
        self._on_drift = on_drift
        self.writing = WebWriting(self._fetch, self._told)
        self._site = transport.base_url
        self._order_of_pages = OrderOfPages()

    @property
    def cookies(self) -> tuple[Mapping[str, object], ...]:
        """The session's cookies as they are now: Kwork renews some as it answers."""
        return self._transport.cookies

    async def projects(self, wanted: ProjectFilter | None = None, page: int = 1) -> Page[Project]:
        """One page of the exchange, 12 projects, newest ``active_at`` first [CAP]; works signed out.

        With bounds on offers the page holds fewer and ``total`` is ``None``: the site has buckets only.
        """
        wanted = wanted or ProjectFilter()
        document = await self._fetch.document(paths.PROJECTS, PageKind.PROJECTS, query_of(wanted, page))
        found = self._told("projects", read_projects(document, site=self._site, asked=page))
        self._order_of_pages.check(wanted, found)
        return sifted(wanted, found)

    async def project(self, project_id: int) -> Project:
        """One project with its full text. Raises ``NotFound`` for one that is gone."""
        document = await self._fetch.document(paths.project(project_id), PageKind.PROJECT)
        project = self._told("project", read_project(document, site=self._site))
        if project.id != project_id:
            raise drifted(f"{State.WANT}.id", "is not the project that was asked for")
        return project

    async def orders(self, page: int = 1, status: str = "all") -> Page[Order]:
        """Ten orders, newest first. ``status``: all, active, delivered, completed, cancelled, unpaid."""
        if status not in paths.OrderQuery.STATUSES:
            raise Invalid("unknown filter of orders", field="status")
        self._fetch.need_session()
        query = {
            paths.OrderQuery.PAGE: str(page),
            paths.OrderQuery.STATUS: status,
            **dict(paths.OrderQuery.NEWEST_FIRST),
        }
        answer = await self._fetch.get(paths.ORDERS, query)
        data = self._fetch.json(answer)
        return self._told("orders", read_orders(data, site=self._site, asked=page, status=status))

    async def gigs(self) -> Page[Gig]:
        """All gigs of the account, over all groups and their pages."""
        self._fetch.need_session()
        first = await self._gig_page({"group": "all"})
        found = [gig for group in first.groups for gig in await self._gigs_of(group)]
        if not first.groups and not first.known_empty:
            raise drifted(State.GROUPS, "is empty")
        items = tuple({gig.id: gig for gig in found}.values())
        missing = sum(group.count for group in first.groups) - len(items)
        return Page(items, 1, 1, len(items), Surface.WEB, left_out=max(0, missing))

    async def dialogs(self, page: int = 1) -> Page[Dialog]:
        """The newest 50 dialogs [CAP]. How the site asks for more is not known."""
        if page != 1:
            raise CapabilityUnavailable(
                "Сайт Kwork показывает только 50 последних диалогов: остальные видны мобильной части (KWORK_MOBILE_KEY)."
            )
        self._fetch.need_session()
        return self._told("dialogs", read_inbox(await self._fetch.document(paths.INBOX, PageKind.INBOX)))

    async def user_profile(self, username: str) -> UserProfile:
        """Public profile; works signed out. Raises ``NotFound``."""
        if not _USERNAME.fullmatch(username):
            raise NotFound("Kwork has no such user")
        document = await self._fetch.document(paths.user(username), PageKind.USER)
        return self._told("user", read_profile(document, site=self._site))

    async def categories(self) -> tuple[Category, ...]:
        """Rubrics and subrubrics, parents first; from their own call, else from the exchange's state."""
        answer = await self._fetch.get(paths.CATEGORIES, {"lang": "ru"})
        if answer.is_json and answer.status == 200:
            tree, path = unwrap_categories(values.parse_json(answer.body, "categories"))
            return self._told("categories", read_categories(tree, path, Way.JSON))
        document = await self._fetch.document(paths.PROJECTS, PageKind.PROJECTS, query_of(ProjectFilter(), 1))
        tree = document.state.get(State.CATEGORIES)
        return self._told("categories", read_categories(tree, State.CATEGORIES, Way.STATE))

    def download(
        self, url: str, *, seconds: float, max_bytes: int, pages_allowed: bool = False
    ) -> AbstractAsyncContextManager[Download]:
        """A file of Kwork with the session's cookies; see ``open_download``."""
        return open_download(
            self._transport, url, seconds=seconds, max_bytes=max_bytes, pages_allowed=pages_allowed
        )

    async def signed_in(self) -> bool:
        """Does the site take these cookies for a signed-in user? One private page is asked for [CODE]."""
        document = await self._own_page()
        return document is not None and document.signed_in is True

    async def own_identity(self) -> tuple[int, str | None]:
        """Whose cookies these are: number [CAP] and, if the header shows it, name. Raises ``AuthExpired``."""
        document = await self._own_page()
        if document is None or document.signed_in is not True:
            raise AuthExpired("С этими cookies Kwork не считает никого вошедшим.")
        if document.user_id is None:
            raise drifted(Window.USER_ID, "is no number though somebody is signed in")
        link = document.tree.css_first(Header.OWN_PROFILE)
        name = urlsplit((link.attributes.get("href") or "") if link else "").path.rpartition("/")[2]
        return document.user_id, unquote(name) or None

    async def login_by_token(self, url_or_token: str) -> WebSession:
        """Turns the mobile surface's one-time token (1 minute, A3 [SPEC]) into a web session.

        Opens the home page afterwards, so that ``csrf_user_token`` appears. Raises ``AuthExpired`` when the
        token is refused, ``Invalid`` for an address of another host.
        """
        answer = await self._fetch.get(paths.LOGIN_BY_TOKEN, {"web_auth_token": self._token(url_or_token)})
        if leads_to_login(answer):
            raise AuthExpired("Kwork не принял одноразовый токен входа.")
        document = Document((await self._fetch.get(paths.HOME)).body)
        refuse_walls(kind_of(document))
        if document.user_id is None:
            raise AuthExpired("Kwork не впустил по одноразовому токену.")
        self._fetch.session = WebSession(
            self._transport.cookies, user_id=document.user_id, user_agent=self._transport.user_agent
        )
        return self._fetch.session

    async def channel(self) -> str:
        """Name of the account's websocket channel [CAP]. A secret: it alone opens the channel."""
        self._fetch.need_session()
        document = await self._own_page()
        if document is None or document.signed_in is not True:
            raise AuthExpired("С этими cookies Kwork не считает никого вошедшим.")
        settings = document.window.get(Window.PULL_MODULE)
        found = settings.get(Window.PULL_CHANNEL) if isinstance(settings, dict) else None
        if not isinstance(found, str) or not found:
            raise drifted(f"{Window.PULL_MODULE}.{Window.PULL_CHANNEL}", "is missing")
        return found

    async def _own_page(self) -> Document | None:
        """The private page, or the home page it leads to; None when it leads to the login page."""
        answer = await self._fetch.get(paths.SELLER)
        if leads_to_login(answer):
            return None
        if answer.redirect is not None:
            answer = await self._fetch.get(paths.HOME)
        document = Document(answer.body)
        kind = kind_of(document)
        refuse_walls(kind)
        if kind is not PageKind.LOGIN and document.signed_in is None:
            raise drifted(Window.USER_ID, "is missing")
        return document

    def _token(self, url_or_token: str) -> str:
        if "/" not in url_or_token:
            return url_or_token
        url, site = urlsplit(url_or_token), urlsplit(self._site)
        tokens = parse_qs(url.query).get("web_auth_token", [])
        if url.hostname != site.hostname or len(tokens) != 1:
            raise Invalid("not an address of Kwork with a one-time token", field="url")
        return tokens[0]

    async def _gigs_of(self, group: Group) -> list[Gig]:
        """What the first page did not carry is asked for group by group, page by page."""
        if len(group.gigs) >= group.count:
            return list(group.gigs)
        found: dict[int, Gig] = {}
        per_page = _GIGS_PER_PAGE
        for number in range(1, _MAX_GIG_PAGES + 1):
            page = await self._gig_page({"group": group.key, "page": str(number)})
            rows = page.posts or next((g.gigs for g in page.groups if g.key == group.key), ())
            per_page = page.per_page or per_page
            fresh = [gig for gig in rows if gig.id not in found]
            found.update((gig.id, gig) for gig in fresh)
            if not fresh or number >= math.ceil(group.count / per_page):
                break
        if not found:
            raise drifted(
                f"{State.GROUPS}.{group.key}.{State.POSTS}", "is empty though the count is not zero"
            )
        if len(found) < group.count:
            self._on_drift(DriftReport("gigs", (f"{State.GROUPS}.{group.key}.count",), ()))
        return list(found.values())

    async def _gig_page(self, query: Query) -> GigPage:
        document = await self._fetch.document(paths.GIGS, PageKind.GIGS, query)
        return self._told("gigs", read_gigs(document, site=self._site, group=dict(query).get("group")))

    def _told(self, reading: str, read: Reading[T]) -> T:
        if read.drift or read.unreadable:
            self._on_drift(DriftReport(reading, read.drift, read.unreadable))
        return read.value
