"""A goal and what was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """One row of a bench's table. ``n`` is the number of measurements behind it."""

    what: str
    measured: str
    wanted: str
    met: bool
    n: int
