"""The CRMs this service can speak to: one line a kind. The contract suite runs over this table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from app.crm.amocrm import AmoConnector, AmoSettings
from app.crm.bitrix24 import Bitrix24Connector, Bitrix24Settings
from app.crm.guarded import GuardedTransport
from app.crm.native import NativeConnector, NativeSettings
from app.crm.profile import ProfileSettings, profile_connector
from app.domain.crm import CrmConnector
from app.domain.tokens import TokenKeeper
from app.outside.addresses import AddressGuard


class ConnectionSettings(Protocol):
    """What the settings of every kind tell."""

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...

    @property
    def address(self) -> str: ...

    @property
    def secrets_go_to(self) -> tuple[object, ...]: ...


@dataclass(frozen=True, slots=True)
class CrmKind:
    """How a kind of CRM is set up and built."""

    settings_model: type[ConnectionSettings]
    secrets: tuple[str, ...]
    """Settings that are secret, by their path; ``secrets.*``: as the connection's profile names them."""
    build: Callable[..., CrmConnector]
    """Of settings; with ``keeps_tokens`` of settings and a ``TokenKeeper | None``."""
    keeps_tokens: bool = False


_OF_AMOCRM = ("api_key", "oauth.client_secret", "oauth.code", "oauth.refresh_token")

CRM_KINDS: Final[Mapping[str, CrmKind]] = {
    "amocrm": CrmKind(AmoSettings, _OF_AMOCRM, AmoConnector, keeps_tokens=True),
    "bitrix24": CrmKind(Bitrix24Settings, ("webhook_url",), Bitrix24Connector),
    "native": CrmKind(NativeSettings, ("api_key",), NativeConnector),
    "profile": CrmKind(ProfileSettings, ("secrets.*",), profile_connector),
}


def check_settings(kind: str, settings: Mapping[str, object]) -> None:
    """Raises pydantic's ``ValidationError`` (without values) for settings that do not fit."""
    CRM_KINDS[kind].settings_model.model_validate(settings)


def build_connector(
    kind: str,
    settings: Mapping[str, object],
    keeper: TokenKeeper | None = None,
    *,
    guard: AddressGuard | None = None,
) -> CrmConnector:
    """A fresh connector of one tenant; with a ``guard`` where the tenant chose the address. Raises ``KeyError``
    for an unknown kind, pydantic's ``ValidationError`` (without values) for settings that do not fit, and plain
    ``ValueError`` where they need a ``keeper`` of OAuth tokens and none is given."""
    entry = CRM_KINDS[kind]
    model = entry.settings_model.model_validate(settings)
    own = {"keeper": keeper} if entry.keeps_tokens else {}
    guarded = {} if guard is None else {"transport": GuardedTransport(guard)}
    return entry.build(model, **own, **guarded)
