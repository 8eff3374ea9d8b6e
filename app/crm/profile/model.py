"""What a profile may say (``docs/crm-profile.md``). Structure only: templates and queries are checked by ``compiled``."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app.crm.profile.faults import worded
from app.domain.crm import LeadStatus

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=64)]
PathText = Annotated[str, Field(pattern=r"^/", max_length=2000)]
"""A template of what follows the CRM's root address, with its query."""
QueryText = Annotated[str, Field(min_length=1, max_length=500)]
StageId = str | int
StatusPattern = Annotated[str, Field(pattern=r"^[1-5](xx|[0-9][0-9])$")]
Means = Literal["created", "exists", "retry", "throttled", "refused", "blocked", "auth", "unclear"]

_OURS: Final = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


class Part(BaseModel):
    """A typing error in a name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Answer(Part):
    """Which answer means what; the first rule that fits is taken, ``match`` looks into its JSON."""

    status: list[StatusPattern] = Field(min_length=1)
    match: QueryText | None = None
    means: Means

    @field_validator("status", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        many = value if isinstance(value, list) else [value]
        return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in many]


class Create(Part):
    """``id`` and ``key`` are read out of the answer, and out of one that means ``exists``."""

    method: Literal["POST", "PUT"] = "POST"
    path: PathText
    body: JsonValue
    id: QueryText = "id"
    key: QueryText | None = None
    look_first: bool = False
    read_back: bool = False
    answers: list[Answer] = Field(default_factory=list, max_length=30)


class Update(Part):
    """Without a body of its own it sends the one of ``create``."""

    method: Literal["PATCH", "PUT", "POST"] = "PATCH"
    path: PathText
    body: JsonValue = None
    id: QueryText | None = None
    answers: list[Answer] = Field(default_factory=list, max_length=30)


class Page(Part):
    size: int = Field(ge=1, le=1000)
    most: int = Field(default=10, ge=1, le=100)
    first: int = Field(default=1, ge=0, le=1)


class Find(Part):
    """``rows`` gives the list; ``id`` and ``key`` are read out of a row. The key is compared here, always."""

    path: PathText
    rows: QueryText = "@"
    id: QueryText = "id"
    key: QueryText
    page: Page | None = None


class Read(Part):
    """One record by the CRM's id."""

    path: PathText
    id: QueryText = "id"
    key: QueryText | None = None


class ReadLead(Read):
    stage: QueryText | None = None
    changed_at: QueryText | None = None


class Resource(Part):
    create: Create
    update: Update
    find: Find | None = None
    read: Read | None = None

    @model_validator(mode="after")
    def _what_needs_another(self) -> "Resource":
        if self.create.look_first and self.find is None:
            raise worded("needs_find", "create.look_first требует find")
        if self.create.read_back and (self.read is None or self.read.key is None):
            raise worded("needs_read", "create.read_back требует read с key")
        return self


class LeadResource(Resource):
    read: ReadLead | None = None


class NoteRequest(Part):
    path: PathText
    body: JsonValue
    id: QueryText | None = None
    answers: list[Answer] = Field(default_factory=list, max_length=30)


class Look(Part):
    path: PathText
    found: QueryText


class Make(Part):
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    path: PathText
    body: JsonValue
    answers: list[Answer] = Field(default_factory=list, max_length=30)


class SetUpStep(Part):
    """Made once where ``look`` does not find it; leads go only when everything is found."""

    name: Label
    look: Look
    make: Make


class CheckStep(Part):
    name: Label
    path: PathText
    expect: QueryText | None = None
    otherwise: Label = "ответ CRM не тот, которого ждёт профиль"


class Stage(Part):
    id: StageId
    name: Label
    pipeline: Label | None = None
    won: bool = False
    lost: bool = False


class Rate(Part):
    per_second: float = Field(gt=0, le=1000)
    burst: int = Field(default=1, ge=1, le=1000)


class Value(Part):
    label: Label
    default: str | int | None = None


class Profile(Part):
    """A CRM described."""

    version: Literal[1]
    name: Label
    base_url: str | None = Field(default=None, max_length=500)
    address_ending: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$", max_length=100)
    secrets: dict[Name, Label] = Field(default_factory=dict, max_length=10)
    values: dict[Name, Value] = Field(default_factory=dict, max_length=20)
    headers: dict[HeaderName, str] = Field(default_factory=dict, max_length=20)
    secret_headers: dict[HeaderName, str] = Field(default_factory=dict, max_length=10)
    secret_path: PathText | None = None
    rate: Rate | None = None
    stages: list[Stage] = Field(default_factory=list, max_length=200)
    statuses: dict[str, StageId] = Field(default_factory=dict)
    answers: list[Answer] = Field(default_factory=list, max_length=50)
    lead: LeadResource
    contact: Resource
    note: NoteRequest | None = None
    set_up: list[SetUpStep] = Field(default_factory=list, max_length=20)
    check: list[CheckStep] = Field(default_factory=list, max_length=10)

    @field_validator("headers", "secret_headers")
    @classmethod
    def _headers_that_are_not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := sorted(name for name in value if name.lower() in _OURS):
            raise worded("header_taken", "этими заголовками ведает сам сервис: " + ", ".join(taken))
        return value

    @model_validator(mode="after")
    def _steps_have_names_of_their_own(self) -> "Profile":
        names = [*(step.name for step in self.check), *(step.name for step in self.set_up), "lookup"]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise worded("same_name", f"в check и set_up есть шаги с одним именем: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _stages_are_known(self) -> "Profile":
        words = [status.value for status in LeadStatus]
        if unknown := sorted(self.statuses.keys() - set(words)):
            raise _unknown_stage(f"нет таких статусов: {', '.join(unknown)}; есть {', '.join(words)}")
        if self.statuses and (missing := [word for word in words if word not in self.statuses]):
            raise _unknown_stage(f"не сказано, какой этап у статусов {', '.join(missing)}")
        there = [stage.id for stage in self.stages]
        if there and (unknown := sorted({str(one) for one in self.statuses.values() if one not in there})):
            raise _unknown_stage(
                f"этапов {', '.join(unknown)} нет в stages; есть {', '.join(map(str, there))}"
            )
        return self


def _unknown_stage(words: str) -> PydanticCustomError:
    return worded("unknown_stage", f"statuses: {words}")
