"""The list of projects and orders as the API shows it: newest first, both kinds in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.core.database import TenantConnection
from app.domain.kwork import OrderStatus, ProjectStatus
from app.domain.listing import OrderFilter, OrderKind, Position, Window
from app.repositories.as_json import moment, pairs, roubles

# In lists an order stands before a project of the same moment.
_RANK = {OrderKind.ORDER: 0, OrderKind.PROJECT: 1}
_STATUSES: dict[OrderKind, frozenset[str]] = {
    OrderKind.PROJECT: frozenset(ProjectStatus),
    OrderKind.ORDER: frozenset(OrderStatus),
}

_COLUMNS = {
    OrderKind.PROJECT: (
        "'project' AS kind, 1 AS rank, r.id, NULL::uuid AS account_id, r.title, r.description, r.status, "
        "r.price_kopecks, r.max_price_kopecks, r.currency, r.buyer_id, r.buyer_username, r.category_id, r.url, "
        "r.created_at, r.active_at, r.expires_at, NULL::timestamptz AS deadline_at, r.offers, "
        "r.missing_since IS NULL AS listed, r.active_at AS at"
    ),
    OrderKind.ORDER: (
        "'order' AS kind, 0 AS rank, r.id, r.account_id, r.title, NULL::text AS description, r.status, "
        "r.price_kopecks, NULL::bigint AS max_price_kopecks, r.currency, r.buyer_id, r.buyer_username, "
        "NULL::bigint AS category_id, r.url, r.created_at, NULL::timestamptz AS active_at, "
        "NULL::timestamptz AS expires_at, r.deadline_at, NULL::int AS offers, "
        "CASE WHEN r.gone_at IS NOT NULL THEN false END AS listed, "
        "r.created_at AS at"
    ),
}
_TABLE = {OrderKind.PROJECT: "market_projects r", OrderKind.ORDER: "orders r"}
_MOMENT = {OrderKind.PROJECT: "r.active_at", OrderKind.ORDER: "r.created_at"}

_IN_USE = "FROM crm_connections c WHERE c.tenant_id = $1 AND c.mode <> 'preview'"
_FIRST = "c.origin = 'api', c.created_at, c.id"
_CONNECTION = f"(SELECT c.id {_IN_USE} ORDER BY {_FIRST} LIMIT 1)"


def _lead_joins(connection: str, key: str) -> str:
    """Where the lead of each row stands, looked up row by row: the planner, which takes tenants and connections for
    independent, may otherwise read all links of a tenant for one page.
    """
    return (
        "LEFT JOIN LATERAL (SELECT l.crm_id FROM crm_links l WHERE l.tenant_id = $1 "  # noqa: S608
        f"  AND l.connection_id = {connection} AND l.entity = 'lead' AND l.external_id = {key} LIMIT 1) l ON true "
        "LEFT JOIN LATERAL (SELECT d.state, d.reason FROM deliveries d WHERE d.tenant_id = $1 "
        f"  AND d.connection_id = {connection} AND d.entity = 'lead' AND d.external_id = {key} "
        "  AND d.state NOT IN ('done', 'discarded') LIMIT 1) d ON true"
    )


_LEAD_JOINS = _lead_joins(_CONNECTION, "'kwork:' || p.kind || ':' || p.id")
_ROW = (
    "json_build_object('id', p.kind || '-' || p.id, 'kwork_id', p.id, "
    + pairs(
        "p", "kind", "account_id", "title", "description", "status", "currency", "url", "offers", "listed"
    )
    + f", 'price', {roubles('p.price_kopecks')}, 'max_price', {roubles('p.max_price_kopecks')}, "
    + "".join(
        f"'{name}', {moment(f'p.{name}')}, "
        for name in ("created_at", "active_at", "expires_at", "deadline_at")
    )
    + "'buyer', json_build_object('id', p.buyer_id, 'username', p.buyer_username, "
    "  'url', CASE WHEN p.buyer_username <> '' THEN {user_url} || p.buyer_username END), "
    "'lead', CASE WHEN coalesce(l.crm_id, d.state) IS NOT NULL THEN "
    "  json_build_object('id', l.crm_id, 'state', coalesce(d.state, 'synced'), 'reason', d.reason) END) AS row"
)
"""``OrderRow`` but for ``category``, whose names the process knows, and ``leads``."""


def _shown(user_url: str) -> str:
    """``user_url``: the placeholder of the address that a user's name is appended to."""
    return f"p.kind, p.id, p.category_id, {_ROW.format(user_url=user_url)}, (SELECT count(*) {_IN_USE}) AS connections"


@dataclass(frozen=True, slots=True)
class OrderRows:
    """A window of the list. ``more``: there are rows after it."""

    rows: Sequence[asyncpg.Record]
    total: int
    more: bool


class OrderList:
    """Projects of the exchange and the tenant's orders. ``row`` of each is JSON, as ``OrderRow`` but for ``category`` and
    ``leads``; ``user_url`` is what a buyer's name is appended to.
    """

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def find(self, wanted: OrderFilter, window: Window, user_url: str) -> OrderRows:
        """Rows that pass the filter, newest first, and how many there are in all."""
        kinds = _kinds(wanted)
        if not kinds:
            return OrderRows((), 0, more=False)
        statement, arguments = list_statement(self._tenant_id, user_url, kinds, wanted, window)
        found = await self._connection.fetch(statement, *arguments)
        rows = found[: window.limit] if found[0]["id"] is not None else ()
        return OrderRows(rows, found[0]["total"], more=len(found) > window.limit)

    async def cards(self, number: int, kinds: Sequence[OrderKind], user_url: str) -> list[asyncpg.Record]:
        """The project and the order (of those kinds) with that Kwork number, with their ``details``."""
        branches = " UNION ALL ".join(
            f"SELECT {_COLUMNS[kind]}, r.details, {_DETAILS_READ[kind]} AS details_read_at "  # noqa: S608
            f"FROM {_TABLE[kind]} WHERE r.id = $2{_OWN[kind]}"
            for kind in kinds
        )
        return await self._connection.fetch(  # type: ignore[no-any-return]
            f"WITH p AS ({branches}) SELECT p.account_id, p.description, p.details, p.details_read_at, {_shown('$3::text')} "  # noqa: S608
            f"FROM p {_LEAD_JOINS} WHERE $1::text IS NOT NULL",
            self._tenant_id,
            number,
            user_url,
        )

    async def named(self, number: int, kinds: Sequence[OrderKind]) -> list[asyncpg.Record]:
        """``kind``, ``id`` and ``account_id`` of what ``cards`` finds."""
        branches = " UNION ALL ".join(
            f"SELECT {_COLUMNS[kind]} FROM {_TABLE[kind]} WHERE r.id = $2{_OWN[kind]}"  # noqa: S608
            for kind in kinds
        )
        return await self._connection.fetch(  # type: ignore[no-any-return]
            f"SELECT p.kind, p.id, p.account_id FROM ({branches}) p WHERE $1::text IS NOT NULL",  # noqa: S608
            self._tenant_id,
            number,
        )

    async def projects(self, project_ids: Sequence[int], user_url: str) -> list[asyncpg.Record]:
        """These projects as the list shows them, newest first."""
        kind = OrderKind.PROJECT
        return await self._connection.fetch(  # type: ignore[no-any-return]
            f"WITH p AS (SELECT {_COLUMNS[kind]} FROM {_TABLE[kind]} WHERE r.id = ANY ($2::bigint[])) "  # noqa: S608
            f"SELECT {_shown('$3::text')} FROM p {_LEAD_JOINS} WHERE $1::text IS NOT NULL "
            "ORDER BY p.at DESC NULLS LAST, p.id DESC",
            self._tenant_id,
            list(project_ids),
            user_url,
        )

    async def leads(self, keys: Sequence[str]) -> list[asyncpg.Record]:
        """Per key of a lead and connection in use, the first one first: where the lead stands there."""
        return await self._connection.fetch(  # type: ignore[no-any-return]
            "SELECT k.key, c.id AS connection_id, c.name AS connection, l.crm_id AS lead_id, "  # noqa: S608
            "  d.state AS lead_state, d.reason AS lead_reason "
            f"FROM (SELECT c.* {_IN_USE}) c CROSS JOIN unnest($2::text[]) AS k (key) "
            f"{_lead_joins('c.id', 'k.key')} ORDER BY {_FIRST}",
            self._tenant_id,
            list(keys),
        )

    async def events(self, order_id: int, limit: int, before: int | None) -> list[asyncpg.Record]:
        """Events of an order, newest first; ``before`` is the id of the last one already seen."""
        return await self._connection.fetch(  # type: ignore[no-any-return]
            "SELECT e.id, e.kind, e.at, e.details FROM order_events e "
            "WHERE e.tenant_id = $1 AND e.order_id = $2 AND ($3::bigint IS NULL OR e.id < $3) "
            "ORDER BY e.id DESC LIMIT $4",
            self._tenant_id,
            order_id,
            before,
            limit,
        )

    async def events_total(self, order_id: int) -> int:
        """How many events of the order are stored."""
        total: int = await self._connection.fetchval(
            "SELECT count(*) FROM order_events WHERE tenant_id = $1 AND order_id = $2",
            self._tenant_id,
            order_id,
        )
        return total


_OWN = {OrderKind.PROJECT: "", OrderKind.ORDER: " AND r.tenant_id = $1"}
_DETAILS_READ = {OrderKind.PROJECT: "NULL::timestamptz", OrderKind.ORDER: "r.details_read_at"}


def list_statement(
    tenant_id: str, user_url: str, kinds: Sequence[OrderKind], wanted: OrderFilter, window: Window
) -> tuple[str, list[Any]]:
    """The SQL of the list and its arguments; ``$1`` is the tenant. One row more than asked for tells ``more``."""
    arguments: list[Any] = [tenant_id, user_url]
    branches, counts = [], []
    reach = _argument(arguments, window.offset + window.limit + 1)
    for kind in kinds:
        where = " AND ".join(_conditions(kind, wanted, arguments))
        counts.append(f"(SELECT count(*) FROM {_TABLE[kind]} WHERE {where})")  # noqa: S608
        if window.after is not None:
            where += f" AND {_after(kind, window.after, arguments)}"
        branches.append(
            f"(SELECT {_COLUMNS[kind]} FROM {_TABLE[kind]} WHERE {where} "  # noqa: S608
            f"ORDER BY {_MOMENT[kind]} DESC NULLS LAST, r.id DESC LIMIT {reach})"
        )
    limit, offset = _argument(arguments, window.limit + 1), _argument(arguments, window.offset)
    statement = (
        f"WITH p AS (SELECT * FROM ({' UNION ALL '.join(branches)}) u "  # noqa: S608
        f"ORDER BY at DESC NULLS LAST, rank, id DESC LIMIT {limit} OFFSET {offset}) "
        f"SELECT t.total, p.at, {_shown('$2::text')} FROM (SELECT {' + '.join(counts)} AS total) t "
        f"LEFT JOIN p ON true {_LEAD_JOINS} ORDER BY p.at DESC NULLS LAST, p.rank, p.id DESC"
    )
    return statement, arguments


def _kinds(wanted: OrderFilter) -> list[OrderKind]:
    """Projects belong to no account, and orders to no category."""
    return [
        kind
        for kind in OrderKind
        if wanted.kind in (None, kind)
        and not (kind is OrderKind.PROJECT and wanted.account_id is not None)
        and not (kind is OrderKind.ORDER and wanted.category_ids)
        and (not wanted.statuses or _STATUSES[kind].intersection(wanted.statuses))
    ]


def _conditions(kind: OrderKind, wanted: OrderFilter, arguments: list[Any]) -> list[str]:
    is_project = kind is OrderKind.PROJECT
    found = ["true"] if is_project else ["r.tenant_id = $1"]
    if wanted.account_id is not None:
        found.append(f"r.account_id = {_argument(arguments, wanted.account_id)}")
    if wanted.statuses:
        found.append(f"r.status = ANY ({_argument(arguments, list(wanted.statuses))}::text[])")
    if wanted.category_ids:
        ids = _argument(arguments, list(wanted.category_ids))
        found.append(
            f"(r.category_id = ANY ({ids}::bigint[]) OR r.parent_category_id = ANY ({ids}::bigint[]))"
        )
    if wanted.min_price_kopecks is not None:
        price = "r.max_price_kopecks" if is_project else "r.price_kopecks"
        found.append(f"{price} >= {_argument(arguments, wanted.min_price_kopecks)}")
    if wanted.max_price_kopecks is not None:
        found.append(f"r.price_kopecks <= {_argument(arguments, wanted.max_price_kopecks)}")
    if wanted.created_after is not None:
        found.append(f"r.created_at > {_argument(arguments, wanted.created_after)}")
    text = "r.title || ' ' || r.buyer_username" + (" || ' ' || r.description" if is_project else "")
    found.extend(f"({text}) ILIKE {_argument(arguments, _pattern(word))}" for word in wanted.words)
    if wanted.has_lead is not None:
        found.append(("" if wanted.has_lead else "NOT ") + _HAS_LEAD.format(kind=kind))
    return found


_HAS_LEAD = (
    "EXISTS (SELECT FROM crm_links k WHERE k.tenant_id = $1 AND k.connection_id = "
    f"{_CONNECTION} AND k.entity = 'lead' AND k.external_id = 'kwork:{{kind}}:' || r.id)"
)


def _after(kind: OrderKind, position: Position, arguments: list[Any]) -> str:
    moment = _MOMENT[kind]
    number = _argument(arguments, position.id)
    later_kind = _RANK[kind] > _RANK[position.kind]
    same_kind = (
        f"r.id < {number}" if kind is position.kind else f"({number}::bigint IS NOT NULL AND {later_kind})"
    )
    if position.at is None:
        return f"({moment} IS NULL AND {same_kind})"
    at = _argument(arguments, position.at)
    return f"({moment} < {at} OR {moment} IS NULL OR ({moment} = {at} AND {same_kind}))"


def _argument(arguments: list[Any], value: object) -> str:
    arguments.append(value)
    return f"${len(arguments)}"


def _pattern(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
