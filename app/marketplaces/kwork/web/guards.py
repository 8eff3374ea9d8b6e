"""What page is this? Told by content: Kwork's status codes and content types alone lie [LIVE]."""

from __future__ import annotations

from enum import StrEnum

from selectolax.lexbor import LexborHTMLParser

from app.domain.errors import AuthExpired, Blocked, Challenge, ChallengeRequired, Maintenance
from app.marketplaces.kwork.selectors import (
    Captcha,
    LoginForm,
    OrderPage,
    OrderRow,
    ProjectCard,
    UserPage,
    Wall,
)
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import State, Window

_SMALL = 60_000
"""Characters. Walls are small pages; only there are sentences looked for, people's texts may hold them."""


class PageKind(StrEnum):
    """Kinds of pages the surface knows."""

    PROJECTS = "projects"
    PROJECT = "project"
    GIGS = "gigs"
    INBOX = "inbox"
    ORDERS = "orders"
    ORDER = "order"
    USER = "user"
    LOGIN = "login"
    MAINTENANCE = "maintenance"
    BLOCKED = "blocked"
    CAPTCHA = "captcha"
    OTHER = "other"
    """A page of Kwork without any of the contents above, the home page for one."""
    FOREIGN = "foreign"
    """Not a page of Kwork."""


PRIVATE = frozenset({PageKind.GIGS, PageKind.INBOX, PageKind.ORDERS, PageKind.ORDER})


def kind_of(document: Document) -> PageKind:
    """The kind of a page, cheapest signs first; never raises."""
    return _by_variables(document) or _wall(document) or _by_markup(document)


def expect(document: Document, wanted: PageKind, *, with_session: bool) -> None:
    """Passes when the page is of the wanted kind, read as who we think we are.

    Raises ``AuthExpired``, ``ChallengeRequired``, ``Blocked``, ``Maintenance`` or ``LayoutChanged``.
    """
    kind = kind_of(document)
    refuse_walls(kind)
    signed_out = document.signed_in is False
    if kind is PageKind.LOGIN or (signed_out and (with_session or wanted in PRIVATE)):
        raise AuthExpired("Kwork показывает страницу гостя: сессия закончилась.")
    if kind is not wanted:
        raise drifted("page", f"was expected to be {wanted.value} and looks like {kind.value}")


def refuse_walls(kind: PageKind) -> None:
    """Raises what stands for a page shown instead of an answer."""
    if kind is PageKind.MAINTENANCE:
        raise Maintenance("На Kwork идут технические работы.")
    if kind is PageKind.BLOCKED:
        raise Blocked("Kwork отказывает этому адресу или аккаунту.", code="kwork_blocked")
    if kind is PageKind.CAPTCHA:
        raise ChallengeRequired("Kwork просит пройти капчу.", challenge=Challenge.CAPTCHA)


def _by_variables(document: Document) -> PageKind | None:
    if isinstance(document.window.get(Window.CHAT_LIST), list):
        return PageKind.INBOX
    if not document.has_state:
        return None
    state = document.state
    if State.WANT in state:
        return PageKind.PROJECT
    if State.WANTS in state or State.LIST in state:
        return PageKind.PROJECTS
    if State.GROUPS in state or (State.POSTS in state and State.PAGING in state):
        return PageKind.GIGS
    return None


def _wall(document: Document) -> PageKind | None:
    if document.title == Wall.MAINTENANCE_TITLE:
        return PageKind.MAINTENANCE
    if len(document.source) > _SMALL or any(name in document.window for name in Window.KNOWN):
        return None
    if Wall.MAINTENANCE_WORDS in document.title:
        return PageKind.MAINTENANCE
    if Wall.BLOCK_SENTENCE in document.source or Wall.BLOCK_ADDRESS in document.source:
        return PageKind.BLOCKED
    lowered = document.source.lower()
    if sum(word in lowered for word in Wall.QRATOR_WORDS) > 1:
        return PageKind.BLOCKED
    return None


def _by_markup(document: Document) -> PageKind:
    marked = next((kind for selector, kind in _MARKS if document.tree.css_first(selector)), None)
    if marked is not None:
        return marked
    if any(mark in document.source for mark in OrderRow.SHELL_MARKS):
        return PageKind.ORDERS
    if not document.signed_in and document.is_kwork:
        if _shows_login_form(document):
            return PageKind.LOGIN
        if _shows_challenge(document):
            return PageKind.CAPTCHA
    return PageKind.OTHER if document.is_kwork else PageKind.FOREIGN


_MARKS = (
    (ProjectCard.CARD, PageKind.PROJECTS),
    (OrderPage.TITLE, PageKind.ORDER),
    (OrderPage.ENTRY, PageKind.ORDER),
    (UserPage.USERNAME, PageKind.USER),
)


def _shows_login_form(document: Document) -> bool:
    css = document.tree.css_first
    drawn = css(LoginForm.PASSWORD) is not None and css(LoginForm.LOGIN) is not None
    return drawn or any(word in document.title.lower() for word in LoginForm.TITLE_WORDS)


def _shows_challenge(document: Document) -> bool:
    """By what a person reads; a widget counts only under a title that speaks of a check."""
    if len(document.source) > _SMALL:
        return False
    page = LexborHTMLParser(document.source)
    page.strip_tags(["script", "style"])
    words = page.body.text() if page.body is not None else ""
    if any(sentence in words for sentence in Captcha.SENTENCES):
        return True
    title = document.title.lower()
    return any(word in title for word in Captcha.TITLE_WORDS) and page.css_first(Captcha.WIDGETS) is not None
