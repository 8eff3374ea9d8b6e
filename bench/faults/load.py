"""What goes on at Kwork meanwhile: new orders, statuses that move, new projects; and operators who start syncs."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bench.faults.bed import Bed
from bench.faults.door import Row

PROJECT_FILTER: Row = {"max_offers": 1000}
"""What the first tenant makes leads of: every project of the exchange."""
_LOOK_SECONDS = 1.0
_LOOK_AT_EXCHANGE_SECONDS = 5.0
_MOVES = (
    "take",
    "report",
    "hand_in",
    "rework",
    "arbitration",
    "accept",
    "cancel_by_buyer",
    "arbitration_done",
)
_MOVES_PER_ORDER = 2


class Load:
    """Runs in threads from ``start`` to ``stop``; the world grows to its full size within ``seconds``."""

    def __init__(self, bed: Bed, seed: int, seconds: float) -> None:
        self._bed, self._seconds = bed, seconds
        self._rng = random.Random(seed + 1)
        self._over = threading.Event()
        works: list[Callable[[], None]] = [self._live, self._sync_projects]
        works += [partial(self._sync, account) for account in bed.accounts]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        self.moves = 0
        """Statuses that moved."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The world has its full size, whatever the pace was."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        for _ in self._missing():
            self._new_order()

    def _missing(self) -> range:
        there = sum(len(self._bed.stand.orders(account)) for account in self._bed.accounts)
        return range(max(0, self._bed.size.orders - there))

    def _live(self) -> None:
        missing = len(self._missing())
        pause = self._seconds / max(1, missing)
        for _ in range(missing):
            if self._over.wait(pause):
                return
            self._new_order()
            for _ in range(_MOVES_PER_ORDER):
                self._move()
            if self._rng.random() < 0.02:
                self._bed.stand.add_project(name=f"Проект {self._rng.randrange(10**6)}", price=3000)

    def _new_order(self) -> None:
        account = self._rng.choice(list(self._bed.accounts))
        number = self._rng.randrange(10**6)
        self._bed.stand.add_order(account=account, title=f"Заказ {number}", price=500 * (1 + number % 9))

    def _move(self) -> None:
        account = self._rng.choice(list(self._bed.accounts))
        order = self._rng.choice(self._bed.stand.orders(account))
        with suppress(RuntimeError):  # not every event is possible in every status
            self._bed.stand.advance_order(order["id"], self._rng.choice(_MOVES))
            self.moves += 1

    def _sync(self, account: str) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self._bed.sync(account)

    def _sync_projects(self) -> None:
        while not self._over.wait(_LOOK_AT_EXCHANGE_SECONDS):
            sync_projects(self._bed)


def sync_projects(bed: Bed, **more: object) -> Row | None:
    """The exchange, for the first tenant."""
    door = next(iter(bed.doors.values()))
    return door.sync(kinds=["project"], filters=PROJECT_FILTER, full=True, **more)
