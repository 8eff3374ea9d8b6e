"""Settings of one tenant's connection by profile: the profile, and beside it what it only names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator

from app.crm.profile.compiled import ready
from app.crm.profile.faults import faults, worded
from app.crm.profile.parts import ReadyProfile
from app.crm.profile.reading import MOST_BYTES, preset_names
from app.crm.roots import root_of
from app.crm.templates.language import Refused
from app.crm.templates.rendering import TemplateFailed, TextTemplate

Text = Annotated[str, Field(max_length=500)]


class ProfileSettings(BaseModel):
    """One connection to a CRM that a profile describes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    profile: str | None = Field(
        default=None, max_length=MOST_BYTES, description="The profile, YAML (docs/crm-profile.md)."
    )
    preset: str | None = Field(
        default=None, max_length=100, description="The name of a ready-made profile; instead of `profile`."
    )
    base_url: str | None = Field(
        default=None, max_length=500, description="Address of the CRM; null: the one the profile names."
    )
    secrets: dict[str, SecretStr] = Field(default_factory=dict, description="By the names in the profile.")
    values: dict[str, Text | int] = Field(default_factory=dict, description="By the names in the profile.")

    key_prefix: str = Field(
        default="",
        pattern=r"^[!-~]*$",
        max_length=100,
        description="Before every key, where tenants share one account of the CRM.",
    )

    total_timeout_seconds: float = Field(default=15.0, gt=0, le=120, description="For one whole exchange.")
    max_answer_bytes: int = Field(
        default=1_048_576, ge=1_024, le=16_777_216, description="After decompression."
    )
    max_connections: int = Field(default=20, ge=1, le=100)
    keepalive_seconds: float = Field(default=4.0, ge=0, le=60, description="Keep below the CRM's own.")

    _ready: ReadyProfile = PrivateAttr()
    _root: str = PrivateAttr()

    @property
    def ready(self) -> ReadyProfile:
        return self._ready

    @property
    def root(self) -> str:
        """Scheme, host and path before every path of the profile."""
        return self._root

    @property
    def address(self) -> str:
        """What the connection calls, without any secret."""
        return self._root

    @property
    def secrets_go_to(self) -> tuple[object, ...]:
        """Where the secrets are sent, and in what: when it changes, they must be given again."""
        source = self._ready.source
        return self._root, tuple(sorted(source.secret_headers.items())), source.secret_path

    @property
    def given(self) -> dict[str, str | int]:
        """What templates see as ``values``."""
        named = self._ready.source.values
        defaults = {name: one.default for name, one in named.items() if one.default is not None}
        return {**defaults, **self.values}

    @property
    def secret_texts(self) -> dict[str, str]:
        return {name: secret.get_secret_value() for name, secret in self.secrets.items()}

    @field_validator("profile")
    @classmethod
    def _profile_is_sound(cls, value: str | None) -> str | None:
        if value is not None:
            ready(value)  # its faults come out below ``profile``
        return value

    @field_validator("secrets")
    @classmethod
    def _secrets_are_printable(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for secret in value.values():
            text = secret.get_secret_value()
            if not 0 < len(text) <= 2000 or not text.isprintable():
                raise worded("secret_shape", "секрет: от 1 до 2000 печатных символов")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "ProfileSettings":
        if (self.profile is None) == (self.preset is None):
            raise worded("profile_missing", "нужно одно из двух: profile или preset")
        if self.preset is not None and self.preset not in preset_names():
            raise worded("no_such_preset", f"preset: есть {', '.join(preset_names())}")
        self._ready = ready(self.profile or f"extends: {self.preset}")
        self._check_named("secrets", set(self._ready.source.secrets), set(self.secrets), set())
        values = self._ready.source.values
        optional = {name for name, one in values.items() if one.default is not None}
        self._check_named("values", set(values), set(self.values), optional)
        self._root = self._found_root()
        self._check_headers()
        return self

    def _found_root(self) -> str:
        address = self.base_url or self._ready.source.base_url
        if address is None:
            raise worded("base_url_missing", "base_url: нужен адрес CRM")
        try:
            return root_of(address, ending=self._ready.source.address_ending)
        except ValueError as error:
            raise worded("base_url", f"base_url: {error}") from None

    def _check_named(self, where: str, named: set[str], given: set[str], optional: set[str]) -> None:
        if missing := sorted(named - given - optional):
            raise worded(f"{where}_missing", f"{where}: не заданы {', '.join(missing)}")
        if given - named:
            there = ", ".join(sorted(named)) or "ничего"
            raise worded(f"{where}_unknown", f"{where}: задано лишнее; профиль называет {there}")

    def _check_headers(self) -> None:
        try:
            self.header_values()
        except TemplateFailed as error:
            raise worded("header_value", error.detail) from None

    def header_values(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]], str]:
        """Open headers, secret headers, and the secret beginning of every path. Raises ``TemplateFailed``."""
        values: dict[str, Any] = {"values": self.given}
        open_headers = [(name, _header(name, one, values)) for name, one in self._ready.headers]
        values["secrets"] = self.secret_texts
        secret_headers = [(name, _header(name, one, values)) for name, one in self._ready.secret_headers]
        path = self._ready.secret_path
        return open_headers, secret_headers, path.render(values).rstrip("/") if path is not None else ""


def _header(name: str, template: TextTemplate, values: dict[str, Any]) -> str:
    value = template.render(values)
    if not 0 < len(value) <= 4000 or not all(" " <= character <= "~" for character in value):
        raise TemplateFailed(f"headers.{name}", "значение заголовка — от 1 до 4000 знаков ASCII")
    return value.strip()


def named_by(given: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The secrets and the values that settings' profile asks for. Raises pydantic's ``ValidationError``."""
    source = ready(given.get("profile") or f"extends: {given.get('preset')}").source
    return list(source.secrets), list(source.values)


def profile_in(file: str) -> str:
    """The text of a profile's file. Raises pydantic's ``ValidationError`` when it cannot be read."""
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        unread = Refused(
            "profile_file", "файл профиля не читается: проверьте путь, права и кодировку (UTF-8)"
        )
        raise faults([("profile_file", unread)]) from None
