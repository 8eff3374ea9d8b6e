"""Settings of one tenant's native connection; every variant of the contract is reached from here.

The defaults are the contract itself (``docs/crm-contract.yaml``).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from app.crm.roots import root_of
from app.domain.crm import LeadStatus

HeaderValue = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=128)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)]
Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~/-]*$", max_length=200)]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Renames = dict[str, FieldName | None]
"""The contract's field name -> the name on the wire; None: the field is not sent."""

LEAD_FIELDS = frozenset(
    {
        "name",
        "description",
        "budget",
        "currency",
        "source",
        "external_id",
        "status",
        "contact_id",
        "url",
        "deadline",
        "metadata",
        "probability",
        "responsible_id",
        "tags",
    }
)
CONTACT_FIELDS = frozenset(
    {
        "name",
        "first_name",
        "last_name",
        "email",
        "phone",
        "source",
        "external_id",
        "url",
        "metadata",
        "responsible_id",
        "tags",
    }
)


class NativeSettings(BaseModel):
    """One connection to a native CRM."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str = Field(
        max_length=500, description="Address of the CRM, with or without /api/v1 at its end."
    )
    api_key: SecretStr = Field(description="The CRM's key for this service; sent as `X-API-Key`.")
    tenant_id: HeaderValue = Field(description="The tenant's id in the CRM; sent as `X-Tenant-ID`.")
    user_id: HeaderValue | None = Field(
        default=None, description="Sent as `X-User-ID` where the CRM demands it."
    )
    api_key_header: HeaderName = "X-API-Key"
    tenant_header: HeaderName = "X-Tenant-ID"
    user_header: HeaderName = "X-User-ID"

    lead_shape: Literal["lead", "opportunity"] = Field(
        default="lead",
        description="`opportunity`: /opportunities with `amount`, `stage` (PROSPECTING … CLOSED_WON, "
        "CLOSED_LOST) and `probability` in place of `budget` and `status`.",
    )
    contact_names: Literal["full", "split"] = Field(
        default="full", description="`split`: `first_name` and `last_name` in place of `name`."
    )
    naming: Literal["snake", "camel"] = Field(
        default="snake",
        description="`camel`: field names and the look-up parameter in camelCase (`externalId`).",
    )
    update_method: Literal["PATCH", "PUT"] = "PATCH"
    lead_path: Path | None = Field(default=None, description="Overrides `leads` / `opportunities`.")
    contact_path: Path = "contacts"
    health_path: Path | None = Field(default="health", description="From the CRM's root; null: not checked.")
    tenant_path: Path | None = Field(default="tenants", description="From /api/v1; null: not checked.")
    lead_fields: Renames = Field(
        default_factory=dict,
        description="Other names for lead fields, by the contract's name; null: the field is not sent.",
    )
    contact_fields: Renames = Field(default_factory=dict, description="The same for contact fields.")
    statuses: dict[LeadStatus, str] = Field(
        default_factory=dict, description="Other words for statuses (or stages), by the contract's word."
    )
    id_field: FieldName = Field(default="id", description="Where a record carries the CRM's id.")
    list_key: FieldName | None = Field(
        default=None,
        description="Where a list answer keeps its records. null: a bare list, `items`, `data` or the "
        "resource's name.",
    )
    lookup: bool = Field(
        default=True,
        description="false: this CRM cannot filter by external_id; then our own link table is the only key.",
    )
    lookup_param: FieldName | None = Field(default=None, description="Overrides the parameter's name.")

    calls_per_second: float = Field(
        default=0, ge=0, le=1000, description="What the CRM allows; 0: it names no limit."
    )
    calls_at_once: int = Field(default=1, ge=1, le=1000, description="After a rest, without waiting.")
    total_timeout_seconds: float = Field(default=15.0, gt=0, le=120, description="For one whole exchange.")
    max_answer_bytes: int = Field(
        default=1_048_576, ge=1_024, le=16_777_216, description="After decompression."
    )
    max_connections: int = Field(default=20, ge=1, le=100)
    keepalive_seconds: float = Field(default=4.0, ge=0, le=60, description="Keep below the CRM's own.")

    @field_validator("base_url")
    @classmethod
    def _only_scheme_host_and_path(cls, value: str) -> str:
        return root_of(value, ending="/api/v1")

    @field_validator("api_key")
    @classmethod
    def _key_fits_a_header(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if not 0 < len(key) <= 1000 or not all("!" <= character <= "~" for character in key):
            raise ValueError("нужно от 1 до 1000 печатных символов ASCII без пробелов")
        return value

    @field_validator("lead_fields", "contact_fields")
    @classmethod
    def _renames_name_known_fields(cls, value: Renames, info: ValidationInfo) -> Renames:
        unknown = value.keys() - (LEAD_FIELDS if info.field_name == "lead_fields" else CONTACT_FIELDS)
        if unknown:
            raise ValueError(f"таких полей нет: {', '.join(sorted(unknown))}")
        return value

    @field_validator("lead_path", "contact_path", "health_path", "tenant_path")
    @classmethod
    def _path_stays_below_the_root(cls, value: str | None) -> str | None:
        if value is not None and not all(part.strip(".") for part in value.split("/")):
            raise ValueError("нужны имена через /, без . и ..")
        return value

    @property
    def address(self) -> str:
        """What the connection calls, without any secret."""
        return self.base_url

    @property
    def secrets_go_to(self) -> tuple[object, ...]:
        """Where the key is sent: when it changes, the key must be given again."""
        return self.base_url, self.api_key_header.lower()

    @property
    def leads(self) -> str:
        """Path of leads below /api/v1."""
        if self.lead_path is not None:
            return self.lead_path
        return "opportunities" if self.lead_shape == "opportunity" else "leads"
