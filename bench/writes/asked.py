"""A write that the bench asks for, what it must do on Kwork, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Row = dict[str, Any]
Expected = Literal["passes", "refused", "unclear"]
"""What must become of the faulted step: it passes (perhaps when asked again), surely does not happen, or is unclear."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One call that cannot be taken back: where it arrives at the stand, and the effect it has there."""

    surface: str
    path: str
    effect: str
    detail: tuple[str, int]
    """The effect's detail in the journal that names what this write is about; of no other write."""
    field: str
    """The field of the request that names the same thing."""
    without: str | None = None
    """A field that the request does not have (an order's message names the buyer, too)."""

    def arrived_in(self, entry: Row) -> bool:
        if entry["surface"] != self.surface or entry["path"] != self.path:
            return False
        body = entry["body"] if isinstance(entry["body"], dict) else {}
        fields = {**entry["query"], **body}
        return self.without not in fields and str(fields.get(self.field)) == str(self.detail[1])

    def done_in(self, entry: Row) -> bool:
        name, value = self.detail
        told = entry["details"].get(name)
        return self.effect in entry["effects"] and value in (told if isinstance(told, list) else [told])


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: a fault of the stand's, on the deed or on another path of the same write."""

    name: str
    kind: str
    expected: Expected
    given: Row = field(default_factory=dict)
    on: str = "deed"
    """``deed``; ``reading``, ``upload``, ``form`` before it; ``lookup`` after it; ``world``: it has changed."""
    acted: bool = False
    """Kwork did it all the same."""


@dataclass(slots=True)
class Asked:
    """One call of the API. ``deeds`` in order; ``step`` is the one that the fault concerns."""

    kind: str
    account: str
    method: str
    path: str
    key: str
    deeds: tuple[Deed, ...]
    json: Row | None = None
    params: Row | None = None
    reading: tuple[str, str] | None = None
    """Surface and path of what is read before the deed."""
    uploads: tuple[str, str] | None = None
    world: Row | None = None
    """How the world changes in the moment before (``project`` or ``order`` and what of it)."""
    fault: Fault | None = None
    step: int = 0
    met: bool = False
    """The fault was met, or the process did die."""
    killed_at: str | None = None
    calls: int = 0
    write: Row | None = None
    """As the API shows it at the end; ``None``: it was refused before it got into the ledger, or is lost."""
    code: str | None = None
    """Of the last refusal."""
    earlier: Asked | None = None
    """The same was asked for and done just before: what Kwork shows of that must not be taken for this one."""
    between: tuple[int, str] | None = None
    """An order and what happened to it after ``earlier``."""
    since: int = 0
    """The journal's number from which on arrivals are this one's; those of ``earlier`` end there."""
    until: int = 2**62
    by_person: bool = False
    """Kwork does not show how it ended: a person looked and said."""

    @property
    def state(self) -> str:
        return str(self.write["state"]) if self.write else "нет в журнале"

    @property
    def parts(self) -> list[Row]:
        """What can be unclear: the write, or the steps of a hand-in that Kwork sees."""
        if self.write is None:
            return []
        if self.write["steps"]:
            return [step for step in self.write["steps"] if step["action"] != "upload_file"]
        return [self.write]

    @property
    def was_unclear(self) -> int:
        return sum(
            part["state"] == "unknown" or part["state"].startswith("reconciled_") for part in self.parts
        )

    def told(self) -> str:
        """For the list of what went wrong."""
        cause = self.killed_at or (self.fault.name if self.fault else "без сбоя")
        return f"{self.kind} [{cause}] {self.state} {self.code or ''}".strip()
