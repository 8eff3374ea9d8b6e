"""What a page's rows tell, and what an upsert of them found out.

A reading is laid over what is stored: what it does not tell (a field that drifted, or that this surface does not
carry) stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.content import plain, told


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids by what happened to their rows. ``touched`` had only counters written (offers made, unread …)."""

    new: frozenset[int]
    changed: frozenset[int]
    touched: frozenset[int]
    unchanged: frozenset[int]

    @property
    def fresh(self) -> frozenset[int]:
        """New or changed in what they mean."""
        return self.new | self.changed

    @property
    def written(self) -> int:
        """Rows written."""
        return len(self.new) + len(self.changed) + len(self.touched)


def sort_out(rows: list[tuple[int, bool, bool, bool]]) -> Changes:
    """From rows of (id, is new, content changed, counters changed)."""
    new: set[int] = set()
    changed: set[int] = set()
    touched: set[int] = set()
    unchanged: set[int] = set()
    for id_, is_new, content, counters in rows:
        (new if is_new else changed if content else touched if counters else unchanged).add(id_)
    return Changes(frozenset(new), frozenset(changed), frozenset(touched), frozenset(unchanged))


def told_row(thing: object, *, person: str | None = None) -> dict[str, Any]:
    """The plain content of what was read, without what it does not tell.

    ``person`` names the field that holds a ``Person``: it becomes ``<person>_id``, ``<person>_username`` …, so that
    a reading without the number does not take the number away.
    """
    content = told(plain(thing))
    if person is not None:
        content |= {f"{person}_{name}": value for name, value in told(content.pop(person)).items()}
    return content
