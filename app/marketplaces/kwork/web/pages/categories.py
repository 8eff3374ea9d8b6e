"""The tree of rubrics, from ``get_categories`` or from the exchange's state (FACTS A10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.domain.kwork import Category
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web.fields import Rubric
from app.marketplaces.kwork.web.reading import Reading, Way

_LEVELS = 2
"""Rubric, subrubric; the third level are attributes, which are no categories here."""


def read_categories(tree: Any, path: str, way: Way) -> Reading[tuple[Category, ...]]:
    """Rubrics and subrubrics, parents first. An empty tree is never believed."""
    drift = Drift()
    found = tuple(_walk(tree, path, None, drift, _LEVELS))
    if not found:
        raise drifted(path, "holds no category")
    if all(category.parent_id is None for category in found):
        raise drifted(path, "holds no subrubric")
    return Reading(found, way, drift.paths)


def unwrap_categories(answer: Any) -> tuple[Any, str]:
    """The tree inside of an answer and its path: bare, or under one of the known names."""
    if isinstance(answer, dict):
        for name in Rubric.ROOTS:
            if isinstance(answer.get(name), (list, dict)):
                return answer[name], name
    return answer, "categories"


def _walk(nodes: Any, path: str, parent: int | None, drift: Drift, levels: int) -> Iterator[Category]:
    rows = nodes.items() if isinstance(nodes, dict) else enumerate(values.sequence(nodes, path))
    for place, node in rows:
        fields = Fields(node, f"{path}[{place}]", drift)
        category_id = fields.need(values.identifier, *Rubric.ID)
        yield Category(
            id=category_id,
            name=fields.need(values.label, *Rubric.NAME),
            slug=fields.expect(values.raw_text, *Rubric.SLUG),
            parent_id=parent,
        )
        children = next(
            (fields.raw(n) for n in Rubric.CHILDREN if isinstance(fields.raw(n), (list, dict))), None
        )
        if children and levels > 1:
            yield from _walk(children, fields.at(Rubric.CHILDREN[0]), category_id, drift, levels - 1)
