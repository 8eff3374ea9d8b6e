"""The parts of a profile made ready to use. Frozen, and without a secret: they depend on the profile's text alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.crm.profile.model import Find, Profile, Resource, SetUpStep
from app.crm.profile.queries import Query
from app.crm.templates.rendering import AddressTemplate, BodyTemplate, TextTemplate
from app.domain.crm import Entity, LeadStatus


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer and its meaning. ``status`` are texts such as ``409`` and ``4xx``."""

    status: frozenset[str]
    match: Query | None
    means: str

    def fits_status(self, status: int) -> bool:
        return str(status) in self.status or f"{status // 100}xx" in self.status


@dataclass(frozen=True, slots=True)
class Call:
    """A request of its own with what its answers mean."""

    method: str
    path: AddressTemplate
    body: BodyTemplate | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    path: AddressTemplate
    rows: Query
    id: Query
    key: Query
    source: Find


@dataclass(frozen=True, slots=True)
class Reading:
    path: AddressTemplate
    id: Query
    key: Query | None
    stage: Query | None
    changed_at: Query | None


@dataclass(frozen=True, slots=True)
class ReadyResource:
    """Leads or contacts."""

    create: Call
    created_id: Query
    created_key: Query | None
    update: Call
    updated_id: Query | None
    lookup: Lookup | None
    reading: Reading | None
    source: Resource


@dataclass(frozen=True, slots=True)
class ReadyStep:
    """A set-up step."""

    look: AddressTemplate
    found: Query
    make: Call
    source: SetUpStep


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    path: AddressTemplate
    expect: Query | None
    name: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class ReadyProfile:
    """Safe to share: it depends on the profile's text alone."""

    source: Profile
    stages: Mapping[LeadStatus, str | int]
    rules: tuple[Rule, ...]
    """For every answer, after a call's own."""
    headers: tuple[tuple[str, TextTemplate], ...]
    secret_headers: tuple[tuple[str, TextTemplate], ...]
    secret_path: AddressTemplate | None
    resources: Mapping[Entity, ReadyResource]
    note: Call | None
    note_id: Query | None
    set_up: tuple[ReadyStep, ...]
    check: tuple[ReadyCheck, ...]
