"""A connection's mapping as the API takes it and as it is kept. Prices in roubles."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app.domain.crm import RecordField
from app.domain.mapping import (
    BACK_ACTIONS,
    KEEP,
    STAGE_WORDS,
    Back,
    CrmMapping,
    Currency,
    LeadKind,
    Notes,
    Protection,
    Responsible,
    Tags,
    Templates,
    When,
)
from app.domain.writes import WriteAction, WriteState
from app.models.examples import MAPPING_EXAMPLE
from app.models.schemas import Exact, Line, PageQuery, Roubles, Text

CrmWord = Annotated[Line, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Template = Annotated[Text, Field(min_length=1, max_length=8192)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
LeadPart = Literal["name", "description", "budget", "deadline", "url", "contact", "metadata"]
ContactPart = Literal["name", "email", "phone", "url", "metadata"]

_REPORT_MESSAGE = (2, 350)


class WhenIn(Exact):
    """What a lead must be like; what is left out holds for every lead."""

    kinds: list[LeadKind] = Field(default_factory=list, max_length=2)
    account_ids: list[UUID] = Field(default_factory=list, max_length=100)
    category_ids: list[Annotated[int, Field(ge=1, le=10**9)]] = Field(
        default_factory=list, max_length=200, description="Of projects; orders tell no category."
    )
    min_price: Roubles | None = None
    max_price: Roubles | None = None

    def domain(self) -> When:
        return When(
            tuple(self.kinds),
            tuple(str(one) for one in self.account_ids),
            tuple(self.category_ids),
            _kopecks(self.min_price),
            _kopecks(self.max_price),
        )


class ResponsibleIn(Exact):
    """Who gets new leads. The first rule that fits counts."""

    user_id: CrmWord = Field(description="The CRM's id of a user.", examples=["6"])
    when: WhenIn = Field(default_factory=WhenIn)


class TagsIn(Exact):
    """Labels of new leads. Every rule that fits adds its own."""

    tags: list[CrmWord] = Field(min_length=1, max_length=20)
    when: WhenIn = Field(default_factory=WhenIn)


class TemplatesIn(Exact):
    """Texts in the language of profiles' templates (docs/crm-profile.md): `lead` is at hand, in `note` only `note`."""

    name: Template | None = Field(None, examples=["Kwork {{ lead.kwork_id }}: {{ lead.name }}"])
    description: Template | None = None
    note: Template | None = None


class CurrencyIn(Exact):
    """Leads in another currency are counted over where a rate is given; else they keep their own."""

    code: CurrencyCode
    rates: dict[CurrencyCode, Annotated[Decimal, Field(gt=0, le=10**6, max_digits=18)]] = Field(
        default_factory=dict,
        max_length=20,
        description="Currency of a lead → how many of `code` one of it is.",
    )


class ProtectIn(Exact):
    """What updates leave alone."""

    lead: list[LeadPart] = Field(default_factory=list, max_length=10)
    contact: list[ContactPart] = Field(default_factory=list, max_length=10)
    changed_by_person: bool = Field(
        False, description="Beside those: each field of a lead that does not hold what was sent last."
    )


class NotesIn(Exact):
    """What goes on the timeline of a lead, where the CRM takes notes."""

    messages: bool = Field(False, description="Messages with the buyer.")
    order_events: bool = Field(False, description="Events of the order's thread.")


class BackIn(Exact):
    """A stage that a person sets in the CRM, and what it causes on the order, through the ledger of writes."""

    stage: CrmWord
    action: WriteAction = Field(description=f"One of {', '.join(BACK_ACTIONS)}.")
    reason: Annotated[Line, Field(max_length=100)] | None = Field(
        None, description="Kwork's code of a reason; needed for `cancel_order`."
    )
    message: Text = Field("", max_length=4000)
    progress: Annotated[int, Field(ge=0, le=100, multiple_of=10)] | None = Field(
        None, description="Percent; needed for `report_progress`."
    )

    @field_validator("action")
    @classmethod
    def _may_be_caused(cls, value: WriteAction) -> WriteAction:
        if value not in BACK_ACTIONS:
            raise _words(
                "action_not_automatic",
                f"этого этап CRM не вызывает; можно {', '.join(one.value for one in BACK_ACTIONS)}",
            )
        return value

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Self:
        if self.action is WriteAction.CANCEL_ORDER and self.reason is None:
            raise _words("reason_needed", "для cancel_order нужна причина: reason")
        low, high = _REPORT_MESSAGE
        if self.action is WriteAction.REPORT_PROGRESS and (
            self.progress is None or not low <= len(self.message.strip()) <= high
        ):
            raise _words(
                "progress_needed", f"для report_progress нужны progress и message от {low} до {high} знаков"
            )
        return self


class MappingIn(Exact):
    """How a connection's leads and contacts are shaped, and what may come back. Left out: as without a mapping."""

    model_config = ConfigDict(json_schema_extra={"examples": [MAPPING_EXAMPLE]})

    kinds: list[LeadKind] = Field(
        default_factory=lambda: list(LeadKind), max_length=2, description="Which become leads at all."
    )
    stages: dict[str, CrmWord] = Field(
        default_factory=dict,
        description=f"Status → stage of the CRM, or `{KEEP}`: the lead stays where it stands. Statuses: "
        f"{', '.join(STAGE_WORDS)}; the finer one counts first. Without an entry the connection's settings decide.",
    )
    templates: TemplatesIn = Field(default_factory=TemplatesIn)
    responsible: list[ResponsibleIn] = Field(default_factory=list, max_length=50)
    tags: list[TagsIn] = Field(default_factory=list, max_length=50)
    protect: ProtectIn = Field(default_factory=ProtectIn)
    currency: CurrencyIn | None = None
    finals_are_final: bool = Field(
        True, description="A lead won or lost in the CRM is not moved out of there."
    )
    respects_people: bool = Field(
        True, description="A stage set by a person is left for a later or a final one only."
    )
    notes: NotesIn = Field(default_factory=NotesIn)
    back: list[BackIn] = Field(default_factory=list, max_length=50)

    @field_validator("stages")
    @classmethod
    def _statuses_are_known(cls, value: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(value.keys() - set(STAGE_WORDS)):
            raise _words(
                "unknown_status", f"нет статусов {', '.join(unknown)[:200]}; есть {', '.join(STAGE_WORDS)}"
            )
        return value

    @field_validator("back")
    @classmethod
    def _a_stage_causes_one_thing(cls, value: list[BackIn]) -> list[BackIn]:
        stages = [one.stage for one in value]
        if len(set(stages)) < len(stages):
            raise _words("stage_twice", "у одного этапа может быть только одно действие")
        return value

    def domain(self) -> CrmMapping:
        return CrmMapping(
            kinds=frozenset(self.kinds),
            stages=dict(self.stages),
            templates=Templates(self.templates.name, self.templates.description, self.templates.note),
            responsible=tuple(Responsible(one.user_id, one.when.domain()) for one in self.responsible),
            tags=tuple(Tags(tuple(one.tags), one.when.domain()) for one in self.tags),
            protection=Protection(
                _parts(self.protect.lead), _parts(self.protect.contact), self.protect.changed_by_person
            ),
            currency=None
            if self.currency is None
            else Currency(self.currency.code, dict(self.currency.rates)),
            finals_are_final=self.finals_are_final,
            respects_people=self.respects_people,
            notes=Notes(self.notes.messages, self.notes.order_events),
            back=tuple(
                Back(one.stage, one.action, one.reason, one.message.strip(), one.progress)
                for one in self.back
            ),
        )

    def kept(self) -> dict[str, Any]:
        """For the row: what was said, without what was left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


class StageOut(BaseModel):
    """A stage as the CRM names it."""

    id: str
    name: str
    pipeline: str | None
    is_won: bool
    is_lost: bool


class MappingOut(BaseModel):
    """The mapping, and the stages it may name."""

    connection_id: UUID
    mapping: MappingIn
    stages: list[StageOut] | None = Field(
        description="With `stages=true`, where the CRM tells them, in its order; else null."
    )


class MoveOut(BaseModel):
    """A person's move in the CRM and what became of it on Kwork."""

    id: UUID
    order: str = Field(examples=["order-5512345"])
    stage: str
    changed_at: datetime | None = Field(description="By the CRM's clock; null: it does not tell.")
    action: WriteAction
    state: Literal["wanted", "asked", "refused"] = Field(
        description="`wanted`: not in the ledger yet (`code` tells what stands in its way); `asked`: see the write."
    )
    write_id: UUID | None
    write_state: WriteState | None
    code: str | None
    reason: str | None
    seen_at: datetime


class MoveQuery(PageQuery):
    """``GET crm/connection/{id}/moves``."""

    open: bool = Field(False, description="Only those a person should look at.")


class PreviewIn(Exact):
    """One of `sample`, `order`, `project`."""

    sample: bool = Field(False, description="A made-up order with everything.")
    order: Line | None = Field(
        None, max_length=40, description="`order-123` or the number.", examples=["order-5512345"]
    )
    project: Line | None = Field(None, max_length=40, description="`project-123` or the number.")
    mapping: MappingIn | None = Field(None, description="Tried in place of the kept one; not kept.")
    lookup: bool = Field(
        False,
        description="Ask the CRM for what the requests depend on (reading alone). Without it nothing is asked.",
    )

    @model_validator(mode="after")
    def _says_of_what(self) -> Self:
        if sum((self.sample, self.order is not None, self.project is not None)) != 1:
            raise _words("one_of", "нужно одно из трёх: sample, order, project")
        return self


class DifferenceOut(BaseModel):
    """A field that the next sending changes. `before` null: nothing was sent yet."""

    field: str
    before: Any
    after: Any


class CrmRequestOut(BaseModel):
    """A request as it would be sent; secrets are not in it."""

    method: str
    url: str
    body: Any


class RecordPreviewOut(BaseModel):
    """What would happen to one record."""

    entity: Literal["contact", "lead"]
    external_id: str
    action: Literal["create", "update", "skip"]
    reason: str | None = Field(description="Why it is skipped, or what could not be told.")
    code: str | None = Field(description="The same in a stable word.")
    crm_id: str | None
    record: dict[str, Any] = Field(description="After the mapping.")
    differences: list[DifferenceOut]
    requests: list[CrmRequestOut]


class PreviewOut(BaseModel):
    """Nothing was sent."""

    connection_id: UUID
    records: list[RecordPreviewOut]


def _parts(names: list[Any]) -> frozenset[RecordField]:
    return frozenset(RecordField(name) for name in names)


def _kopecks(roubles: Decimal | None) -> int | None:
    return None if roubles is None else int(roubles * 100)


def _words(code: str, words: str) -> PydanticCustomError:
    """The words come out as they are, braces and all."""
    return PydanticCustomError(code, "{words}", {"words": words})
