"""Where everything of a tenant stands, in one statement that builds the answer of ``GET crm-sync/sync-status``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from app.core.database import TenantConnection
from app.repositories.as_json import moment, pairs
from app.repositories.runs import RUN
from app.repositories.shared_reads import PROJECTS

_MOST_ACCOUNTS = 1000
_SHOWN = 20


async def sync_status(scope: TenantConnection, receiving: Sequence[UUID]) -> bytes:
    """JSON, as ``SyncStatusOut``. ``receiving``: the connections that leads and contacts are queued for, in order."""
    found = await scope.connection.fetchval(
        _STATUS, scope.tenant_id, list(receiving), PROJECTS, _SHOWN, _MOST_ACCOUNTS
    )
    return cast("bytes", found)


_NO_ACCOUNT = "'00000000-0000-0000-0000-000000000000'::uuid"
"""Stands for the exchange, so that streams can be compared by ``=``."""
_SUBJECT = f"coalesce(account_id, {_NO_ACCOUNT}) AS subject"
_LEFT = (
    "'waiting', coalesce(b.waiting, 0), 'parked', coalesce(b.parked, 0), 'oldest_unsettled_seconds', b.oldest"
)
"""What has not reached the CRM."""


def _listed(item: str, source: str, order: str) -> str:
    return f"(SELECT coalesce(json_agg({item} ORDER BY {order}), '[]') FROM {source})"  # noqa: S608


_ACCOUNTS = _listed(
    f"json_build_object({pairs('a', 'id', 'title', 'state', 'state_code', 'state_detail')})",
    "(SELECT * FROM accounts WHERE tenant_id = $1 ORDER BY created_at, id LIMIT $5) a",
    "a.created_at, a.id",
)
_RUN = (
    f"json_build_object({pairs('r', 'id', 'account_id', 'stream', 'state', 'counts', 'reason_code', 'reason', 'checkpoint')}, "
    f"'started_at', {moment('r.started_at')}, 'finished_at', {moment('r.finished_at')}, "
    "'duration_seconds', extract(epoch FROM r.finished_at - r.started_at)::float8)"
)
_STREAMS = _listed(
    f"json_build_object({pairs('r', 'account_id', 'stream')}, 'last_run', {_RUN}, "
    f"'last_success_at', {moment('d.at')}, 'lag_seconds', extract(epoch FROM now() - d.at)::float8, {_LEFT}, "
    f"'next_run_at', {moment('n.at')})",
    "latest r LEFT JOIN done d USING (subject, stream) LEFT JOIN planned n USING (subject, stream) "
    "LEFT JOIN left_by_stream b USING (subject, stream)",
    "r.account_id, r.stream",
)
_CONNECTIONS = _listed(
    f"json_build_object({pairs('c', 'id', 'kind', 'name')}, {pairs('h', 'ok', 'code', 'detail')}, "
    f"'at', {moment('h.at')}, 'failures', coalesce(h.failures, 0), 'paused_until', {moment('h.paused_until')}, "
    f"'left_alone_since', {moment('h.opened_at')}, {_LEFT})",
    "unnest($2::uuid[]) WITH ORDINALITY AS given (id, place) "
    "JOIN crm_connections c ON c.tenant_id = $1 AND c.id = given.id "
    "LEFT JOIN crm_health h ON h.tenant_id = $1 AND h.connection_id = c.id "
    "LEFT JOIN left_by_connection b ON b.connection_id = c.id",
    "given.place",
)
_PROBLEMS = _listed(
    f"json_build_object({pairs('p', 'id', 'connection_id', 'connection', 'code', 'subject', 'detail', 'count')}, "
    f"'first_seen_at', {moment('p.first_seen_at')}, 'last_seen_at', {moment('p.last_seen_at')}, 'closed_at', NULL)",
    "(SELECT p.*, c.name AS connection FROM crm_problems p "
    " JOIN crm_connections c ON c.tenant_id = p.tenant_id AND c.id = p.connection_id "
    " WHERE p.tenant_id = $1 AND p.closed_at IS NULL ORDER BY p.last_seen_at DESC, p.id DESC LIMIT $4) p",
    "p.last_seen_at DESC, p.id DESC",
)
_PARKED = _listed(
    f"json_build_object({pairs('d', 'id', 'entity', 'external_id', 'reason_code', 'reason', 'attempts')}, "
    f"'created_at', {moment('d.created_at')})",
    "(SELECT * FROM deliveries WHERE tenant_id = $1 AND state = 'parked' ORDER BY id DESC LIMIT $4) d",
    "d.id DESC",
)
_STATUS = f"""
WITH latest AS (
    SELECT DISTINCT ON (account_id, stream) {_SUBJECT}, {RUN} FROM sync_runs
    WHERE tenant_id = $1 ORDER BY account_id, stream, started_at DESC
), done AS (
    SELECT {_SUBJECT}, stream, max(finished_at) AS at FROM sync_runs
    WHERE tenant_id = $1 AND state = 'done' GROUP BY 1, 2
), planned AS (
    -- Orders are looked at by news as well: the earlier one counts.
    SELECT {_SUBJECT}, CASE stream WHEN 'news' THEN 'orders' ELSE stream END AS stream, min(next_at) AS at
    FROM account_schedule WHERE tenant_id = $1 AND next_at < 'infinity' GROUP BY 1, 2
), unsettled AS (
    SELECT d.connection_id, coalesce(r.account_id, {_NO_ACCOUNT}) AS subject, r.stream,
           count(*) FILTER (WHERE d.state <> 'parked') AS waiting, count(*) FILTER (WHERE d.state = 'parked') AS parked,
           extract(epoch FROM now() - min(d.created_at) FILTER (WHERE d.state <> 'parked'))::float8 AS oldest
    FROM deliveries d
    LEFT JOIN sync_runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id
    WHERE d.tenant_id = $1 AND d.state IN ('pending', 'retry', 'unknown', 'in_flight', 'parked') GROUP BY 1, 2, 3
), left_by_stream AS (
    SELECT subject, stream, sum(waiting)::bigint AS waiting, sum(parked)::bigint AS parked, max(oldest) AS oldest
    FROM unsettled GROUP BY 1, 2
), left_by_connection AS (
    SELECT connection_id, sum(waiting)::bigint AS waiting, sum(parked)::bigint AS parked, max(oldest) AS oldest
    FROM unsettled GROUP BY 1
), counted AS (
    SELECT entity, json_object_agg(state, n) AS states
    FROM (SELECT entity, state, count(*) AS n FROM deliveries WHERE tenant_id = $1 GROUP BY 1, 2) c GROUP BY 1
)
SELECT json_build_object(
    'at', {moment("now()")},
    'accounts', {_ACCOUNTS},
    'streams', {_STREAMS},
    'deliveries', json_build_object(
        'counts', (SELECT coalesce(json_object_agg(entity, states), '{{}}') FROM counted),
        'oldest_unsettled_seconds', (SELECT max(oldest) FROM unsettled),
        'parked', {_PARKED}
    ),
    'exchange', json_build_object('state', e.state, 'read_at', {moment("e.finished_at")}),
    'crm', json_build_object(
        'configured', cardinality($2::uuid[]) > 0, {pairs("h", "ok", "code", "detail")}, 'at', {moment("h.at")}
    ),
    'connections', {_CONNECTIONS},
    'problems', {_PROBLEMS}
)
FROM (SELECT) one
LEFT JOIN (
    SELECT CASE WHEN state = 'running' AND lease_until < now() THEN 'interrupted' ELSE state END AS state, finished_at
    FROM market_reads WHERE stream = $3
) e ON true
LEFT JOIN crm_health h ON h.tenant_id = $1 AND h.connection_id = ($2::uuid[])[1]
"""  # noqa: S608 - put together from what is written above
