"""Every address of the web surface that may be called: the transport refuses anything else.

Marks as in ``selectors.py``. Nothing here moves money, deletes a gig or changes a password. What others see
and cannot be taken back is marked so: it leaves only with a marker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from app.marketplaces.kwork.transport import Leave

HOME: Final = "/"
LOGIN: Final = "/login"
SELLER: Final = "/seller"
PROJECTS: Final = "/projects"
ORDERS: Final = "/get_manage_orders"
GIGS: Final = "/manage_kworks"
INBOX: Final = "/inbox"
TRACK: Final = "/track"
CATEGORIES: Final = "/get_categories"
LOGIN_BY_TOKEN: Final = "/login-by-token"  # noqa: S105 - an address
OFFER_FORM: Final = "/new_offer"
QUICK_FAQ: Final = "/quick-faq/init"
OFFER_DRAFT: Final = "/wants/create_offer_draft"
TEMPLATE_CHECK: Final = "/projects/check_is_template"
UPLOAD: Final = "/api/file/upload"
CREATE_OFFER: Final = "/api/offer/createoffer"
DELETE_OFFER: Final = "/api/offer/deleteoffer"
SEND_MESSAGE: Final = "/sendmessage"
GIG_FORM: Final = "/edit"
SAVE_GIG: Final = "/save_kwork"
START_GIG: Final = "/manage_kworks/activate"
PAUSE_GIG: Final = "/manage_kworks/suspend"
CATEGORY_PRICES: Final = "/api/freeprice/categorygetprices"


FILE: Final = re.compile(r"/files/.+")
"""Attachments are under ``/files/uploaded/…`` [CAP]; only what starts like that is fetched with the cookies."""


def project(project_id: int) -> str:
    """``/projects/<id>`` answers 302 to this [LIVE]."""
    return f"/projects/{project_id}/view"


def offer_requirements(project_id: int) -> str:
    return f"/wants/{project_id}/check_offer_notify"


def user(username: str) -> str:
    return f"/user/{username}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One address; ``sure`` is its mark in the facts."""

    method: str
    pattern: re.Pattern[str]
    sure: str
    irrevocable: bool = False


ALLOWED: Final = (
    Allowed("GET", re.compile("/"), "CAP"),
    Allowed("GET", re.compile("/seller"), "CODE"),
    Allowed("GET", re.compile("/projects"), "CAP"),
    Allowed("GET", re.compile(r"/projects/\d+(/view)?"), "LIVE"),
    Allowed("GET", re.compile("/get_manage_orders"), "LIVE"),
    Allowed("GET", re.compile("/manage_kworks"), "CAP"),
    Allowed("GET", re.compile("/inbox"), "CAP"),
    Allowed("GET", re.compile("/track"), "CODE"),
    Allowed("GET", re.compile(r"/user/[^/]+"), "CODE"),
    Allowed("GET", re.compile("/get_categories"), "CLAIM"),
    Allowed("GET", re.compile("/login-by-token"), "SPEC"),
    Allowed("GET", re.compile("/new_offer"), "LIVE"),
    Allowed("GET", re.compile(r"/wants/\d+/check_offer_notify"), "LIVE"),
    Allowed("POST", re.compile("/quick-faq/init"), "LIVE"),
    Allowed("POST", re.compile("/wants/create_offer_draft"), "LIVE"),
    Allowed("POST", re.compile("/projects/check_is_template"), "LIVE"),
    Allowed("POST", re.compile("/api/file/upload"), "LIVE"),
    Allowed("POST", re.compile("/api/offer/createoffer"), "LIVE", irrevocable=True),
    Allowed("POST", re.compile("/api/offer/deleteoffer"), "LIVE", irrevocable=True),
    Allowed("POST", re.compile("/sendmessage"), "CAP / CODE", irrevocable=True),
    Allowed("GET", re.compile("/edit"), "LIVE"),
    Allowed("GET", re.compile("/api/freeprice/categorygetprices"), "LIVE"),
    Allowed("POST", re.compile("/save_kwork"), "LIVE", irrevocable=True),
    Allowed("POST", re.compile("/manage_kworks/(activate|suspend)"), "LIVE", irrevocable=True),
    Allowed("GET", FILE, "CAP"),
)


OF_THE_PAGE: Final = (
    "/api/validation/checktext",  # LIVE
    "/wants/portfolio",  # LIVE
    "/temp-image-upload",  # LIVE
    "/api/user/checknotify",  # LIVE
    "/api/user/checkworkeroffers",  # LIVE
    "/want-search/suggest",  # LIVE
)
"""What pages send by themselves beside ``ALLOWED`` and nobody else sees: let out of a page that is filled in."""

NEVER_BY_PAGE: Final = re.compile(
    "pay|refill|withdraw|cancel|arbitrage|dispute|delete|remove|password|logout"
)
"""Where the path of a page's call is not known, one that looks like this is stopped."""


def is_harmless(method: str, path: str) -> bool:
    """May a page that is filled in send this at any time? Everything else goes out once, marked, or not at all."""
    return method in ("GET", "HEAD") or path in OF_THE_PAGE or allows(method, path) is Leave.FREELY


def allows(method: str, path: str) -> Leave:
    """The allow-list, handed to ``Transport``."""
    for entry in ALLOWED:
        if entry.method == method and entry.pattern.fullmatch(path):
            return Leave.MARKED if entry.irrevocable else Leave.FREELY
    return Leave.NEVER


class ProjectQuery:
    """Parameters of ``/projects``: hyphenated, underscore spellings are silently ignored [LIVE]."""

    PAGE: Final = "page"
    CATEGORY: Final = "c"
    EVERY_CATEGORY: Final = "all"
    KEYWORD: Final = "keyword"
    PRICE_FROM: Final = "price-from"
    PRICE_TO: Final = "price-to"
    HIRED_FROM: Final = "hiring-from"
    OFFERS_BUCKET: Final = "kworks-filters"
    OFFER_BUCKETS: Final = ((0, 5), (5, 10), (10, 15), (15, 20), (20, None))
    """Bounds of the buckets, both inclusive by the captured counts [CAP]."""


class OrderQuery:
    """Parameters of ``get_manage_orders`` [LIVE]."""

    PAGE: Final = "page"
    STATUS: Final = "s"
    STATUSES: Final = ("all", "active", "delivered", "completed", "cancelled", "unpaid")
    NEWEST_FIRST: Final = (("b", "date"), ("a", "desc"))
