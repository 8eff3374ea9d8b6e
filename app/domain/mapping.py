"""What a tenant says about one CRM connection: how its leads and contacts are shaped, and what may come back.

Pure: templates stand here as text and are rendered by whoever applies the mapping. The empty mapping changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, Final

from app.domain.crm import Lead, LeadStatus, RecordField
from app.domain.kwork import OrderStatus, ProjectStatus
from app.domain.writes import WriteAction

KEEP: Final = "keep"
"""In place of a stage: the lead stays where it stands."""


class LeadKind(StrEnum):
    """What a lead is made of; ``kwork_kind`` in its metadata."""

    ORDER = "order"
    PROJECT = "project"


STAGE_WORDS: Final[tuple[str, ...]] = (
    *(status.value for status in LeadStatus),
    *(f"order.{status.value}" for status in OrderStatus),
    *(f"project.{status.value}" for status in ProjectStatus),
)
"""Our statuses, and Kwork's own where these are finer: ``project.in_work``. The finer word counts first."""

BACK_ACTIONS: Final = (
    WriteAction.TAKE_ORDER,
    WriteAction.REPORT_PROGRESS,
    WriteAction.CANCEL_ORDER,
    WriteAction.ACCEPT_CANCEL,
    WriteAction.REJECT_CANCEL,
    WriteAction.WITHDRAW_CANCEL,
)
"""What a stage may cause on Kwork. Handing in and responding need a person's words, so they are not among them."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a lead; what is left empty holds for every lead. Prices in kopecks of the lead's own currency."""

    kinds: tuple[LeadKind, ...] = ()
    accounts: tuple[str, ...] = ()
    categories: tuple[int, ...] = ()
    """Kwork's categories; an order tells none, so it fits no rule that names some."""
    price_from_kopecks: int | None = None
    price_to_kopecks: int | None = None

    def fits(self, lead: Lead) -> bool:
        told = lead.metadata
        return (
            _among(told.get("kwork_kind"), self.kinds)
            and _among(told.get("kwork_account_id"), self.accounts)
            and _among(told.get("kwork_category_id"), self.categories)
            and _within(lead.budget_kopecks, self.price_from_kopecks, self.price_to_kopecks)
        )


@dataclass(frozen=True, slots=True)
class Responsible:
    """Who gets new leads; the first rule that fits counts."""

    user_id: str
    when: When = When()


@dataclass(frozen=True, slots=True)
class Tags:
    """Labels of new leads; every rule that fits adds its own."""

    tags: tuple[str, ...]
    when: When = When()


@dataclass(frozen=True, slots=True)
class Templates:
    """Texts in the language of templates; None: as the lead has it."""

    name: str | None = None
    description: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Currency:
    """Leads in another currency are counted over where a rate is given; else they keep their own."""

    code: str
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """Currency of a lead -> how many of ``code`` one of it is."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What updates leave alone."""

    lead: frozenset[RecordField] = frozenset()
    contact: frozenset[RecordField] = frozenset()
    changed_by_person: bool = False
    """Beside those, each field of a lead that does not hold what was sent last."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What goes on the timeline of a linked lead."""

    messages: bool = False
    order_events: bool = False


@dataclass(frozen=True, slots=True)
class Back:
    """A stage that a person sets in the CRM, and what it causes on the order."""

    stage: str
    action: WriteAction
    reason: str | None = None
    """Kwork's code of a reason, for a cancellation."""
    message: str = ""
    progress: int | None = None
    """Percent, for a report."""


@dataclass(frozen=True, slots=True)
class CrmMapping:
    """The mapping of one connection."""

    kinds: frozenset[LeadKind] = frozenset(LeadKind)
    """Which become leads at all. Those that stand in the CRM already are kept up to date."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """One of ``STAGE_WORDS`` -> the CRM's stage, or ``KEEP``. Without an entry the connection's settings decide."""
    templates: Templates = Templates()
    responsible: tuple[Responsible, ...] = ()
    tags: tuple[Tags, ...] = ()
    protection: Protection = Protection()
    currency: Currency | None = None
    finals_are_final: bool = True
    """True: a lead that is won or lost in the CRM is never moved out of there."""
    respects_people: bool = True
    """True: a stage that a person set is left for a later or final one only."""
    notes: Notes = Notes()
    back: tuple[Back, ...] = ()

    def takes(self, lead: Lead) -> bool:
        """False: such a lead is not wanted in this CRM."""
        kind = kind_of(lead)
        return kind is None or kind in self.kinds

    def stage_for(self, lead: Lead) -> str | None:
        """A stage, ``KEEP``, or None where the connection's own settings decide."""
        kind, word = lead.metadata.get("kwork_kind"), lead.metadata.get("kwork_status")
        return self.stages.get(f"{kind}.{word}") or self.stages.get(lead.status.value)

    def responsible_for(self, lead: Lead) -> str | None:
        return next((rule.user_id for rule in self.responsible if rule.when.fits(lead)), None)

    def tags_for(self, lead: Lead) -> tuple[str, ...]:
        found = (tag for rule in self.tags if rule.when.fits(lead) for tag in rule.tags)
        return tuple(dict.fromkeys(found))

    def in_currency(self, lead: Lead) -> Lead:
        """With the price counted over; what Kwork named stays in ``metadata``."""
        wanted, price = self.currency, lead.budget_kopecks
        rate = wanted.rates.get(lead.currency) if wanted is not None else None
        if wanted is None or price is None or rate is None or lead.currency == wanted.code:
            return lead
        counted = int((price * rate).quantize(Decimal(1), ROUND_HALF_UP))
        named = {**lead.metadata, "kwork_price": f"{Decimal(price) / 100:.2f} {lead.currency}"}
        return replace(lead, budget_kopecks=counted, currency=wanted.code, metadata=named)

    def back_from(self, stage: str) -> Back | None:
        """What a person's move into this stage causes."""
        return next((rule for rule in self.back if is_stage(stage, rule.stage)), None)


def kind_of(lead: Lead) -> LeadKind | None:
    told = lead.metadata.get("kwork_kind")
    return LeadKind(told) if told in frozenset(LeadKind) else None


def is_stage(told: str, meant: str) -> bool:
    """Whether the stage a CRM tells is the one meant; a pipeline before it may be left out: ``143`` is ``7/143``."""
    return told == meant or ("/" not in meant and told.rpartition("/")[2] == meant)


def _among(value: Any, wanted: tuple[Any, ...]) -> bool:
    return not wanted or value in wanted


def _within(price: int | None, least: int | None, most: int | None) -> bool:
    if least is None and most is None:
        return True
    return price is not None and (least is None or price >= least) and (most is None or price <= most)
