-- When each connection's own work is due: looking where its leads stand (`stages`), queueing notes (`notes`). Rows are
-- there for connections whose mapping wants it. Times are of the database's clock.
CREATE TABLE crm_schedule (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    stream         text NOT NULL CHECK (stream IN ('stages', 'notes')),
    next_at        timestamptz NOT NULL DEFAULT now(),
    whole_at       timestamptz NOT NULL DEFAULT now(),  -- when everything is looked at again, not only what was named
    named_at       timestamptz,                     -- the CRM named leads then, and they were not looked at since
    queued_at      timestamptz,                     -- a job for it waits or runs since then
    last_at        timestamptz,                     -- when it was done last
    failures       integer NOT NULL DEFAULT 0,      -- in a row
    reason         text,                            -- code of the last failure
    PRIMARY KEY (tenant_id, connection_id, stream),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
CREATE INDEX crm_schedule_due ON crm_schedule (next_at) WHERE queued_at IS NULL;

-- Where a connection's CRM tells of changes. The secret in the address is kept as its hash only.
CREATE TABLE crm_event_addresses (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    secret_hash    bytea NOT NULL,
    issued_at      timestamptz NOT NULL DEFAULT now(),
    issued_by      text NOT NULL,
    events         bigint NOT NULL DEFAULT 0,
    last_event_at  timestamptz,
    PRIMARY KEY (tenant_id, connection_id),
    UNIQUE (secret_hash, tenant_id),                -- looked up by the hash alone: it is random
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);

-- Leads of ours that the CRM named and that were not looked at since. However often it names one: one row.
CREATE TABLE crm_named_leads (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    external_id    text NOT NULL,
    named_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, connection_id, external_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
CREATE INDEX crm_links_of_leads ON crm_links (tenant_id, connection_id, crm_id) WHERE entity = 'lead';

-- Which CRM it is, so that a tenant connects each one once; NULL: nobody can tell, or it was made before this.
ALTER TABLE crm_connections ADD COLUMN place text;
CREATE UNIQUE INDEX crm_connections_place ON crm_connections (tenant_id, kind, place);

ALTER TABLE crm_connections NO FORCE ROW LEVEL SECURITY;
INSERT INTO crm_schedule (tenant_id, connection_id, stream)
SELECT c.tenant_id, c.id, s.stream
FROM crm_connections c, (VALUES ('stages'), ('notes')) AS s (stream)
WHERE CASE s.stream
          WHEN 'stages' THEN c.mode = 'live' AND c.mapping -> 'back' IS NOT NULL
          ELSE c.mode <> 'preview' AND c.mapping -> 'notes' IS NOT NULL END;
ALTER TABLE crm_connections FORCE ROW LEVEL SECURITY;

-- The scheduler belongs to no tenant: it sees what is due, of all of them.
CREATE POLICY scheduler ON crm_schedule USING (nullif(current_setting('app.scheduler', true), '') = 'on');
CREATE POLICY scheduler ON event_heads FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on');
CREATE POLICY scheduler ON crm_note_marks FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on');
CREATE POLICY scheduler ON searches FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on' AND enabled);
-- Whoever knows the secret of an address sees whose it is, and nothing else.
CREATE POLICY secret_holder ON crm_event_addresses FOR SELECT
    USING (secret_hash = decode(nullif(current_setting('app.crm_event_secret', true), ''), 'hex'));
