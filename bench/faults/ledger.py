"""What the demo CRM's journal says was made and changed there: the only thing the verdict rests on."""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter, defaultdict
from typing import Any

from tests.stand import Stand

Row = dict[str, Any]
Key = tuple[str, str]
"""Tenant and external id."""
_LONGEST_SECONDS = 60.0
"""What was not answered by then never will be: the CRM dropped it."""


class Ledger:
    """Grows with the journal: ``read`` takes up what came since the last time."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._since = 0
        self._taken: set[int] = set()
        self.created: dict[str, Counter[Key]] = {"lead": Counter(), "contact": Counter()}
        self.status: dict[Key, str] = {}
        """Of leads, by the last write that was carried out: a CRM that hangs carries out first and answers late."""
        self.trail: dict[Key, list[tuple[int, str]]] = defaultdict(list)
        """Writes that were carried out on leads, by arrival: number in the journal, and what it made of the status."""
        self.rows: list[Row] = []
        """Arrivals; ``port`` tells which process called."""
        self.writes: Counter[str] = Counter()
        """Carried out, by tenant."""
        self.made_at: dict[Key, float] = {}
        self.doubles: dict[Key, list[str]] = defaultdict(list)

    def read(self) -> None:
        """What is still going on is taken up when it is over; it does not hold up what came after it."""
        rows = self._stand.journal(surface="crm", since=self._since)
        recent = time.time() - _LONGEST_SECONDS
        going = [row["seq"] for row in rows if row["answered"] is None and row["real_at"] > recent]
        for row in rows:
            if row["answered"] is not None and row["seq"] not in self._taken:
                self._take(row)
                self._taken.add(row["seq"])
        if rows:
            self._since = min(going, default=rows[-1]["seq"] + 1) - 1
            self._taken = {seq for seq in self._taken if seq > self._since}

    def _take(self, row: Row) -> None:
        answered = row["answered"] or {}
        self.rows.append(
            {
                "seq": row["seq"], "at": row["real_at"], "until": row["real_at"] + answered.get("ms", 0.0) / 1000,
                "tenant": row["account"], "method": row["method"], "status": answered.get("status"),
                "decided": row["decided"], "port": int(row["headers"]["host"].rpartition(":")[2]),
            }
        )  # fmt: skip
        for word in row["decided"]:
            entity, _, deed = word.partition(" ")
            if deed in ("created", "updated"):
                self._carried_out(row, entity, deed)

    def _carried_out(self, row: Row, entity: str, deed: str) -> None:
        key = (row["account"], row["details"]["external_id"])
        self.writes[row["account"]] += 1
        if deed == "created":
            self.created[entity][key] += 1
            self.made_at.setdefault(key, row["real_at"])
            self.doubles[key].append(f"{row['seq']} {row['decided']} {row['real_at']:.2f}")
        if entity == "lead":
            insort(self.trail[key], (row["seq"], row["body"].get("status", "")))
            self.status[key] = next((status for _, status in reversed(self.trail[key]) if status), "new")
