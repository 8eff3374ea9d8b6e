"""The use cases behind ``crm/connection``. Who changed what stands in the audit, settings and secrets left out."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from app.core.database import Database
from app.crm.registry import place_of
from app.domain.access import Caller
from app.domain.connections import (
    CheckFailed,
    CheckReport,
    ConnectionMode,
    ConnectionOrigin,
    SettingsInvalid,
)
from app.domain.errors import Conflict, Invalid
from app.domain.tokens import TokenKeeper
from app.repositories.audit import Audit
from app.repositories.connections import (
    OF_SETTINGS,
    Connections,
    ConnectionUse,
    CrmConnection,
    connected_already,
)
from app.repositories.deliveries import Deliveries
from app.services.check_connection import checked
from app.services.connection_rules import (
    ConnectionDraft,
    ambiguous,
    expect_no_links,
    expect_own,
    expect_room,
    expect_unchanged,
    given,
    known_kind,
    secrets_needed,
    target,
    usable,
)
from app.services.crm_connections import CrmConnectors
from app.services.keep_tokens import UnsavedTokens, put_tokens
from app.services.tell_crm_health import tell_crm_answers
from app.services.tenant_connectors import TenantConnectors

_ONE_TIME: Final = frozenset({"oauth.code", "oauth.refresh_token"})
"""A check spends them, so what they brought is kept with the connection."""


@dataclass(frozen=True, slots=True)
class SavedConnection:
    """A connection and what the check of it found."""

    connection: CrmConnection
    created: bool


class ManageConnections:
    """Connections as their tenant sees them."""

    def __init__(self, database: Database, connectors: CrmConnectors, own: TenantConnectors) -> None:
        self._database = database
        self._connectors = connectors
        self._own = own

    async def list(self, tenant_id: str) -> builtins.list[CrmConnection]:
        """The one of the settings first, then by age."""
        async with self._database.tenant(tenant_id) as scope:
            connections = Connections(scope)
            if self._connectors.kind is not None:
                with suppress(Conflict):
                    await connections.default(self._connectors.kind)
            return await connections.all()

    async def get(self, tenant_id: str, connection_id: UUID) -> CrmConnection:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await Connections(scope).get(connection_id)

    async def put(self, caller: Caller, draft: ConnectionDraft) -> SavedConnection:
        """Changes the connection of that name, or adds it. Without a name: the only one the tenant made.

        Raises as ``change`` does, and ``Conflict`` (``too_many_connections``, ``connection_ambiguous``).
        """
        before = await self._meant(caller.tenant_id, draft.name)
        if before is not None:
            return await self.change(caller, before.id, draft)
        if draft.kind is None:
            raise Invalid("Укажите kind: вид CRM.", field="kind", code="missing")
        blank = CrmConnection(
            uuid4(), draft.kind, draft.name or draft.kind, ConnectionOrigin.API, ConnectionMode.PREVIEW
        )
        return await self._save(caller, blank, draft, {}, created=True)

    async def change(self, caller: Caller, connection_id: UUID, draft: ConnectionDraft) -> SavedConnection:
        """Checks what it would become, then saves it, whole or not at all.

        Raises ``NotFound``, ``SettingsInvalid``, ``AddressRefused``, ``Conflict`` (``connection_of_settings``,
        ``connection_kind_fixed``, ``connection_changed``, ``connection_name_taken``,
        ``connection_has_links``, ``crm_connected_already``), and ``CheckFailed`` where the
        connection is in use and would not work any more.
        """
        before = await self.get(caller.tenant_id, connection_id)
        expect_own(before)
        if draft.kind is not None and draft.kind != before.kind:
            raise Conflict(
                f"Это подключение к CRM вида {before.kind}: номера её записей для другой CRM ничего не значат. "
                "Создайте новое подключение.",
                code="connection_kind_fixed",
            )
        return await self._save(caller, before, draft, self._kept(caller.tenant_id, before, draft))

    async def check(self, tenant_id: str, connection_id: UUID) -> CheckReport:
        """Asks the CRM, writes nothing there, and keeps what was found. Raises ``NotFound``, and ``Conflict`` for a
        connection that does not open."""
        connection = await self.get(tenant_id, connection_id)
        report = await checked(self._connectors.connect(tenant_id, connection))
        async with self._database.tenant(tenant_id) as scope:
            await Connections(scope).keep_report(connection_id, report)
            if report.ok and await tell_crm_answers(scope, connection):
                await Deliveries(scope).hurry(connection_id)
        return report

    async def check_only(self, tenant_id: str) -> CheckReport:
        """The tenant's only connection. Raises ``Conflict``: ``crm_not_configured``, ``connection_ambiguous``."""
        found = await self.list(tenant_id)
        if not found:
            raise Conflict(
                "CRM не подключена: подключите её (PUT /api/v1/crm/connection).", code="crm_not_configured"
            )
        if len(found) > 1:
            raise ambiguous()
        return await self.check(tenant_id, found[0].id)

    async def check_draft(self, tenant_id: str, draft: ConnectionDraft) -> CheckReport:
        """A connection that nobody saved. Raises ``SettingsInvalid``, ``AddressRefused``, and ``Invalid``
        (``check_needs_saving``) where the check would spend what works once."""
        kind, secrets = known_kind(draft.kind), given(draft)
        if _ONE_TIME & secrets.keys():
            raise Invalid(
                "Код и токен обновления OAuth одноразовые: проверка без сохранения их потратила бы. Сохраните "
                "подключение (PUT /api/v1/crm/connection): оно проверяется при сохранении.",
                field="secrets",
                code="check_needs_saving",
            )
        settings = draft.settings or {}
        await self._own.judge(kind, self._own.validated(tenant_id, kind, settings, secrets))
        return await checked(self._own.build(tenant_id, kind, settings, secrets, UnsavedTokens()))

    async def switch(
        self, caller: Caller, connection_id: UUID, mode: ConnectionMode, announce_from: datetime | None
    ) -> CrmConnection:
        """Into that mode; going live first makes in the CRM what is missing there, and checks everything.

        Raises ``NotFound``, ``CheckFailed``, ``Conflict`` (``connection_changed``, a connection that does not open).
        """
        before = await self.get(caller.tenant_id, connection_id)
        report = None
        if mode is ConnectionMode.LIVE and before.mode is not mode:
            report = await self._made_ready(caller.tenant_id, before)
        async with self._database.tenant(caller.tenant_id) as scope:
            connections = Connections(scope)
            expect_unchanged(before, await connections.lock(connection_id))
            if report is not None:
                await connections.keep_report(connection_id, report)
                await tell_crm_answers(scope, before)
            await connections.switch(connection_id, mode, announce_from=announce_from, by=caller.actor)
            await Deliveries(scope).hurry(connection_id)
            await Audit(scope).add(
                caller.actor,
                "crm_connection.switched",
                target(connection_id),
                {
                    "from": before.mode,
                    "to": mode,
                    "announce_from": announce_from.isoformat() if announce_from else None,
                },
            )
            return await connections.get(connection_id)

    async def delete(self, caller: Caller, connection_id: UUID) -> ConnectionUse:
        """With its links and deliveries; gives back what was lost. Raises ``NotFound``, and ``Conflict``:
        ``connection_of_settings``, ``deliveries_in_flight``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            connections = Connections(scope)
            connection = await connections.lock(connection_id)
            if self._connectors.kind is not None:
                expect_own(connection)
            use = await connections.use(connection_id)
            if use.in_flight:
                raise Conflict(
                    f"Сейчас в CRM отправляется записей: {use.in_flight}. Остановите подключение "
                    '(POST …/mode с {"mode": "paused"}) и повторите удаление через минуту.',
                    code="deliveries_in_flight",
                )
            await connections.delete(connection_id)
            await Audit(scope).add(
                caller.actor,
                "crm_connection.deleted",
                target(connection_id),
                {
                    "kind": connection.kind,
                    "name": connection.name,
                    "links": use.links,
                    "deliveries": use.waiting,
                },
            )
        return use

    async def _meant(self, tenant_id: str, name: str | None) -> CrmConnection | None:
        async with self._database.tenant(tenant_id) as scope:
            if name is not None:
                return await Connections(scope).named(name)
            own = [one for one in await Connections(scope).all() if one.origin is ConnectionOrigin.API]
        if len(own) > 1:
            raise ambiguous()
        return own[0] if own else None

    def _kept(self, tenant_id: str, before: CrmConnection, draft: ConnectionDraft) -> dict[str, str]:
        """The secrets that stay. Raises ``SettingsInvalid`` (``secrets_needed_again``) where they would go elsewhere."""
        try:
            kept = self._own.secrets(tenant_id, before)
        except Conflict:  # they do not open any more
            kept = {}
        if lost := sorted(set(before.secret_names) - kept.keys() - draft.secrets.keys()):
            raise secrets_needed(lost)
        stay = {name: secret for name, secret in kept.items() if name not in draft.secrets}
        if not stay or draft.settings is None:
            return stay
        wanted = self._own.validated(tenant_id, before.kind, draft.settings, stay | given(draft))
        try:
            known = self._own.validated(tenant_id, before.kind, before.settings, kept)
        except SettingsInvalid:
            raise secrets_needed(sorted(stay)) from None
        if known.secrets_go_to != wanted.secrets_go_to:
            raise secrets_needed(sorted(stay))
        return stay

    async def _save(
        self,
        caller: Caller,
        before: CrmConnection,
        draft: ConnectionDraft,
        kept: Mapping[str, str],
        *,
        created: bool = False,
    ) -> SavedConnection:
        tenant_id, kind = caller.tenant_id, known_kind(before.kind)
        settings = before.settings if draft.settings is None else draft.settings
        secrets = {**kept, **given(draft)}
        name = usable(draft.name or before.name)
        model = self._own.validated(tenant_id, kind, settings, secrets)
        await self._own.judge(kind, model)
        before = replace(before, place=place_of(tenant_id, kind, model))
        await self._expect_new_place(tenant_id, before)
        unsaved = UnsavedTokens()
        keeper: TokenKeeper = unsaved
        if not created and not _ONE_TIME & draft.secrets.keys():
            keeper = self._own.keeper(tenant_id, before.id)
        report = await checked(self._own.build(tenant_id, kind, settings, secrets, keeper))
        if not report.ok and before.mode is not ConnectionMode.PREVIEW:
            raise CheckFailed(report, "Ничего не изменено: подключение работает по-прежнему.")
        wanted = replace(
            before,
            name=name,
            address=model.address,
            settings=settings,
            secrets_sealed=self._own.seal(tenant_id, before.id, secrets),
            secret_names=sorted(secrets),
            check_report=report.stored(),
            checked_at=report.at,
            updated_by=caller.actor,
        )
        async with self._database.tenant(tenant_id) as scope:
            connections = Connections(scope)
            if created:
                await expect_room(connections)
            else:
                expect_unchanged(before, await connections.lock(before.id))
                if before.address != wanted.address and not draft.same_crm:
                    expect_no_links(await connections.use(before.id))
            saved = await connections.save(wanted)
            await Deliveries(scope).hurry(saved.id)
            if report.ok:
                await tell_crm_answers(scope, saved)
            if unsaved.tokens is not None:
                await put_tokens(scope, self._own.box, saved.id, unsaved.tokens)
            await Audit(scope).add(
                caller.actor,
                "crm_connection.created" if created else "crm_connection.changed",
                target(saved.id),
                {"kind": kind, "name": name, "secrets": sorted(given(draft)), "check": report.ok},
            )
        return SavedConnection(saved, created)

    async def _expect_new_place(self, tenant_id: str, wanted: CrmConnection) -> None:
        """Before the check, which may spend what works once. Raises ``Conflict`` (``crm_connected_already``)."""
        if wanted.place == self._connectors.place_for(tenant_id):
            raise connected_already(OF_SETTINGS)
        async with self._database.tenant(tenant_id) as scope:
            if (other := await Connections(scope).at_place(wanted)) is not None:
                raise connected_already(other.name)

    async def _made_ready(self, tenant_id: str, connection: CrmConnection) -> CheckReport:
        """The report is kept either way. Raises ``CheckFailed``."""
        report = await checked(self._connectors.connect(tenant_id, connection), set_up=True)
        if not report.ok:
            async with self._database.tenant(tenant_id) as scope:
                await Connections(scope).keep_report(connection.id, report)
            raise CheckFailed(report, "Подключение не включено: исправьте и повторите.")
        return report
