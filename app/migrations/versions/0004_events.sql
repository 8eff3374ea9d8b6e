-- What the outside is told ---------------------------------------------------------------------------

-- Where a tenant's numbering stands. Whoever adds events updates this row as the last thing of its transaction and
-- holds it until the commit: so ids become visible in their order, and a reader that has seen one has seen all below.
CREATE TABLE event_heads (
    tenant_id  text PRIMARY KEY REFERENCES tenants,
    last_id    bigint NOT NULL,
    swept_id   bigint NOT NULL DEFAULT 0  -- highest id that was removed for its age: readers behind it lost events
);

-- Without a foreign key to accounts on purpose: its check would wait for an account's row while the head is held,
-- and whoever holds that row may be waiting for the head.
CREATE TABLE events (
    tenant_id   text NOT NULL,
    id          bigint NOT NULL,
    type        text NOT NULL,
    subject     text NOT NULL,
    account_id  uuid,
    at          timestamptz NOT NULL,
    data        jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX events_at ON events (tenant_id, at);

-- Since when an account's stream is known whole: what is older was never news.
CREATE TABLE first_readings (
    tenant_id   text NOT NULL,
    account_id  uuid NOT NULL,
    stream      text NOT NULL CHECK (stream IN ('orders', 'messages')),
    started_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, stream),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);

-- Webhooks -------------------------------------------------------------------------------------------

CREATE TABLE webhooks (
    tenant_id        text NOT NULL REFERENCES tenants,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    url              text NOT NULL,
    description      text NOT NULL,
    types            text[] NOT NULL,           -- empty: all
    active           boolean NOT NULL,
    disabled_code    text,                      -- switched off by the service: why
    disabled_detail  text,
    disabled_at      timestamptz,
    queued_id        bigint NOT NULL,           -- events up to this one have been queued
    failures         integer NOT NULL DEFAULT 0,  -- attempts in a row that failed
    failing_since    timestamptz,
    retry_at         timestamptz,               -- no attempt before this moment
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE webhook_secrets (
    tenant_id   text NOT NULL,
    id          uuid NOT NULL DEFAULT gen_random_uuid(),
    webhook_id  uuid NOT NULL,
    sealed      bytea NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at     timestamptz,                    -- the old one of a rotation signs until then
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks ON DELETE CASCADE
);
CREATE INDEX webhook_secrets_webhook ON webhook_secrets (tenant_id, webhook_id, made_at DESC);

CREATE TABLE webhook_deliveries (
    tenant_id        text NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    webhook_id       uuid NOT NULL,
    event_id         bigint,                    -- NULL: the test button
    type             text NOT NULL,
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts         integer NOT NULL DEFAULT 0,
    due_at           timestamptz NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    attempted_at     timestamptz,
    milliseconds     integer,
    status           integer,                   -- of the last answer
    answer           text,                      -- its first characters
    error            text,                      -- why there was no answer, or why it was not taken for a yes
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, webhook_id, event_id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, event_id) REFERENCES events ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (tenant_id, webhook_id, event_id)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_recent ON webhook_deliveries (tenant_id, webhook_id, created_at DESC, id);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (tenant_id, event_id);

-- Row-level security, as everywhere --------------------------------------------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'event_heads', 'events', 'first_readings', 'webhooks', 'webhook_secrets', 'webhook_deliveries']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_isolation ON %I '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')) '
            'WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), ''''))', name);
    END LOOP;
END $$;
