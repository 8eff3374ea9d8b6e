-- How a tenant wants things done; a key that is not there has its default.
CREATE TABLE tenant_settings (
    tenant_id   text PRIMARY KEY REFERENCES tenants,
    settings    jsonb NOT NULL DEFAULT '{}',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    updated_by  text NOT NULL
);

-- The ledger of what is sent to Kwork. It outlives the account: no foreign key to accounts.
CREATE TABLE kwork_writes (
    tenant_id        text NOT NULL REFERENCES tenants,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    account_id       uuid NOT NULL,
    parent_id        uuid,
    step             integer NOT NULL DEFAULT 0,
    is_parent        boolean NOT NULL DEFAULT false,
    action           text NOT NULL,
    target           text NOT NULL,
    payload          jsonb NOT NULL,
    payload_hash     bytea NOT NULL,
    idempotency_key  text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    actor            text NOT NULL,
    mode             text NOT NULL CHECK (mode IN ('direct', 'approval')),
    state            text NOT NULL CHECK (state IN (
                         'prepared', 'confirmed', 'committing', 'succeeded', 'refused', 'unknown',
                         'reconciled_done', 'reconciled_absent', 'cancelled', 'expired')),
    outcome          jsonb NOT NULL DEFAULT '{}',
    problem          jsonb,
    plan             jsonb NOT NULL DEFAULT '[]',
    cost_connects    integer NOT NULL DEFAULT 0,
    lookups          integer NOT NULL DEFAULT 0,
    holder           text,
    epoch            bigint NOT NULL DEFAULT 0,
    held_until       timestamptz,
    due_at           timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    confirmed_at     timestamptz,
    confirmed_by     text,
    committed_at     timestamptz,
    settled_at       timestamptz,
    resolved_by      text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES kwork_writes,
    -- Nothing that was marked as on its way can look as if it never was.
    CHECK (committed_at IS NOT NULL OR state NOT IN ('committing', 'unknown', 'reconciled_done', 'reconciled_absent')),
    CHECK (committed_at IS NULL OR state NOT IN ('prepared', 'confirmed', 'cancelled', 'expired'))
);
CREATE UNIQUE INDEX kwork_writes_key ON kwork_writes (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- One write of an account at a time may be on its way to a target, or be unclear there.
CREATE UNIQUE INDEX kwork_writes_target ON kwork_writes (tenant_id, account_id, target)
    WHERE state IN ('committing', 'unknown') AND NOT is_parent;
CREATE INDEX kwork_writes_standing ON kwork_writes (tenant_id, due_at)
    WHERE state IN ('prepared', 'confirmed', 'committing', 'unknown');
CREATE INDEX kwork_writes_recent ON kwork_writes (tenant_id, account_id, created_at DESC);
CREATE INDEX kwork_writes_steps ON kwork_writes (tenant_id, parent_id, step) WHERE parent_id IS NOT NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant_settings', 'kwork_writes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_isolation ON %I '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')) '
            'WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), ''''))', name);
    END LOOP;
END $$;
