"""Every address of the web surface that may be called: the transport refuses anything else.

Marks as in ``selectors.py``. Reading only: nothing here moves money, sends, edits or deletes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

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


FILE: Final = re.compile(r"/files/.+")
"""Attachments are under ``/files/uploaded/…`` [CAP]; only what starts like that is fetched with the cookies."""


def project(project_id: int) -> str:
    """``/projects/<id>`` answers 302 to this [LIVE]."""
    return f"/projects/{project_id}/view"


def user(username: str) -> str:
    return f"/user/{username}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One address; ``sure`` is its mark in the facts."""

    method: str
    pattern: re.Pattern[str]
    sure: str


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
    Allowed("GET", FILE, "CAP"),
)


def allows(method: str, path: str) -> bool:
    """The allow-list, handed to ``Transport``."""
    return any(entry.method == method and entry.pattern.fullmatch(path) for entry in ALLOWED)


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
