"""What probing found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Counts beside what went wrong: a zero proves nothing without its n."""

    probes: Counter[str] = field(default_factory=Counter)
    """By kind."""
    leaks: list[str] = field(default_factory=list)
    unclassified: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    """Probes whose own tenant's id is answered like an unknown one: they cannot see a leak."""

    @property
    def n(self) -> int:
        return self.probes.total()

    def judge(self, kind: str, where: str, wrong: str | None) -> None:
        """Counts a probe; ``wrong``: what it found."""
        self.probes[kind] += 1
        if wrong:
            self.leaks.append(f"{where} [{kind}]: {wrong}")
