"""Does the list still run from new to old over its pages? If it turned round, a poll would miss the new."""

from __future__ import annotations

import time
from datetime import datetime

from app.domain.kwork import Page, Project, ProjectFilter
from app.marketplaces.kwork.values import drifted

COUNTED_FROM_THE_END = "pagination.current_page"
"""The path such a drift is told with."""

_FRESH_SECONDS = 120.0
"""Between two pages of one walk. After a longer pause the list may have moved by whole pages."""


class OrderOfPages:
    """Compares each page with the one before it, when both belong to one walk over the same list."""

    def __init__(self) -> None:
        self._last: tuple[ProjectFilter, int, datetime, float] | None = None

    def check(self, wanted: ProjectFilter, page: Page[Project]) -> None:
        """Raises ``LayoutChanged`` when page n + 1 begins with something newer than page n does."""
        moments = [project.active_at for project in page.items if project.active_at is not None]
        if not moments:
            return
        newest, now, before = max(moments), time.monotonic(), self._last
        self._last = (wanted, page.number, newest, now)
        if before is None or before[:2] != (wanted, page.number - 1):
            return
        if now - before[3] < _FRESH_SECONDS and newest > before[2]:
            raise drifted(COUNTED_FROM_THE_END, "seems to be counted from the end")
