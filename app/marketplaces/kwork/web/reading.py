"""What a parser hands back, and the one rule for lists with an unreadable row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from app.domain.errors import LayoutChanged
from app.marketplaces.kwork.values import Drift, Fields, sequence

T = TypeVar("T")


class Way(StrEnum):
    """How a page was read."""

    STATE = "state"
    """From the JSON in the page's scripts."""
    CARDS = "cards"
    """From the rendered markup, the second way: fewer fields."""
    JSON = "json"
    """From a JSON answer."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A page understood. ``drift``: paths that could not be read though the rest could.

    ``unreadable``: those of whole rows left out, each named by the field that stopped it.
    """

    value: T
    way: Way
    drift: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


class Rows(Generic[T]):
    """Reads a list row by row; a poisoned row does not hide the others.

    Raises the first row's ``LayoutChanged`` when at least half of the rows cannot be read: then it is the
    layout that changed, and what is left would be taken for the whole.
    """

    def __init__(self, data: object, path: str, read: Callable[[Fields], T], drift: Drift) -> None:
        items: list[T] = []
        errors: list[LayoutChanged] = []
        for place, row in enumerate(sequence(data, path)):
            try:
                items.append(read(Fields(row, f"{path}[{place}]", drift)))
            except LayoutChanged as error:
                errors.append(error)
        if errors and len(errors) >= len(items) and not drift.lenient:
            raise errors[0]
        self.items = tuple(items)
        self.unreadable = tuple(error.path for error in errors)
        self.count = len(items) + len(errors)
