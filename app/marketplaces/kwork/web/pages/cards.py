"""Rendered cards of ``/projects``, the second way to the list [CAP]."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from app.domain.kwork import Person, Project, ProjectStatus
from app.marketplaces.kwork import values
from app.marketplaces.kwork.selectors import ProjectCard
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.markup import link_target, maybe_text, need_node, need_text
from app.marketplaces.kwork.web.pages.wants import CURRENCY

_PROJECT = re.compile(r"/projects/(\d+)")
_AMOUNT = re.compile(r"\d[\d\s\u00a0\u202f]*")


def read_cards(document: Document, site: str) -> list[Project]:
    """Every card of the page; none when there is none. Raises ``LayoutChanged`` when a card is unreadable."""
    cards = document.tree.css(ProjectCard.CARD)
    return [_project(card, f"card[{place}]", site) for place, card in enumerate(cards)]


def _project(card: LexborNode, path: str, site: str) -> Project:
    link = need_node(card, ProjectCard.TITLE_LINK, path)
    found = _PROJECT.search(link_target(link))
    if found is None:
        raise drifted(f"{path} {ProjectCard.TITLE_LINK}", "holds no project number")
    project_id = values.identifier(found.group(1), f"{path}.id")
    price = _kopecks(need_text(card, ProjectCard.PRICE, path), f"{path} {ProjectCard.PRICE}")
    ceiling = maybe_text(card, ProjectCard.HIGHER_PRICE)
    statistic = maybe_text(card, ProjectCard.BUYER_BOX) or ""
    return Project(
        id=project_id,
        title=need_text(card, ProjectCard.TITLE_LINK, path),
        description=_description(card, path),
        status=ProjectStatus.ACTIVE,
        category_id=None,
        price_kopecks=price,
        max_price_kopecks=_kopecks(ceiling, f"{path} {ProjectCard.HIGHER_PRICE}") if ceiling else price,
        currency=CURRENCY,
        created_at=None,
        active_at=None,
        expires_at=None,
        buyer=Person(None, need_text(card, ProjectCard.BUYER, path)),
        url=f"{site}/projects/{project_id}/view",
        offers=_number(ProjectCard.OFFERS, card.text()),
        buyer_projects=_number(ProjectCard.BUYER_PROJECTS, statistic),
        buyer_hired_percent=_number(ProjectCard.BUYER_HIRED, statistic),
    )


def _description(card: LexborNode, path: str) -> str:
    """The last inner div is the full copy; the shorter ones are cut."""
    box = need_node(card, ProjectCard.TEXTS, path)
    copies = [div.text().strip() for div in box.css("div") if div != box]
    return values.raw_text(copies[-1] if copies else box.text().strip(), path)


def _kopecks(words: str, path: str) -> int:
    """The last amount in «Допустимый: до 4 500 ₽»."""
    amounts = _AMOUNT.findall(words)
    if not amounts:
        raise drifted(path, "holds no amount")
    return values.display_kopecks(amounts[-1], path)


def _number(pattern: str, words: str) -> int | None:
    found = re.search(pattern, words)
    return int(found.group(1)[:12]) if found else None
