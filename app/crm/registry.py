"""The CRMs this service can speak to: one line a kind. The contract suite runs over this table."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from app.core.pace import Pace
from app.crm.amocrm import AmoConnector, AmoSettings
from app.crm.amocrm import events as amocrm_events
from app.crm.bitrix24 import Bitrix24Connector, Bitrix24Settings
from app.crm.bitrix24 import events as bitrix24_events
from app.crm.guarded import GuardedTransport
from app.crm.http import PacedTransport
from app.crm.native import NativeConnector, NativeSettings
from app.crm.native import events as native_events
from app.crm.profile import ProfileSettings, profile_connector
from app.crm.profile import events as profile_events
from app.domain.crm import CallRate, CrmConnector, HasCallRate
from app.domain.tokens import TokenKeeper
from app.outside.addresses import AddressGuard

Pacing = Callable[[str, CallRate], Callable[[], Awaitable[None]]]
"""Of the name of a limit and its rate: what is awaited before each call."""


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
    limited_by: Callable[..., str]
    """Of settings: whose calls the vendor counts together. Connections that answer alike share one limit."""
    place: Callable[..., str]
    """Of settings: which CRM it is, and by what mark our records are known there. Connections that answer alike would
    take each other's records for their own. Holds secrets where only these tell the CRM's tenants apart."""
    leads_named: Callable[[Mapping[str, object]], set[str] | None]
    """Of an event that the CRM tells us, decoded and believed nothing: the leads it names by their ids there; None: it
    does not say which."""
    keeps_tokens: bool = False


_OF_AMOCRM = ("api_key", "oauth.client_secret", "oauth.code", "oauth.refresh_token")


def _integration(settings: AmoSettings) -> str:
    """7 a second per integration [doc]; a long-lived token belongs to one."""
    oauth, key = settings.oauth, settings.api_key
    named = oauth.client_id if oauth is not None else key.get_secret_value() if key is not None else ""
    return f"{settings.base_url} {named}"


def _portal(settings: Bitrix24Settings) -> str:
    """Per portal and address of the caller [doc limits], whatever the webhook."""
    return urlsplit(settings.webhook_url.get_secret_value()).netloc


def _key(settings: NativeSettings) -> str:
    return f"{settings.base_url} {settings.api_key.get_secret_value()}"


def _profiled(settings: ProfileSettings) -> str:
    return " ".join((settings.root, *sorted(settings.secret_texts.values())))


def _amo_account(settings: AmoSettings) -> str:
    return f"{_host(settings.base_url)} {settings.key_prefix}"


def _bitrix_portal(settings: Bitrix24Settings) -> str:
    return f"{_portal(settings).lower()} {settings.originator}"


def _tenant_of_crm(settings: NativeSettings) -> str:
    return f"{_host(settings.base_url)} {settings.tenant_id}"


def _described_crm(settings: ProfileSettings) -> str:
    known_by = sorted(settings.given.items()), sorted(settings.secret_texts.items()), settings.key_prefix
    return f"{_host(settings.root)} {known_by}"


def _host(address: str) -> str:
    """Without the scheme, so that http and https are one place."""
    parts = urlsplit(address)
    return f"{parts.netloc.lower()}{parts.path}"


CRM_KINDS: Final[Mapping[str, CrmKind]] = {
    "amocrm": CrmKind(
        AmoSettings,
        _OF_AMOCRM,
        AmoConnector,
        _integration,
        _amo_account,
        amocrm_events.leads_named,
        keeps_tokens=True,
    ),
    "bitrix24": CrmKind(
        Bitrix24Settings,
        ("webhook_url",),
        Bitrix24Connector,
        _portal,
        _bitrix_portal,
        bitrix24_events.leads_named,
    ),
    "native": CrmKind(
        NativeSettings, ("api_key",), NativeConnector, _key, _tenant_of_crm, native_events.leads_named
    ),
    "profile": CrmKind(
        ProfileSettings,
        ("secrets.*",),
        profile_connector,
        _profiled,
        _described_crm,
        profile_events.leads_named,
    ),
}


def check_settings(kind: str, settings: Mapping[str, object]) -> None:
    """Raises pydantic's ``ValidationError`` (without values) for settings that do not fit."""
    CRM_KINDS[kind].settings_model.model_validate(settings)


def place_of(tenant_id: str, kind: str, settings: ConnectionSettings) -> str:
    """Which CRM these settings mean, as a fingerprint: two connections of a tenant have the same one when they mean the
    same CRM and the same records in it."""
    told = f"{tenant_id}\0{kind}\0{CRM_KINDS[kind].place(settings)}"
    return hashlib.sha256(told.encode()).hexdigest()


def build_connector(
    kind: str,
    settings: Mapping[str, object],
    keeper: TokenKeeper | None = None,
    *,
    guard: AddressGuard | None = None,
    pacing: Pacing | None = None,
) -> CrmConnector:
    """A fresh connector of one tenant; with a ``guard`` where the tenant chose the address. Every call waits for its
    turn by ``pacing`` where the vendor names a rate; without it this connector alone keeps to the rate. Raises ``KeyError``
    for an unknown kind, pydantic's ``ValidationError`` (without values) for settings that do not fit, and plain
    ``ValueError`` where they need a ``keeper`` of OAuth tokens and none is given."""
    entry = CRM_KINDS[kind]
    model = entry.settings_model.model_validate(settings)
    own = {"keeper": keeper} if entry.keeps_tokens else {}
    way_out = PacedTransport(GuardedTransport(guard) if guard is not None else None)
    connector = entry.build(model, **own, transport=way_out)
    if isinstance(connector, HasCallRate):
        limit = hashlib.sha256(entry.limited_by(model).encode()).hexdigest()
        way_out.turn = (pacing or _alone)(f"crm:{kind}:{limit}", connector.call_rate)
    return connector


def _alone(name: str, rate: CallRate) -> Callable[[], Awaitable[None]]:
    return Pace(None, name, rate=rate.per_second, burst=rate.burst)
