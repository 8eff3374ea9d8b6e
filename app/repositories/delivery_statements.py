"""The outbox's statements. ``$1`` is the tenant, ``$2`` the connection."""

ENQUEUE = """
WITH connection AS (
    SELECT c.announce_from, c.mapping, t.restored_at FROM crm_connections c JOIN tenants t ON t.id = c.tenant_id
    WHERE c.tenant_id = $1 AND c.id = $2 AND c.mode <> 'preview'
), incoming AS (
    SELECT DISTINCT ON (i.entity, i.external_id) i.entity, i.external_id, i.payload,
           decode(i.payload_hash, 'hex') AS hash, i.hold_seconds, i.appeared_at
    FROM jsonb_to_recordset($4::jsonb) AS i (
        entity text, external_id text, payload jsonb, payload_hash text, hold_seconds float, appeared_at timestamptz)
), needed AS (
    SELECT i.*, CASE WHEN l.crm_id IS NULL THEN i.hold_seconds ELSE 0 END AS held,
           -- A database restored from a backup does not know what it sent after that: asked for before it is created.
           l.crm_id IS NULL AND i.entity <> 'note' AND c.restored_at IS NOT NULL
               AND (i.appeared_at >= c.restored_at) IS NOT TRUE AS look_up
    FROM incoming i CROSS JOIN connection c
    LEFT JOIN crm_links l ON l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = i.entity
                         AND l.external_id = i.external_id
    WHERE EXISTS (SELECT 1 FROM deliveries d
                  WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = i.entity
                    AND d.external_id = i.external_id AND d.state NOT IN ('done', 'discarded'))
       OR l.payload_hash IS DISTINCT FROM i.hash
          -- What the CRM does not have is sent only where it is new enough, and of a kind that the mapping takes.
          AND (l.crm_id IS NOT NULL
               OR (i.appeared_at < c.announce_from) IS NOT TRUE
                  AND (i.entity <> 'lead' OR c.mapping -> 'kinds' IS NULL
                       OR c.mapping -> 'kinds' ? (i.payload -> 'metadata' ->> 'kwork_kind')))
          AND NOT EXISTS (SELECT 1 FROM deliveries d
                          WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = i.entity
                            AND d.external_id = i.external_id AND d.state = 'discarded'
                            AND d.payload_hash = i.hash)
), queued AS (
    INSERT INTO deliveries AS d (
        tenant_id, connection_id, entity, external_id, run_id, payload, payload_hash, due_at, cause, state, sent_at,
        sent_hash)
    SELECT $1::text, $2::uuid, n.entity, n.external_id, $3::uuid, n.payload, n.hash,
           now() + make_interval(secs => n.held), $5::text, CASE WHEN n.look_up THEN 'unknown' ELSE 'pending' END,
           CASE WHEN n.look_up THEN now() END, CASE WHEN n.look_up THEN n.hash END
    FROM needed n
    ON CONFLICT (tenant_id, connection_id, entity, external_id) WHERE state NOT IN ('done', 'discarded')
    DO UPDATE SET
        run_id = coalesce(excluded.run_id, d.run_id), payload = excluded.payload,
        payload_hash = excluded.payload_hash, cause = excluded.cause,
        state = CASE WHEN d.state = 'parked' AND d.payload_hash <> excluded.payload_hash
                     THEN CASE WHEN d.reason_code = 'unclear_outcome' THEN 'unknown' ELSE 'pending' END
                     ELSE d.state END,
        due_at = CASE WHEN d.state = 'parked' AND d.payload_hash <> excluded.payload_hash
                      THEN now()
                      WHEN d.state IN ('pending', 'unknown') AND d.attempts = 0
                      THEN least(d.due_at, excluded.due_at)
                      ELSE d.due_at END
    RETURNING 1
)
SELECT count(*) FROM queued
"""

# Links are looked up one by one, with every column of their key: joined, a planner that has not seen the tables
# grow yet compares each claimed row with each link. For the same reason the open contact is named by what its index
# (deliveries_open) covers.
CLAIM = """
WITH due AS (
    SELECT d.tenant_id, d.id, d.state = 'unknown' AS was_unknown FROM deliveries d
    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = $4
      AND d.state IN ('pending', 'retry', 'unknown') AND d.due_at <= now()
    ORDER BY d.due_at LIMIT $5
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE deliveries d SET state = 'in_flight', epoch = $3, attempts = d.attempts + 1,
        sent_at = CASE WHEN due.was_unknown THEN d.sent_at ELSE now() END,
        sent_hash = CASE WHEN due.was_unknown THEN d.sent_hash ELSE d.payload_hash END
    FROM due WHERE d.tenant_id = due.tenant_id AND d.id = due.id
    RETURNING d.id, d.entity, d.external_id, d.payload, d.payload_hash, d.attempts, d.lookups,
              extract(epoch FROM now() - d.sent_at)::float AS unclear_seconds, d.sent_hash, due.was_unknown
)
SELECT c.*, l.crm_id, l.payload_hash AS linked_hash, l.sent, l.put_stage, k.crm_id AS contact_id,
       k.crm_id IS NULL AND EXISTS (
           SELECT 1 FROM deliveries o
           WHERE o.tenant_id = $1 AND o.connection_id = $2 AND o.entity = 'contact'
             AND o.external_id = c.payload ->> 'contact_external_id'
             AND o.state NOT IN ('done', 'discarded') AND o.state <> 'parked') AS contact_open
FROM claimed c
LEFT JOIN LATERAL (
    SELECT i.crm_id, i.payload_hash, i.sent, i.put_stage FROM crm_links i
    WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = c.entity AND i.external_id = c.external_id
    LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT i.crm_id FROM crm_links i
    WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = 'contact'
      AND i.external_id = c.payload ->> 'contact_external_id'
    LIMIT 1) k ON true
ORDER BY c.id
"""

OLDEST_OF_ITS_LEAD = """
    EXISTS (SELECT 1 FROM crm_links i
            WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = 'lead'
              AND i.external_id = d.payload ->> 'lead_external_id')
    AND NOT EXISTS (SELECT 1 FROM deliveries e
                    WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.entity = 'note'
                      AND e.state IN ('pending', 'retry', 'unknown', 'in_flight')
                      AND e.payload ->> 'lead_external_id' = d.payload ->> 'lead_external_id'
                      AND (e.payload ->> 'at', e.id) < (d.payload ->> 'at', d.id))
"""

CLAIM_NOTES = f"""
WITH due AS (
    SELECT d.tenant_id, d.id, d.state = 'unknown' AS was_unknown FROM deliveries d
    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = $4
      AND d.state IN ('pending', 'retry', 'unknown') AND d.due_at <= now() AND {OLDEST_OF_ITS_LEAD}
    ORDER BY d.due_at LIMIT $5
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE deliveries d SET state = 'in_flight', epoch = $3, attempts = d.attempts + 1, sent_at = now(),
        sent_hash = d.payload_hash
    FROM due WHERE d.tenant_id = due.tenant_id AND d.id = due.id
    RETURNING d.id, d.entity, d.external_id, d.payload, d.payload_hash, d.attempts, d.lookups,
              extract(epoch FROM now() - d.sent_at)::float AS unclear_seconds, d.sent_hash, due.was_unknown
)
SELECT c.*, l.crm_id, l.payload_hash AS linked_hash, NULL AS contact_id, false AS contact_open,
       (SELECT i.crm_id FROM crm_links i
        WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = 'lead'
          AND i.external_id = c.payload ->> 'lead_external_id') AS lead_id
FROM claimed c
LEFT JOIN LATERAL (
    SELECT i.crm_id, i.payload_hash FROM crm_links i
    WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = c.entity AND i.external_id = c.external_id
    LIMIT 1) l ON true
ORDER BY c.payload ->> 'at', c.id
"""  # noqa: S608 - put together from what is written above

UNTIL_DUE = f"""
SELECT greatest(0, extract(epoch FROM greatest(min(d.due_at), (
           SELECT h.paused_until FROM crm_health h WHERE h.tenant_id = $1 AND h.connection_id = $2)) - now()))::float
FROM deliveries d
WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.state IN ('pending', 'retry', 'unknown', 'in_flight')
  AND (d.entity <> 'note' OR {OLDEST_OF_ITS_LEAD})
HAVING count(*) > 0
"""  # noqa: S608

DROP = """
INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, run_id, payload, payload_hash, state,
                        reason_code, reason, discarded_by, settled_at)
SELECT $1::text, $2::uuid, i.entity, i.external_id, $3::uuid, i.payload, decode(i.payload_hash, 'hex'),
       'discarded', $5::text, $6::text, 'service', now()
FROM jsonb_to_recordset($4::jsonb) AS i (entity text, external_id text, payload jsonb, payload_hash text)
WHERE NOT EXISTS (SELECT 1 FROM deliveries d
                  WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = i.entity
                    AND d.external_id = i.external_id AND d.state = 'discarded'
                    AND d.payload_hash = decode(i.payload_hash, 'hex'))
"""

# A payload that changed while the older one was on its way goes out next: the row is pending again. What became unclear
# may have reached the CRM as late as now: since the claim it waited for its turn, and then for an answer.
SETTLE = """
WITH settled AS (
    SELECT s.*, decode(s.link_hash, 'hex') AS hash
    FROM jsonb_to_recordset($4::jsonb) AS s (
        id bigint, state text, outcome text, crm_id text, link_hash text, delay float, reason_code text,
        reason text, looked_up integer, sent integer, record jsonb, put_stage text, request jsonb, answer jsonb)
), updated AS (
    UPDATE deliveries d SET
        state = CASE WHEN d.payload_hash <> d.sent_hash
                          AND (s.state = 'done' OR s.state = 'parked' AND s.reason_code <> 'unclear_outcome')
                     THEN 'pending' ELSE s.state END,
        request = CASE WHEN s.state = 'done' THEN NULL ELSE coalesce(s.request, d.request) END,
        answer = CASE WHEN s.state = 'done' THEN NULL WHEN s.request IS NULL THEN d.answer ELSE s.answer END,
        outcome = s.outcome, reason_code = s.reason_code, reason = s.reason,
        attempts = d.attempts - (1 - s.sent), lookups = CASE WHEN s.state = 'done' THEN 0 ELSE d.lookups + s.looked_up END,
        due_at = now() + make_interval(secs => s.delay),
        sent_at = CASE WHEN s.state = 'unknown' AND s.sent = 1 AND s.looked_up = 0 THEN now() ELSE d.sent_at END,
        settled_at = CASE WHEN s.state IN ('done', 'parked') THEN now() END
    FROM settled s
    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.id = s.id AND d.state = 'in_flight' AND d.epoch = $3
    RETURNING d.entity, d.external_id, s.crm_id, s.hash, s.record, s.put_stage
), linked AS (
    INSERT INTO crm_links AS l (
        tenant_id, connection_id, entity, external_id, crm_id, payload_hash, sent, put_stage, seen_stage)
    SELECT $1::text, $2::uuid, u.entity, u.external_id, u.crm_id, u.hash, u.record, u.put_stage, u.put_stage
    FROM updated u WHERE u.crm_id IS NOT NULL
    ON CONFLICT (tenant_id, connection_id, entity, external_id) DO UPDATE SET
        crm_id = excluded.crm_id, payload_hash = excluded.payload_hash, updated_at = now(),
        sent = coalesce(excluded.sent, l.sent), put_stage = coalesce(excluded.put_stage, l.put_stage),
        -- A stage of ours is no person's move: where we put a lead is where it was seen.
        seen_stage = CASE WHEN excluded.put_stage IS DISTINCT FROM l.put_stage
                          THEN coalesce(excluded.put_stage, l.seen_stage) ELSE l.seen_stage END
)
SELECT count(*) FROM updated
"""
