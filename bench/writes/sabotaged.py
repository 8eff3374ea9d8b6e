"""The service with its safety taken out: ``python bench/writes/sabotaged.py VARIANT``. For controls of the bench only.

A run that finds no double send proves something only when it would find one: these two variants make them. They
are patched in from here, so the product holds no switch that could be tripped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import main
from app.domain.errors import Ambiguous
from app.domain.writes import Write
from app.domain.writing import Answered, Marker, PlannedCall
from app.services.kwork_writing import KworkWriting
from app.services.perform_write import PerformWrite


def marker_off() -> None:
    """Nothing is committed before the first byte leaves."""

    async def unmarked(self: PerformWrite, write: Write) -> float:
        return time.monotonic()

    PerformWrite._mark_in_turn = unmarked  # type: ignore[method-assign]


def blind_retry() -> None:
    """An answer that is lost or unclear is taken for a failure, and the call is made again."""
    carry_out = KworkWriting.carry_out

    async def nothing() -> None:
        """The mark stands already."""

    async def carry_out_again(
        self: KworkWriting, call: PlannedCall, marker: Marker | None = None
    ) -> Answered:
        try:
            return await carry_out(self, call, marker)
        except Ambiguous:
            return await carry_out(self, call, nothing if marker else None)

    KworkWriting.carry_out = carry_out_again  # type: ignore[method-assign]


VARIANTS: dict[str, Callable[[], None]] = {"marker-off": marker_off, "blind-retry": blind_retry}

if __name__ == "__main__":
    VARIANTS[sys.argv[1]]()
    sys.exit(main.main([]))
