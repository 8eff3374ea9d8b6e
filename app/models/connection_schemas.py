"""What the routes of CRM connections take and give."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.connections import ConnectionMode, ConnectionOrigin
from app.models.schemas import Exact, Line, Moment, Secret
from app.models.sync_schemas import ProjectFilterIn

CrmKindName = Literal["amocrm", "bitrix24", "native", "profile"]
_MOST_SETTINGS_BYTES = 524_288


def _storable_settings(given: dict[str, Any]) -> dict[str, Any]:
    """A profile may be an object as well: JSON is YAML."""
    try:
        if isinstance(given.get("profile"), dict):
            given = {**given, "profile": json.dumps(given["profile"], ensure_ascii=False)}
        written = orjson.dumps(given)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("недопустимые символы, числа или слишком глубокая вложенность") from None
    if b"\\u0000" in written:
        raise ValueError("недопустимые символы")
    if len(written) > _MOST_SETTINGS_BYTES:
        raise ValueError(f"слишком длинное значение: допустимо не больше {_MOST_SETTINGS_BYTES} байт")
    return given


SettingsIn = Annotated[dict[str, Any], AfterValidator(_storable_settings)]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
SecretsIn = Annotated[
    dict[SecretName, Annotated[Secret, Field(min_length=1, max_length=8000)] | None], Field(max_length=20)
]

_NATIVE: JsonDict = {
    "kind": "native",
    "name": "Наша CRM",
    "settings": {"base_url": "https://crm.example.ru", "tenant_id": "studio"},
    "secrets": {"api_key": "ключ CRM"},
}
_AMOCRM: JsonDict = {
    "kind": "amocrm",
    "name": "amoCRM",
    "settings": {"base_url": "mycompany", "pipeline_id": 3177727},
    "secrets": {"api_key": "долгосрочный токен"},
}
_BITRIX24: JsonDict = {
    "kind": "bitrix24",
    "name": "Битрикс24",
    "settings": {"entity": "auto"},
    "secrets": {"webhook_url": "https://example.bitrix24.ru/rest/1/код/"},
}
_PROFILE: JsonDict = {
    "kind": "profile",
    "name": "BottleCRM",
    "settings": {"preset": "bottlecrm", "base_url": "https://crm.example.ru"},
    "secrets": {"token": "ключ CRM"},
}


class ConnectionIn(Exact):
    """A connection to a CRM. What is left out stays as it is; of a new one only `name` may be left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NATIVE, _AMOCRM, _BITRIX24, _PROFILE]})

    kind: CrmKindName | None = Field(None, description="Fixed once the connection is made.")
    name: Annotated[Line, Field(max_length=100)] | None = Field(
        None, description="By it the tenant tells its connections apart; the kind's name without it."
    )
    settings: SettingsIn | None = Field(
        None,
        description="Of the kind, as a whole and without secrets: see docs/crm-connections.md. A profile is YAML text or "
        "an object.",
    )
    secrets: SecretsIn = Field(
        default_factory=dict,
        description="Kept encrypted and never shown again. What is left out stays, `null` takes away. native: `api_key`; "
        "amocrm: `api_key`, or `oauth.client_secret` with `oauth.code` or `oauth.refresh_token`; bitrix24: "
        "`webhook_url`; profile: as the profile names them.",
    )

    same_crm: bool = Field(
        False,
        description="A changed address means the same CRM with the same records. Without it the address of a connection "
        "that has links stays (409 `connection_has_links`).",
    )


class CheckIn(ConnectionIn):
    """A connection that is not saved."""

    kind: CrmKindName


class ModeIn(Exact):
    """What goes to the CRM from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "live"}]})

    mode: ConnectionMode = Field(
        description="`preview`: nothing; `live`: everything; `paused`: it is queued, and sent when live again."
    )
    announce_from: Moment | None = Field(
        None,
        description="What appeared on Kwork earlier becomes no new lead by itself. Without it: the moment the connection "
        "first left the preview.",
    )


class CheckStepOut(BaseModel):
    """One question to the CRM."""

    name: str = Field(examples=["lookup"])
    title: str = Field(examples=["Поиск по ключу"])
    ok: bool
    detail: str = Field(description="A Russian sentence.", examples=["Записи находятся по external_id."])


class CheckOut(BaseModel):
    """What a check found; nothing was written to the CRM by it."""

    ok: bool
    at: datetime
    steps: list[CheckStepOut]


class ConnectionOut(BaseModel):
    """A connection; its secrets are never shown."""

    id: UUID
    kind: CrmKindName
    name: str
    origin: ConnectionOrigin = Field(
        description="`settings`: whoever runs the service described it (`CRM_KIND`, `CRM_API_URL`, `CRM_API_KEY`)."
    )
    mode: ConnectionMode
    address: str | None = Field(
        description="What is called, without any secret.", examples=["https://crm.example.ru"]
    )
    settings: dict[str, Any] = Field(description="Without secrets; empty for the one of the settings.")
    secrets: dict[str, bool] = Field(description="Which are set.", examples=[{"api_key": True}])
    announce_from: datetime | None = Field(
        description="What appeared on Kwork earlier becomes no new lead by itself; null: everything does."
    )
    check: CheckOut | None = Field(description="The last one.")
    set_up_at: datetime | None = Field(description="When it went live the last time.")
    created_at: datetime
    updated_at: datetime
    updated_by: str | None


class EventAddressOut(BaseModel):
    """Whether a CRM may tell of changes, and whether it does."""

    issued: bool
    issued_at: datetime | None
    issued_by: str | None
    events: int = Field(description="How many came since.")
    last_event_at: datetime | None


class EventAddressIssued(BaseModel):
    """Where the CRM is to tell of changes. The last part is a secret."""

    address: str = Field(
        description="As the service was called just now; where the CRM reaches it by another name, that one before `path`.",
        examples=["https://kwork.example.ru/api/v1/crm/events/…"],
    )
    path: str = Field(examples=["/api/v1/crm/events/…"])


class EventTaken(BaseModel):
    """The event was noted; what it is about is looked at soon."""

    ok: bool


class ConnectionDeleted(BaseModel):
    """What went with a connection. The records in the CRM stay."""

    id: UUID
    links: int = Field(
        description="Leads and contacts of the CRM that the service knew as its own, and now forgot."
    )
    deliveries: int = Field(description="Waiting and parked ones, which are not sent any more.")


class BackfillIn(Exact):
    """Which older orders and projects become leads now."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"created_after": "2026-01-01T00:00:00Z", "dry_run": True}]}
    )

    created_after: Moment
    created_before: Moment | None = Field(None, description="Now, without it.")
    kinds: Annotated[list[Literal["order", "project"]], Field(min_length=1, max_length=2)] = Field(
        default=["order"], description="`project` needs `filters`: nobody wants the whole exchange."
    )
    filters: ProjectFilterIn | None = Field(None, description="Which projects.")
    dry_run: bool = Field(False, description="Only count.")


class BackfillOut(BaseModel):
    """How many there are in the store, and what becomes of them."""

    found: int = Field(description="Orders and projects of that time.")
    linked: int = Field(description="Those of them whose lead the CRM has already.")
    queued: int = Field(
        description="Leads and contacts that wait for their delivery because of this; 0 if dry."
    )
    dry_run: bool
