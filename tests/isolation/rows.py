"""Rows of the tables that the API's stock leaves empty."""

from __future__ import annotations

from typing import Any

import asyncpg

from tests.isolation.repositories import HOLDER


async def add_other_rows(owner: asyncpg.Connection, tenant: str) -> dict[str, Any]:
    """Rows of the tables that the API's stock leaves empty; the ids that are asked for."""
    found: dict[str, Any] = {"jti": "a-token-of-b"}
    account = "(SELECT id FROM accounts WHERE tenant_id = $1 ORDER BY created_at, title LIMIT 1)"
    connection = "(SELECT id FROM crm_connections WHERE tenant_id = $1 AND origin = 'api')"
    order = "(SELECT id FROM orders WHERE tenant_id = $1 ORDER BY id LIMIT 1)"
    for name, statement in (
        ("link", "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash, "
                 f"put_stage, seen_stage) SELECT $1, {connection}, 'lead', 'kwork:order:' || {order}, '42', '', 'x', 'x'"),
        ("note link", "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash) "
                      f"VALUES ($1, {connection}, 'lead', 'kwork:project:5', '43', '')"),
        ("health", "INSERT INTO crm_health (tenant_id, connection_id, ok, failures, paused_until) "
                   f"VALUES ($1, {connection}, false, 3, now() + interval '1 hour')"),
        ("mark", f"INSERT INTO crm_note_marks (tenant_id, connection_id, event_id) VALUES ($1, {connection}, 1)"),
        ("tokens", f"INSERT INTO crm_tokens (tenant_id, connection_id, sealed) VALUES ($1, {connection}, 'sealed')"),
        ("hook secret", "INSERT INTO webhook_secrets (tenant_id, webhook_id, sealed) "
                        "SELECT $1, id, 'sealed' FROM webhooks WHERE tenant_id = $1"),
        ("hook", "UPDATE webhooks SET active = true, disabled_code = NULL, failures = 2, queued_id = 0 WHERE tenant_id = $1"),
        ("hook due", "INSERT INTO webhook_deliveries (tenant_id, webhook_id, type, due_at, event_id) "
                     "SELECT $1, id, 'message.received', now() - interval '1 hour', NULL FROM webhooks WHERE tenant_id = $1"),
        ("attempt", "INSERT INTO sign_ins (tenant_id, account_id, surface, outcome) "
                    f"VALUES ($1, {account}, 'mobile', 'ok') RETURNING id"),
        ("schedule", "INSERT INTO account_schedule (tenant_id, account_id, stream, next_at, queued_at, hint) "
                     f"VALUES ($1, {account}, 'news', now(), now(), '{{\"orders\": true, \"dialogs\": false, \"offers\": false, \"user_ids\": [], \"usernames\": []}}')"),
        ("match", "INSERT INTO search_matches (tenant_id, project_id, search_id, search_name) SELECT $1, 5, id, name "
                  "FROM searches WHERE tenant_id = $1"),
        ("searches", "UPDATE searches SET enabled = true WHERE tenant_id = $1"),
        ("lead", f"INSERT INTO project_leads (tenant_id, project_id, connection_ids, due) VALUES ($1, 5, ARRAY[{connection}], false)"),
        ("queued_run", "INSERT INTO sync_runs (tenant_id, account_id, stream, state) "
                       f"VALUES ($1, {account}, 'gigs', 'queued') RETURNING id"),
        ("lease", "INSERT INTO sync_leases (tenant_id, subject, holder, epoch, expires_at, run_id) SELECT $1, "
                  f"'account/' || {account}, '{HOLDER}', 1, now() + interval '1 hour', id FROM sync_runs "
                  "WHERE tenant_id = $1 AND state = 'failed' LIMIT 1"),
        ("token", "INSERT INTO revoked_tokens (tenant_id, jti, expires_at) VALUES ($1, 'a-token-of-b', now() - interval '1 day')"),
        ("user", "INSERT INTO users (tenant_id, email, password_hash, role, disabled_at) "
                 "VALUES ($1, 'new@example.com', 'x', 'viewer', now()) RETURNING id"),
        ("settings", "INSERT INTO tenant_settings (tenant_id, settings, updated_by) "
                     "VALUES ($1, '{\"writes\": {\"offers_per_day\": 7}}', 'x')"),
        ("pending", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, due_at) "
                    f"VALUES ($1, {connection}, 'lead', 'kwork:order:406', '{{\"name\": \"x\"}}', '', 'retry', now() - interval '1 day')"),
        ("in_flight", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, epoch, due_at) "
                      f"VALUES ($1, {connection}, 'lead', 'kwork:order:407', '{{}}', '', 'in_flight', 7, now()) RETURNING id"),
        ("unknown_write", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, "
                          "state, committed_at, held_until, holder, epoch, due_at, expires_at) "
                          f"VALUES ($1, {account}, 'send_message', 'order:' || {order}, '{{}}', '', 'x', 'direct', 'unknown', now(), "
                          f"now() - interval '1 minute', '{HOLDER}', 1, now() - interval '1 minute', now()) RETURNING id"),
        ("parent", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, "
                   f"is_parent, due_at, expires_at) VALUES ($1, {account}, 'deliver', 'order:' || {order}, '{{}}', '', 'x', 'direct', "
                   "'prepared', true, now() - interval '1 minute', now() + interval '1 hour') RETURNING id"),
        ("step", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, "
                 "parent_id, step, expires_at) SELECT $1, account_id, action, target || '/1', '{}', '', 'x', 'direct', 'confirmed', "
                 "id, 1, now() - interval '1 minute' FROM kwork_writes WHERE tenant_id = $1 AND is_parent"),
        ("committing", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, is_parent, committed_at, held_until, holder, epoch, idempotency_key, expires_at) "
            f"VALUES ($1, {account}, 'send_message', 'dialog:1', '{{}}', '', 'x', 'direct', 'committing', false, now(), now() - interval '1 minute', '{HOLDER}', 1, NULL, now() + interval '1 hour') RETURNING id"),
        ("confirmed", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, is_parent, committed_at, held_until, holder, epoch, idempotency_key, expires_at) "
            f"VALUES ($1, {account}, 'send_message', 'dialog:2', '{{}}', '', 'x', 'direct', 'confirmed', false, NULL, now() + interval '1 hour', '{HOLDER}', 1, NULL, now() + interval '1 hour') RETURNING id"),
        ("refused", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, is_parent, committed_at, held_until, holder, epoch, idempotency_key, expires_at) "
            f"VALUES ($1, {account}, 'send_message', 'dialog:3', '{{}}', '', 'x', 'direct', 'refused', false, NULL, NULL, '{HOLDER}', 1, 'refused-key', now() + interval '1 hour') RETURNING id"),
        ("confirmed_parent", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, is_parent, committed_at, held_until, holder, epoch, idempotency_key, expires_at) "
            f"VALUES ($1, {account}, 'deliver', 'order:2', '{{}}', '', 'x', 'direct', 'confirmed', true, NULL, now() + interval '1 hour', '{HOLDER}', 1, NULL, now() + interval '1 hour') RETURNING id"),
        ("broken_parent", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, is_parent, committed_at, held_until, holder, epoch, idempotency_key, expires_at) "
            f"VALUES ($1, {account}, 'deliver', 'order:3', '{{}}', '', 'x', 'direct', 'refused', true, now(), NULL, '{HOLDER}', 1, NULL, now() + interval '1 hour') RETURNING id"),
        ("account", "UPDATE accounts SET state = 'connected', password_sealed = 'sealed' WHERE tenant_id = $1"),
        ("modes", "UPDATE crm_connections SET mode = 'live' WHERE tenant_id = $1"),
        ("older", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, epoch, due_at) "
                  f"VALUES ($1, {connection}, 'lead', 'kwork:order:408', '{{}}', '', 'in_flight', 3, now())"),
        ("readings", "INSERT INTO first_readings (tenant_id, account_id, stream, started_at, finished_at) "
                     f"SELECT $1, {account}, s, now() - interval '10 years', now() - interval '10 years' FROM unnest(ARRAY['orders', 'messages']) s"),
        ("running", "INSERT INTO sync_runs (tenant_id, account_id, stream, state) "
                    f"VALUES ($1, {account}, 'contacts', 'running') RETURNING id"),
        ("done", "INSERT INTO sync_runs (tenant_id, account_id, stream, state, finished_at) "
                 f"VALUES ($1, {account}, 'orders', 'done', now())"),
        ("receiving", "INSERT INTO files (tenant_id, id, name, media_type, uploaded_by, created_at, expires_at) "
                      "VALUES ($1, gen_random_uuid(), 'x', 'text/plain', 'x', now() - interval '1 day', now()) RETURNING id"),
        ("event", "INSERT INTO events (tenant_id, id, type, subject, at, data) VALUES ($1, 2, 'message.received', 'x', now(), '{}')"),
        ("pending_hook", "INSERT INTO webhook_deliveries (tenant_id, webhook_id, event_id, type, due_at) "
                         "SELECT $1, webhook_id, 2, 'message.received', now() - interval '1 hour' FROM webhook_deliveries "
                         "WHERE tenant_id = $1 AND event_id = 1 RETURNING id"),
        ("moved", "UPDATE orders SET changed_at = now(), first_seen_at = now() WHERE tenant_id = $1"),
        ("dialog", f"UPDATE dialogs SET kwork_user_id = (SELECT buyer_id FROM orders WHERE tenant_id = $1 AND id = {order}) WHERE tenant_id = $1 AND kwork_user_id IS NOT NULL"),
        ("held", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, due_at) "
                 f"VALUES ($1, {connection}, 'lead', 'kwork:order:409', '{{}}', '', now() + interval '1 hour')"),
        ("owed", "INSERT INTO project_leads (tenant_id, project_id, connection_ids, due, reason_code) "
                 f"VALUES ($1, 6, ARRAY[{connection}], true, 'x')"),
        ("owed match", "INSERT INTO search_matches (tenant_id, project_id, search_id, search_name) SELECT $1, 6, id, name "
                       "FROM searches WHERE tenant_id = $1"),
        ("default_connection", "SELECT id FROM crm_connections WHERE tenant_id = $1 AND origin = 'settings'"),
        ("move", "SELECT id FROM crm_moves WHERE tenant_id = $1 ORDER BY seen_at LIMIT 1"),
        ("event address", "INSERT INTO crm_event_addresses (tenant_id, connection_id, secret_hash, issued_by) "
                          f"VALUES ($1, {connection}, sha256('a-secret-of-b'), 'x')"),
        ("crm schedule", "INSERT INTO crm_schedule (tenant_id, connection_id, stream, queued_at) "
                         f"SELECT $1, {connection}, s, now() FROM unnest(ARRAY['stages', 'notes']) s"),
        ("named lead", "INSERT INTO crm_named_leads (tenant_id, connection_id, external_id, named_at) "
                       f"VALUES ($1, {connection}, 'kwork:order:' || {order}, '2020-01-01')"),
        ("place", f"UPDATE crm_connections SET place = 'the place' WHERE tenant_id = $1 AND id = {connection}"),
        ("cut-off", "INSERT INTO token_cutoffs (tenant_id, subject, not_before) VALUES ($1, 'cut-off of b', '2020-01-01')"),
        ("trouble", "INSERT INTO crm_moves (tenant_id, connection_id, external_id, stage, key, account_id, order_id, action, "
                    f"payload, state, reason_code, seen_at) SELECT $1, {connection}, 'kwork:order:' || {order}, 'x', 'trouble', "
                    f"{account}, {order}, 'take_order', '{{}}', 'refused', 'x', '2020-01-01'"),
        ("mark unreadable", "INSERT INTO unreadable_secrets (tenant_id, place, key_name) VALUES ($1, 'x', 'k1')"),
        ("file", "UPDATE files SET used_by = (SELECT id FROM kwork_writes WHERE tenant_id = $1 AND state = 'unknown') WHERE tenant_id = $1"),
    ):  # fmt: skip
        found[name] = await owner.fetchval(statement, tenant)
    return found
