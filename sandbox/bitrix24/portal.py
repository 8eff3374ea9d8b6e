"""What a portal holds: its mode, directories, users' fields and items. Times are the journal's clock, unix seconds."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

LEAD, DEAL, CONTACT = 1, 2, 3
OWNERS = {"lead": LEAD, "deal": DEAL, "contact": CONTACT}
MOSCOW = timezone(timedelta(hours=3))
Record = dict[str, Any]

_LEAD_STAGES = [
    ("NEW", "Не обработан", None),
    ("IN_PROCESS", "В работе", None),
    ("PROCESSED", "Обработан", None),
]
_LEAD_STAGES += [("CONVERTED", "Качественный лид", "S"), ("JUNK", "Некачественный лид", "F")]
_DEAL_STAGES = [
    ("NEW", "Новая", None),
    ("PREPARATION", "Подготовка документов", None),
    ("PREPAYMENT_INVOICE", "Cчет на предоплату", None),
    ("EXECUTING", "В работе", None),
    ("FINAL_INVOICE", "Финальный счет", None),
    ("WON", "Сделка успешна", "S"),
    ("LOSE", "Сделка провалена", "F"),
    ("APOLOGY", "Анализ причины провала", "F"),
]


@dataclass
class Portal:
    """A fresh classic portal with leads, two funnels of deals and no records."""

    now: Callable[[], float]
    mode: int = 1
    """1 with leads, 2 without."""
    scopes: set[str] = field(default_factory=lambda: {"crm"})
    currencies: tuple[str, ...] = ("RUB", "USD", "EUR", "BYN")
    users: tuple[int, ...] = (1, 6)
    owner: int = 1
    """The user whose webhook it is."""
    rate: tuple[int, float] = (50, 2.0)
    """How many calls at once, and how many leak away a second."""
    operating_limit: float = 480.0
    costs: dict[str, float] = field(default_factory=dict)
    """Seconds a method runs; 0.01 where nothing is said."""
    counts_operating: bool = True
    """False: a boxed portal, which tells no counters."""
    overloaded: bool = False
    """True: support has closed the REST by hand."""
    categories: dict[int, str] = field(default_factory=lambda: {0: "Общая", 9: "Kwork"})
    user_fields: dict[int, set[str]] = field(
        default_factory=lambda: {LEAD: set(), DEAL: set(), CONTACT: set()}
    )
    items: dict[int, dict[int, Record]] = field(default_factory=lambda: {LEAD: {}, DEAL: {}, CONTACT: {}})
    born: dict[tuple[int, int], float] = field(default_factory=dict)
    comments: list[Record] = field(default_factory=list)
    deleted_stages: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def next_id(self) -> int:
        return next(self._numbers)

    def statuses(self, directory: str | None = None) -> list[Record]:
        """Rows of `crm.status.list`."""
        rows = [row for name, stages in self._directories().items() for row in _rows(name, stages)]
        found = [row for row in rows if directory in (None, row["ENTITY_ID"])]
        return [row for row in found if row["STATUS_ID"] not in self.deleted_stages]

    def stage_ids(self, kind: int, category: int = 0) -> list[str]:
        directory = "STATUS" if kind == LEAD else _deal_directory(category)
        return [row["STATUS_ID"] for row in self.statuses(directory)]

    def semantics(self, kind: int, stage: str, category: int = 0) -> str:
        directory = "STATUS" if kind == LEAD else _deal_directory(category)
        return next(
            (row["SEMANTICS"] or "P" for row in self.statuses(directory) if row["STATUS_ID"] == stage), "P"
        )

    def moment(self, at: float | None = None) -> str:
        """In the portal's zone."""
        return datetime.fromtimestamp(self.now() if at is None else at, MOSCOW).isoformat(timespec="seconds")

    def _directories(self) -> dict[str, list[tuple[str, str, str | None]]]:
        funnels = {
            _deal_directory(number): [
                (f"C{number}:{i}" if number else i, name, s) for i, name, s in _DEAL_STAGES
            ]
            for number in self.categories
        }
        sources = [("CALL", "Звонок", None), ("WEB", "Веб-сайт", None), ("KWORK", "Kwork", None)]
        return {"STATUS": _LEAD_STAGES, **funnels, "SOURCE": [(i, name, None) for i, name, _ in sources]}


def _deal_directory(category: int) -> str:
    return f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"


def _rows(directory: str, stages: list[tuple[str, str, str | None]]) -> list[Record]:
    return [
        {
            "ID": str(100 + number),
            "ENTITY_ID": directory,
            "STATUS_ID": status,
            "NAME": name,
            "NAME_INIT": "",
            "SORT": str(10 * number),
            "SYSTEM": "N",
            "CATEGORY_ID": None,
            "COLOR": "",
            "SEMANTICS": semantics,
        }
        for number, (status, name, semantics) in enumerate(stages, 1)
    ]
