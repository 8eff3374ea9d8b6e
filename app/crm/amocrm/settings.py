"""Settings of one tenant's amoCRM connection."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from app.domain.crm import LeadStatus

_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"[0-9a-zA-Z_-]{1,63}(\.[0-9a-zA-Z_-]{1,63})*", re.ASCII)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StageRef = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^([0-9]{1,18}/)?[0-9]{1,18}$")]
"""``stage`` or ``pipeline/stage``; the second is how ``CrmStage.id`` names it."""
KeyField = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^([0-9]{1,18}|[A-Z][A-Z0-9_]{0,63})$")]
"""A custom field's id (digits) or code."""
Id = Annotated[int, Field(gt=0, le=10**18)]

_MODEL = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OAuthSettings(BaseModel):
    """Access by OAuth2. ``code`` or ``refresh_token`` starts it; afterwards the kept tokens count."""

    model_config = _MODEL

    client_id: str = Field(min_length=1, max_length=200, description="ID of the integration.")
    client_secret: SecretStr = Field(description="Secret key of the integration.")
    redirect_uri: str = Field(max_length=500, description="As it stands in the integration.")
    code: SecretStr | None = Field(
        default=None, description="Authorization code; amoCRM takes it once and for 20 minutes."
    )
    refresh_token: SecretStr | None = Field(default=None, description="amoCRM takes it once.")

    @model_validator(mode="after")
    def _starts_with_one_secret(self) -> Self:
        if (self.code is None) == (self.refresh_token is None):
            raise ValueError("нужно одно из двух: code или refresh_token")
        return self


class AmoSettings(BaseModel):
    """One connection to amoCRM or Kommo."""

    model_config = _MODEL

    base_url: str = Field(
        max_length=500,
        description="`https://mycompany.amocrm.ru`, or the subdomain alone: `mycompany`. For Kommo the whole "
        "address.",
    )
    api_key: SecretStr | None = Field(default=None, description="Long-lived token of a private integration.")
    oauth: OAuthSettings | None = Field(default=None, description="In place of the long-lived token.")

    pipeline_id: Id | None = Field(default=None, description="Where new leads go; null: the main pipeline.")
    statuses: dict[LeadStatus, StageRef] = Field(
        default_factory=dict,
        description="Our status -> `stage` or `pipeline/stage`. Without an entry `won` is 142, `lost` 143, and "
        "any other status leaves the lead where it stands.",
    )
    responsible_user_id: Id | None = Field(
        default=None, description="Who gets new leads and contacts. Later changes by people stay."
    )
    tags: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=("Kwork",), max_length=10, description="Put on new leads and contacts."
    )
    lead_key_field: KeyField = Field(
        default="KWORK_ID", description="Custom text field for our key: its code (made if missing) or its id."
    )
    contact_key_field: KeyField = "KWORK_ID"
    key_prefix: str = Field(
        default="",
        max_length=120,
        description="Put before our keys, so that several tenants can share an account without sharing records.",
    )
    details: bool = Field(
        default=True,
        description="Link, deadline, description and other data of Kwork go into custom fields of their own.",
    )
    currency: str = Field(
        default="RUB",
        pattern=r"^[A-Z]{3}$",
        description="Of the account. A lead in another currency has its price in a text field only.",
    )
    look_before_create: bool = Field(
        default=True,
        description="Asks for the key before each single create, so that records of an earlier connection are "
        "taken over; one call more. Batches never ask.",
    )

    calls_per_second: float = Field(default=7.0, gt=0, le=1000, description="amoCRM allows 7.")
    total_timeout_seconds: float = Field(default=20.0, gt=0, le=120, description="For one whole exchange.")
    max_answer_bytes: int = Field(default=4_194_304, ge=1_024, le=16_777_216)
    max_connections: int = Field(default=8, ge=1, le=100)
    keepalive_seconds: float = Field(default=4.0, ge=0, le=60)

    @field_validator("base_url")
    @classmethod
    def _only_scheme_and_host(cls, value: str) -> str:
        text = value.strip()
        if _SUBDOMAIN.fullmatch(text.lower()):
            return f"https://{text.lower()}.amocrm.ru"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port = "", None
        if not _HOST.fullmatch(host) or parts.scheme not in ("http", "https") or port == 0:
            raise ValueError("нужен адрес вида https://mycompany.amocrm.ru или только mycompany")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("в адресе не должно быть имени, пароля, ? и #")
        if parts.path.strip("/") not in ("", "api/v4"):
            raise ValueError("в адресе не должно быть пути")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("api_key")
    @classmethod
    def _key_fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key = value.get_secret_value()
            if not 0 < len(key) <= 4000 or not all("!" <= character <= "~" for character in key):
                raise ValueError("нужно от 1 до 4000 печатных символов ASCII без пробелов")
        return value

    @model_validator(mode="after")
    def _has_one_access(self) -> Self:
        if (self.api_key is None) == (self.oauth is None):
            raise ValueError("нужно одно из двух: долгосрочный токен (api_key) или oauth")
        return self

    @property
    def address(self) -> str:
        """What the connection calls, without any secret."""
        return self.base_url

    @property
    def secrets_go_to(self) -> tuple[object, ...]:
        """Where token and secret key are sent: when it changes, they must be given again."""
        return self.base_url, None if self.oauth is None else self.oauth.client_id

    def stage(self, status: LeadStatus) -> tuple[int | None, int | None]:
        """Pipeline and stage of a status; a None is not sent.

        142 and 143 mean won and lost in every pipeline [doc].
        """
        closed = {LeadStatus.WON: "142", LeadStatus.LOST: "143"}
        ref = self.statuses.get(status, closed.get(status))
        if ref is None:
            return None, None
        pipeline, _, stage = ref.rpartition("/")
        return (int(pipeline) if pipeline else self.pipeline_id), int(stage)
