"""What must be in the CRM by Kwork's own word, held against the CRM's journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.faults.bed import Bed
from bench.faults.ledger import Key, Ledger

IN_WORK, ARBITRATION, CANCELLED, ON_CHECK, DONE, PAYMENT_DUE = range(1, 7)
_STATUSES = {
    IN_WORK: {"in_progress"},
    ARBITRATION: {"arbitration"},
    CANCELLED: {"lost"},
    ON_CHECK: {"on_review"},
    DONE: {"won"},
    PAYMENT_DUE: {"payment_due"},
}
_NOT_TAKEN = {"new", "in_progress"}
"""Kwork's site does not tell a paid order from one taken into work; its mobile API does."""


@dataclass(slots=True)
class Verdict:
    """Keys of what is wrong; empty lists are what we want."""

    orders: int = 0
    projects: int = 0
    buyers: int = 0
    lost: list[Key] = field(default_factory=list)
    doubled: list[Key] = field(default_factory=list)
    wrong_status: list[tuple[Key, Any]] = field(default_factory=list)
    foreign: list[Key] = field(default_factory=list)
    """In the CRM of a tenant whose accounts have no such order, project or buyer."""
    parked: dict[Key, str | None] = field(default_factory=dict)
    """With the reason, as the API tells it."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong_status or self.foreign)


def judge(bed: Bed, ledger: Ledger) -> Verdict:
    """Reads both stand-ins anew."""
    ledger.read()
    found = Verdict(parked=_parked(bed))
    leads: dict[Key, set[str] | None] = {}
    contacts: set[Key] = set()
    for account, (tenant, _) in bed.accounts.items():
        for order in bed.stand.orders(account):
            leads[tenant, f"kwork:order:{order['id']}"] = _expected(order)
            contacts.add((tenant, f"kwork:user:{order['payer_id']}"))
    found.orders, found.buyers = len(leads), len(contacts)
    first = next(iter(bed.doors))
    listed = {(first, f"kwork:project:{project['id']}") for project in bed.stand.projects()}
    may_be = {(first, f"kwork:project:{project['id']}") for project in bed.stand.projects(everything=True)}
    may_be |= {(first, f"kwork:user:{project['user_id']}") for project in bed.stand.projects(everything=True)}
    found.projects = len(listed)
    made = ledger.created["lead"] | ledger.created["contact"]
    found.lost = sorted((leads.keys() | contacts | listed) - made.keys() - found.parked.keys())
    found.doubled = sorted(key for key, times in made.items() if times > 1)
    found.foreign = sorted(made.keys() - leads.keys() - contacts - may_be)
    found.wrong_status = sorted(_wrong(leads, ledger, found.parked))
    return found


def _expected(order: Mapping[str, Any]) -> set[str]:
    if order["status"] == IN_WORK and not order["in_work"]:
        return _NOT_TAKEN
    return _STATUSES[order["status"]]


def _wrong(
    leads: Mapping[Key, set[str] | None], ledger: Ledger, parked: Mapping[Key, Any]
) -> Iterator[tuple[Key, str]]:
    for key, wanted in leads.items():
        status = ledger.status.get(key)
        if wanted is not None and status is not None and status not in wanted and key not in parked:
            yield key, f"{status}, а не {' или '.join(sorted(wanted))}"


def _parked(bed: Bed) -> dict[Key, str | None]:
    return {key: reason for tenant in bed.doors for key, reason in parked_of(bed, tenant).items()}


def parked_of(bed: Bed, tenant: str) -> dict[Key, str | None]:
    """What a person must look at, with the reason, as the API tells it."""
    status = bed.doors[tenant].status()
    rows = status["deliveries"]["parked"] if status else ()
    return {(tenant, row["external_id"]): row.get("reason") for row in rows}
