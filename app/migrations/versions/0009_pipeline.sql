-- What a person needs to judge a delivery: what queued it, what was asked of the CRM and what it answered.
ALTER TABLE deliveries
    ADD COLUMN cause text NOT NULL DEFAULT 'run' CHECK (cause IN ('run', 'person', 'search')),
    ADD COLUMN request jsonb,
    ADD COLUMN answer jsonb,
    ADD COLUMN discarded_by text,
    ADD COLUMN discard_reason text;

-- Notes: lines on a lead's timeline. `discarded`: a person (or a CRM without notes) said that it shall not be sent.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_entity_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_entity_check CHECK (entity IN ('lead', 'contact', 'note'));
ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_state_check
    CHECK (state IN ('pending', 'in_flight', 'retry', 'unknown', 'parked', 'discarded', 'done'));
ALTER TABLE crm_links DROP CONSTRAINT crm_links_entity_check;
ALTER TABLE crm_links ADD CONSTRAINT crm_links_entity_check CHECK (entity IN ('lead', 'contact', 'note'));

DROP INDEX deliveries_open;
CREATE UNIQUE INDEX deliveries_open ON deliveries (tenant_id, connection_id, entity, external_id)
    WHERE state NOT IN ('done', 'discarded');
CREATE INDEX deliveries_discarded ON deliveries (tenant_id, connection_id, entity, external_id)
    WHERE state = 'discarded';
CREATE INDEX deliveries_parked ON deliveries (tenant_id, id DESC) WHERE state = 'parked';
-- The notes of a lead leave in their order: the oldest that waits is found here.
CREATE INDEX deliveries_notes ON deliveries
    (tenant_id, connection_id, (payload ->> 'lead_external_id'), (payload ->> 'at'), id)
    WHERE entity = 'note' AND state IN ('pending', 'retry', 'unknown', 'in_flight');

-- Whether a CRM answers, from real traffic, and until when it is left alone; shared by all workers.
CREATE TABLE crm_health (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    ok             boolean NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    code           text,
    detail         text,
    failures       integer NOT NULL DEFAULT 0,
    opened_at      timestamptz,
    openings       integer NOT NULL DEFAULT 0,
    paused_until   timestamptz,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);

-- One open problem per cause.
CREATE TABLE crm_problems (
    tenant_id      text NOT NULL,
    id             uuid NOT NULL DEFAULT gen_random_uuid(),
    connection_id  uuid NOT NULL,
    code           text NOT NULL,
    subject        text NOT NULL,
    detail         text,
    count          bigint NOT NULL DEFAULT 1,
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    last_seen_at   timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
CREATE UNIQUE INDEX crm_problems_open ON crm_problems (tenant_id, connection_id, code, subject)
    WHERE closed_at IS NULL;
CREATE INDEX crm_problems_recent ON crm_problems (tenant_id, last_seen_at DESC, id DESC);
