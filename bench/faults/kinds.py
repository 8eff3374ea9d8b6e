"""The kinds of faults, how many of each, and the lane each is played in: one resource fails in one way at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """``share``: how many of 200."""

    name: str
    title: str
    share: int
    lane: str


KINDS: Final = (
    Kind("F1", "процесс убит (kill -9)", 40, "workers"),
    Kind("F2", "процесс замер дольше аренды (SIGSTOP)", 10, "workers"),
    Kind("F3", "PostgreSQL остановлен", 10, "postgres"),
    Kind("F4", "Redis: нет, очищен, молчит", 10, "redis"),
    Kind("F5", "CRM: 429", 20, "crm"),
    Kind("F6", "CRM: 500, 502, 503 сериями", 20, "crm"),
    Kind("F7", "CRM молчит и не делает", 15, "crm"),
    Kind("F8", "CRM делает и молчит, поиск отстаёт", 25, "crm"),
    Kind("F9", "CRM: негодный ответ", 15, "crm"),
    Kind("F10", "CRM: вебхуки дважды, старые, не по порядку", 5, "crm"),
    Kind("F11", "Kwork: сессии нет", 8, "kwork"),
    Kind("F12", "Kwork: капча при входе", 4, "kwork"),
    Kind("F13", "Kwork: страницы изменились", 6, "kwork"),
    Kind("F14", "Kwork: технические работы", 4, "kwork"),
    Kind("F15", "100 одновременных sync-orders", 4, "workers"),
    Kind("F16", "часы прыгают", 4, "workers"),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
TOTAL: Final = sum(kind.share for kind in KINDS)


def counts(faults: int, left_out: frozenset[str] = frozenset()) -> dict[str, int]:
    """So many of each kind, in the shares of the table, one at least of each; together ``faults`` where that fits."""
    kinds = [kind for kind in KINDS if kind.name not in left_out]
    whole = sum(kind.share for kind in kinds)
    exact = {kind.name: faults * kind.share / whole for kind in kinds}
    found = {name: max(1, int(number)) for name, number in exact.items()}
    by_rest = sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))
    for name in by_rest[: max(0, faults - sum(found.values()))]:
        found[name] += 1
    return found
