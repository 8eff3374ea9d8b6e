"""The tenant's connections to CRMs and their sealed secrets. What is sealed stays sealed here."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.connections import CheckReport, ConnectionMode, ConnectionOrigin
from app.domain.errors import Conflict, NotFound
from app.repositories.crm_schedule import CrmSchedule

OF_SETTINGS: Final = "default"
"""The name of the connection that the settings describe."""


@dataclass(frozen=True, slots=True)
class CrmConnection:
    """One CRM a tenant's leads and contacts go to."""

    id: UUID
    kind: str
    name: str
    origin: ConnectionOrigin = ConnectionOrigin.SETTINGS
    mode: ConnectionMode = ConnectionMode.LIVE
    address: str | None = None
    """What is called, without any secret; ``None``: the service's settings say it."""
    place: str | None = field(default=None, repr=False)
    """Which CRM it is, as a fingerprint; a tenant connects each one once."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the kind, without secrets; empty where the service's settings say it all."""
    secrets_sealed: bytes | None = field(default=None, repr=False)
    secret_names: Sequence[str] = ()
    mapping: Mapping[str, Any] = field(default_factory=dict)
    announce_from: datetime | None = None
    """What appeared on Kwork before becomes no new lead by itself; ``None``: everything does."""
    check_report: Mapping[str, Any] | None = None
    checked_at: datetime | None = None
    set_up_at: datetime | None = None
    version: int = 1
    """Grows with each change of what a worker needs to know."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionUse:
    """What hangs on a connection."""

    links: int
    waiting: int
    """Deliveries that are not settled yet, parked ones included."""
    in_flight: int
    """Deliveries that may have reached the CRM, without an answer so far."""


class Connections:
    """CRM connections of one tenant, the one of the settings first, then by age."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def live(self, kind: str | None) -> tuple[CrmConnection, ...]:
        """Those that are sent to. ``kind``: of the CRM of the settings; ``None``: they name none. Raises as
        ``list`` does.
        """
        found = await self.receiving(kind)
        return tuple(one for one in found if one.mode is ConnectionMode.LIVE)

    async def receiving(self, kind: str | None) -> tuple[CrmConnection, ...]:
        """Those that leads and contacts are queued for: live and paused ones."""
        found = await self.list(kind)
        return tuple(one for one in found if one.mode is not ConnectionMode.PREVIEW)

    async def list(self, kind: str | None) -> builtins.list[CrmConnection]:
        """All that can be used. The one of the settings is not among them where these name no CRM, or one of another
        kind; then ``Conflict`` is raised unless the tenant has its own.
        """
        found = await self.all()
        own = [one for one in found if one.origin is ConnectionOrigin.API]
        if kind is None:
            return own
        if found and found[0].origin is ConnectionOrigin.SETTINGS and found[0].kind == kind:
            return found
        try:
            return [await self.default(kind), *own]
        except Conflict:
            if not own:
                raise
            return own

    async def all(self) -> builtins.list[CrmConnection]:
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM crm_connections WHERE tenant_id = $1 "  # noqa: S608
            "ORDER BY origin = 'api', created_at, id",
            self._tenant_id,
        )
        return [_connection(row) for row in rows]

    async def default(self, kind: str) -> CrmConnection:
        """The connection that the settings ``CRM_KIND``, ``CRM_API_URL`` and ``CRM_API_KEY`` describe; made on first
        use. Raises ``Conflict`` when leads of another kind of CRM stand in it: their numbers mean nothing here.
        """
        found = await self._of_settings()
        if found is None:
            await self._make_tenant()
            await self._connection.execute(
                "INSERT INTO crm_connections (tenant_id, kind, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                self._tenant_id,
                kind,
                OF_SETTINGS,
            )
            found = await self._of_settings()
        assert found is not None
        if found.kind != kind:
            raise Conflict(
                f"Лиды этого тенанта уже ведутся в CRM вида {found.kind}: верните CRM_KIND={found.kind}.",
                code="crm_kind_changed",
            )
        return found

    async def get(self, connection_id: UUID) -> CrmConnection:
        """Raises ``NotFound``."""
        return await self._one("id = $2", connection_id)

    async def lock(self, connection_id: UUID) -> CrmConnection:
        """As ``get``; nobody changes it, and nobody claims a delivery of it, until this transaction ends."""
        return await self._one("id = $2 FOR UPDATE", connection_id)

    async def named(self, name: str) -> CrmConnection | None:
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM crm_connections WHERE tenant_id = $1 AND name = $2",  # noqa: S608
            self._tenant_id,
            name,
        )
        return _connection(row) if row is not None else None

    async def at_place(self, connection: CrmConnection) -> CrmConnection | None:
        """Another connection to the same CRM."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM crm_connections "  # noqa: S608
            "WHERE tenant_id = $1 AND kind = $2 AND place = $3 AND id <> $4",
            self._tenant_id,
            connection.kind,
            connection.place,
            connection.id,
        )
        return _connection(row) if row is not None else None

    async def stands(self, connection: CrmConnection) -> bool:
        """Whether it is live and as it was; it stays so until this transaction ends."""
        found = await self._connection.fetchval(
            "SELECT version = $3 AND mode = 'live' FROM crm_connections WHERE tenant_id = $1 AND id = $2 FOR SHARE",
            self._tenant_id,
            connection.id,
            connection.version,
        )
        return bool(found)

    async def save(self, connection: CrmConnection) -> CrmConnection:
        """Adds it, or puts it in the place of the one with its id. Raises ``Conflict``
        (``connection_name_taken``, ``crm_connected_already``)."""
        await self._make_tenant()
        try:
            row = await self._connection.fetchrow(
                _SAVE,
                self._tenant_id,
                connection.id,
                connection.kind,
                connection.name,
                connection.origin.value,
                connection.mode.value,
                connection.address,
                dict(connection.settings),
                connection.secrets_sealed,
                builtins.list(connection.secret_names),
                connection.check_report,
                connection.checked_at,
                connection.updated_by,
                connection.place,
            )
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "crm_connections_place":
                raise connected_already(None) from None
            raise Conflict(
                "Подключение с таким именем уже есть: выберите другое имя.", code="connection_name_taken"
            ) from None
        return _connection(row)

    async def switch(
        self, connection_id: UUID, mode: ConnectionMode, *, announce_from: datetime | None, by: str
    ) -> None:
        """Into that mode. Leaving the preview for the first time sets since when things are announced: the moment
        given, or now.
        """
        await self._connection.execute(
            """
            UPDATE crm_connections SET mode = $3, version = version + 1, updated_at = now(), updated_by = $5,
                announce_from = CASE WHEN origin = 'settings' OR $3 = 'preview' THEN coalesce($4, announce_from)
                                     ELSE coalesce($4, announce_from, now() - interval '1 minute') END,
                set_up_at = CASE WHEN $3 = 'live' THEN now() ELSE set_up_at END
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant_id,
            connection_id,
            mode.value,
            announce_from,
            by,
        )
        await CrmSchedule(self._scope).connection_became(connection_id)

    async def keep_mapping(self, connection_id: UUID, mapping: Mapping[str, Any], *, by: str) -> None:
        """What is claimed from now on is shaped by it."""
        await self._connection.execute(
            "UPDATE crm_connections SET mapping = $3, version = version + 1, updated_at = now(), updated_by = $4 "
            "WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            connection_id,
            dict(mapping),
            by,
        )
        await CrmSchedule(self._scope).connection_became(connection_id)

    async def keep_report(self, connection_id: UUID, report: CheckReport) -> None:
        await self._connection.execute(
            "UPDATE crm_connections SET check_report = $3, checked_at = $4 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            connection_id,
            report.stored(),
            report.at,
        )

    async def use(self, connection_id: UUID) -> ConnectionUse:
        """What would go with it."""
        row = await self._connection.fetchrow(
            "SELECT (SELECT count(*) FROM crm_links WHERE tenant_id = $1 AND connection_id = $2) AS links, "
            "count(*) FILTER (WHERE state <> 'done') AS waiting, "
            "count(*) FILTER (WHERE state = 'in_flight') AS in_flight "
            "FROM deliveries WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
        )
        assert row is not None
        return ConnectionUse(**row)

    async def delete(self, connection_id: UUID) -> None:
        """With its links, deliveries and tokens."""
        await self._connection.execute(
            "DELETE FROM crm_connections WHERE tenant_id = $1 AND id = $2", self._tenant_id, connection_id
        )

    async def _make_tenant(self) -> None:
        await self._connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", self._tenant_id
        )

    async def _of_settings(self) -> CrmConnection | None:
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM crm_connections WHERE tenant_id = $1 AND origin = 'settings'",  # noqa: S608
            self._tenant_id,
        )
        return _connection(row) if row is not None else None

    async def _one(self, condition: str, *arguments: object) -> CrmConnection:
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM crm_connections WHERE tenant_id = $1 AND {condition}",  # noqa: S608
            self._tenant_id,
            *arguments,
        )
        if row is None:
            raise NotFound("Такого подключения к CRM нет.")
        return _connection(row)


def connected_already(name: str | None) -> Conflict:
    """``name``: of the other connection."""
    return Conflict(
        f"Эта CRM уже подключена{f' — подключение «{name}»' if name else ''}: два подключения считали бы одни и те же "
        "записи своими. Измените то подключение или удалите его.",
        code="crm_connected_already",
    )


def _connection(row: asyncpg.Record) -> CrmConnection:
    given = dict(row)
    return CrmConnection(
        **{
            **given,
            "origin": ConnectionOrigin(given["origin"]),
            "mode": ConnectionMode(given["mode"]),
            "secret_names": tuple(given["secret_names"]),
        }
    )


_COLUMNS = (
    "id, kind, name, origin, mode, address, place, settings, secrets_sealed, secret_names, mapping, announce_from, check_report, "
    "checked_at, set_up_at, version, created_at, updated_at, updated_by"
)

_SAVE = f"""
INSERT INTO crm_connections AS c (
    tenant_id, id, kind, name, origin, mode, address, settings, secrets_sealed, secret_names, check_report,
    checked_at, updated_by, place)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (tenant_id, id) DO UPDATE SET
    name = excluded.name, address = excluded.address, settings = excluded.settings, secrets_sealed = excluded.secrets_sealed,
    secret_names = excluded.secret_names, check_report = excluded.check_report, checked_at = excluded.checked_at,
    version = c.version + 1, updated_at = now(), updated_by = excluded.updated_by, place = excluded.place
RETURNING {_COLUMNS}
"""  # noqa: S608
