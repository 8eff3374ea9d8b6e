"""The CRMs this service can speak to: one line a kind. The contract suite runs over this table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from app.crm.bitrix24 import Bitrix24Connector, Bitrix24Settings
from app.crm.guarded import GuardedTransport
from app.crm.native import NativeConnector, NativeSettings
from app.crm.profile import ProfileSettings, profile_connector
from app.domain.crm import CrmConnector
from app.outside.addresses import AddressGuard


@dataclass(frozen=True, slots=True)
class CrmKind:
    """How a kind of CRM is set up and built."""

    settings_model: type[BaseModel]
    build: Callable[..., CrmConnector]


CRM_KINDS: Final[Mapping[str, CrmKind]] = {
    "bitrix24": CrmKind(Bitrix24Settings, Bitrix24Connector),
    "native": CrmKind(NativeSettings, NativeConnector),
    "profile": CrmKind(ProfileSettings, profile_connector),
}


def check_settings(kind: str, settings: Mapping[str, object]) -> None:
    """Raises pydantic's ``ValidationError`` (without values) for settings that do not fit."""
    CRM_KINDS[kind].settings_model.model_validate(settings)


def build_connector(
    kind: str, settings: Mapping[str, object], *, guard: AddressGuard | None = None
) -> CrmConnector:
    """A fresh connector of one tenant; with a ``guard`` where the tenant chose the address. Raises ``KeyError``
    for an unknown kind and pydantic's ``ValidationError`` (without values) for settings that do not fit."""
    entry = CRM_KINDS[kind]
    model = entry.settings_model.model_validate(settings)
    return entry.build(model) if guard is None else entry.build(model, transport=GuardedTransport(guard))
