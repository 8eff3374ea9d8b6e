"""Settings of one tenant's Bitrix24 connection."""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from app.domain.crm import LeadStatus

StageId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_:]+$", max_length=50)]
UserField = Annotated[str, Field(pattern=r"^UF_CRM_[A-Z0-9_]{1,13}$")]
"""At most 20 characters with the prefix [doc crm.deal.userfield.add]."""
DetailName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]

_HOST: Final = re.compile(r"[0-9a-zA-Z_:-]{1,63}(\.[0-9a-zA-Z_-]{1,63})*")
_WEBHOOK: Final = re.compile(
    r"(?P<root>(?:/[A-Za-z0-9._~-]+)*?/rest/[1-9][0-9]*/(?P<secret>[A-Za-z0-9_-]+))(/.*)?"
)


class Bitrix24Settings(BaseModel):
    """One connection to a portal."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    webhook_url: SecretStr = Field(
        description="Address of an incoming webhook with the right `crm`, as the portal shows it: "
        "https://example.bitrix24.ru/rest/1/secret/. The secret is part of the address."
    )
    entity: Literal["auto", "lead", "deal"] = Field(
        default="auto",
        description="What orders and projects become. `auto`: leads, or deals where the portal works without "
        "leads (simple CRM).",
    )
    project_entity: Literal["lead", "deal"] | None = Field(
        default=None,
        description="What projects become where that is something else than orders: leads, while orders are deals. Needs "
        "`entity` to say lead or deal.",
    )
    category_id: int = Field(default=0, ge=0, description="Funnel of new deals; 0: the general one.")
    statuses: dict[LeadStatus, StageId | None] = Field(
        default_factory=dict,
        description="Stage of the portal for each status of ours (`NEW`, `C9:WON`); null: leaves the stage as it is.",
    )
    project_statuses: dict[LeadStatus, StageId | None] = Field(
        default_factory=dict,
        description="As `statuses`, of what projects become where that is something else.",
    )
    assigned_by_id: int | None = Field(
        default=None, ge=1, description="Responsible user of new records; null: the webhook's owner."
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="Instead of the order's own currency; sums are not converted."
    )
    source_id: StageId | None = Field(
        default=None, description="`STATUS_ID` from the portal's list of sources; null: the portal's default."
    )
    originator: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:@-]+$", max_length=120)] = Field(
        default="KWORK",
        description="Mark of our records (`originatorId`). Two connections to one portal need two marks.",
    )
    custom_fields: dict[DetailName, UserField] = Field(
        default_factory=dict,
        max_length=30,
        description="User fields of leads or deals for `url`, `deadline` and details of an order, by name: "
        '{"url": "UF_CRM_KWORK_URL"}. The set-up makes those that are missing.',
    )
    overwrite_comments: bool = Field(
        default=False,
        description="true: each update writes the description into `comments` again. false: only a new record "
        "gets it, so that what people write there stays.",
    )
    link_contacts: bool = Field(
        default=True,
        description="A single contact with the same phone or e-mail and without another system's mark becomes "
        "the buyer's contact instead of a new one.",
    )
    plan: Literal["standard", "enterprise"] = Field(
        default="standard", description="2 calls a second and 50 at once, or 5 and 250."
    )

    batch_size: int = Field(default=20, ge=1, le=50, description="Leads in one `batch` call.")
    total_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        le=300,
        description="For one whole exchange; a `batch` takes as long as its calls.",
    )
    max_answer_bytes: int = Field(
        default=4_194_304, ge=1_024, le=16_777_216, description="After decompression."
    )
    max_connections: int = Field(default=8, ge=1, le=50)
    keepalive_seconds: float = Field(default=4.0, ge=0, le=60, description="Keep below the portal's own.")

    @field_validator("webhook_url")
    @classmethod
    def _a_webhook(cls, value: SecretStr) -> SecretStr:
        """Keeps the address up to the secret: people paste a sample call with its method."""
        parts = urlsplit(value.get_secret_value().strip())
        found = _WEBHOOK.fullmatch(parts.path)
        if not parts.hostname or found is None or parts.username or parts.password:
            raise ValueError("нужен адрес входящего вебхука вида https://example.bitrix24.ru/rest/1/код/")
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
            raise ValueError("адрес вебхука должен начинаться с https://: в нём секрет")
        root = f"{parts.scheme}://{parts.netloc}{found['root']}"
        if not _HOST.fullmatch(_host(parts, root)):
            raise ValueError("в адресе нет имени машины")
        return SecretStr(root)

    @model_validator(mode="after")
    def _two_kinds_are_named(self) -> Self:
        if self.project_entity is not None and self.entity == "auto":
            raise ValueError("с project_entity укажите и entity: lead или deal")
        return self

    @property
    def address(self) -> str:
        """What the connection calls, without any secret."""
        parts = urlsplit(self.webhook_url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}/"

    @property
    def secrets_go_to(self) -> tuple[object, ...]:
        """The secret is the address itself: nothing else decides where it goes."""
        return ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be told: the address and the secret in it."""
        address = self.webhook_url.get_secret_value()
        return address, address.rpartition("/")[2]


def _host(parts: SplitResult, root: str) -> str:
    try:
        return "" if parts.port == 0 else httpx2.URL(root).raw_host.decode("ascii")
    except (ValueError, httpx2.InvalidURL):
        return ""


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
