"""What an upsert of a page found out."""

from __future__ import annotations

from dataclasses import dataclass


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
