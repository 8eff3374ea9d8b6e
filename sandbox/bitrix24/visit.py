"""One call on its way through a method: its journal entry, its faults, and what goes beside its result."""

from dataclasses import dataclass
from typing import Any

from sandbox.faults import RequestFaults
from sandbox.journal import Entry


@dataclass
class Visit:
    entry: Entry
    faults: RequestFaults
    total: int | None = None
    next: int | None = None

    def act(self, what: str, **details: Any) -> None:
        """Notes an effect; several calls of a batch stand in one entry, each with its details."""
        self.entry.act(what)
        self.entry.details.setdefault("items", []).append(details)

    def asked(self, name: str) -> bool:
        return bool(self.faults.found) and self.faults.take("asked", name=name) is not None

    def lag(self) -> float:
        """Seconds the search is behind."""
        fault = self.faults.take("asked", name="search_lag") if self.faults.found else None
        return float(fault.params.get("seconds", 20)) if fault else 0.0
