"""From the filter a caller gives to the one projects are matched with."""

from __future__ import annotations

from decimal import Decimal

from app.domain.categories import CategoryTree
from app.domain.kwork import ProjectFilter
from app.models.sync_schemas import ProjectFilterIn


def project_filter(given: ProjectFilterIn | None, tree: CategoryTree) -> ProjectFilter | None:
    """Raises ``Invalid`` (``unknown_category``)."""
    if given is None:
        return None
    return ProjectFilter(
        categories=tuple(tree.find(given.category)) if given.category else (),
        query=given.q,
        price_from_kopecks=_kopecks(given.min_price),
        price_to_kopecks=_kopecks(given.max_price),
        offers_to=given.max_offers,
    )


def _kopecks(roubles: Decimal | None) -> int | None:
    return None if roubles is None else int(roubles * 100)
