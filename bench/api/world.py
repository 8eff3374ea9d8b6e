"""A database of 100 tenants: each with an account, orders, a long dialog, a CRM, runs and deliveries."""

from __future__ import annotations

import asyncpg

TENANTS = 100
PROJECTS = 600
MESSAGES = 300
DIALOG = "partner"

_EXCHANGE = """
INSERT INTO market_projects (id, title, description, status, category_id, price_kopecks, max_price_kopecks, currency,
    buyer_id, buyer_username, offers, created_at, active_at, expires_at, url, details, content_hash)
SELECT 3000000 + n, 'Бот для записи клиентов, вариант ' || n,
    repeat('Нужен бот: запись к мастеру, напоминания, оплата. ', 6), 'active', 41, 500000, 1500000, 'RUB',
    700000 + n, 'buyer' || n, n % 20, now() - n * interval '61 seconds', now() - n * interval '61 seconds',
    now() + interval '2 days', 'https://kwork.ru/projects/' || (3000000 + n), '{}', '\\x00'
FROM generate_series(1, $1::int) n
"""
_TENANTS = "INSERT INTO tenants (id, name) SELECT t, t FROM unnest($1::text[]) t"
_ACCOUNTS = """
INSERT INTO accounts (tenant_id, title, login, state) SELECT t, 'Основной', 'seller', 'connected' FROM unnest($1::text[]) t
"""
_ORDERS = """
INSERT INTO orders (tenant_id, id, account_id, title, status, price_kopecks, currency, buyer_id, buyer_username, url,
    created_at, deadline_at, details, content_hash)
SELECT a.tenant_id, 5000000 + n, a.id, 'Сайт под ключ ' || n, CASE WHEN n < 30 THEN 'in_progress' ELSE 'done' END,
    100000 + n, 'RUB', 800000 + n % 500, 'buyer' || n % 500, 'https://kwork.ru/track?id=' || (5000000 + n),
    now() - n * interval '150 seconds', now() + interval '3 days', '{}', '\\x00'
FROM accounts a, generate_series($1::int, $2::int) n
"""
_CONNECTIONS = """
INSERT INTO crm_connections (tenant_id, kind, name, origin, mode)
SELECT t, 'native', 'default', 'settings', 'live' FROM unnest($1::text[]) t
"""
_LINKS = """
INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash)
SELECT o.tenant_id, c.id, 'lead', 'kwork:order:' || o.id, 'lead-' || o.id, '\\x00'
FROM orders o JOIN crm_connections c USING (tenant_id) WHERE o.id > 5000000 + $1::int
"""
_DELIVERIES = """
INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, reason_code, reason,
    settled_at)
SELECT c.tenant_id, c.id, 'lead', 'kwork:project:' || (3000000 + n), '{"name": "Лид"}', '\\x00',
    CASE WHEN n <= 5 THEN 'parked' WHEN n <= 15 THEN 'pending' ELSE 'done' END,
    CASE WHEN n <= 5 THEN 'crm_rejected' END, CASE WHEN n <= 5 THEN 'CRM не приняла поле.' END,
    CASE WHEN n > 15 THEN now() END
FROM crm_connections c, generate_series(1, 100) n
"""
_RUNS = """
INSERT INTO sync_runs (tenant_id, account_id, stream, state, counts, started_at, finished_at)
SELECT a.tenant_id, a.id, s, 'done', '{"read": 20}', now() - n * interval '2 minutes', now() - n * interval '2 minutes'
FROM accounts a, unnest('{orders,dialogs,contacts,gigs}'::text[]) s, generate_series(1, 25) n
"""
_DIALOGS = """
INSERT INTO dialogs (tenant_id, account_id, username, kwork_user_id, unread, last_message_at, details, content_hash)
SELECT a.tenant_id, a.id, $1, 900000, 0, now(), '{}', '\\x00' FROM accounts a
"""
_MESSAGES = """
INSERT INTO messages (tenant_id, dialog_id, id, incoming, sent_at, text, details)
SELECT d.tenant_id, d.id, n, n % 2 = 0, now() - n * interval '1 minute',
    'Добрый день! Когда будет готова первая часть? Сообщение ' || n, '{"from_id": 1, "to_id": 2, "read": true}'
FROM dialogs d, generate_series(1, $1::int) n
"""


def tenants() -> list[str]:
    """Their ids."""
    return [f"tenant-{number:03}" for number in range(TENANTS)]


async def fill(connection: asyncpg.Connection, orders: int) -> None:
    """``connection`` sees all tenants (the owner's, not the service's). ``orders``: of all tenants together."""
    await connection.execute("SET search_path TO kwork; SET row_security TO off")
    await connection.execute(_EXCHANGE, PROJECTS)
    for statement in (_TENANTS, _ACCOUNTS, _CONNECTIONS):
        await connection.execute(statement, *([tenants()] if "$1" in statement else []))
    each = orders // TENANTS
    await connection.execute(_ORDERS, 1, each, timeout=300)
    await connection.execute(_LINKS, 0, timeout=300)
    await connection.execute(_DELIVERIES)
    await connection.execute(_RUNS)
    await connection.execute(_DIALOGS, DIALOG)
    await connection.execute(_MESSAGES, MESSAGES)
    await connection.execute("VACUUM ANALYZE", timeout=300)
