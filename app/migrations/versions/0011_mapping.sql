ALTER TABLE crm_links
    ADD COLUMN sent        jsonb,        -- the record as it was sent last, after the mapping
    ADD COLUMN put_stage   text,         -- where we put the lead last; another stage there was set by a person
    ADD COLUMN seen_stage  text,         -- where the CRM showed it last ...
    ADD COLUMN seen_at     timestamptz;  -- ... and since when, by the CRM's clock

-- A lead that a person moved in the CRM, where the tenant's mapping says that this causes something on Kwork.
CREATE TABLE crm_moves (
    tenant_id       text NOT NULL,
    id              uuid NOT NULL DEFAULT gen_random_uuid(),
    connection_id   uuid NOT NULL,
    external_id     text NOT NULL,
    stage           text NOT NULL,
    changed_at      timestamptz,
    -- Link, stage and moment: the same observation makes no second move, and no second write on Kwork.
    key             text NOT NULL,
    account_id      uuid NOT NULL,
    order_id        bigint NOT NULL,
    action          text NOT NULL,
    payload         jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'asked', 'refused')),
    write_id        uuid,
    reason_code     text,
    reason          text,
    seen_at         timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, connection_id, key),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX crm_moves_recent ON crm_moves (tenant_id, connection_id, seen_at DESC, id);
CREATE INDEX crm_moves_wanted ON crm_moves (tenant_id, connection_id) WHERE state = 'wanted';

-- Up to which event of the tenant's log a connection's notes have been queued.
CREATE TABLE crm_note_marks (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    event_id       bigint NOT NULL,
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
