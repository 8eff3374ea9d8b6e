-- Shared tables: the same for every tenant ---------------------------------------------------------

CREATE TABLE tenants (
    id          text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- The exchange is the same for everybody: read once, kept without a tenant.
CREATE TABLE market_projects (
    id                  bigint PRIMARY KEY,
    title               text NOT NULL,
    description         text NOT NULL,
    status              text NOT NULL,
    category_id         bigint,
    parent_category_id  bigint,
    price_kopecks       bigint NOT NULL,
    max_price_kopecks   bigint NOT NULL,
    currency            text NOT NULL,
    buyer_id            bigint,
    buyer_username      text NOT NULL,
    offers              integer,
    created_at          timestamptz,
    active_at           timestamptz,
    expires_at          timestamptz,
    url                 text NOT NULL,
    details             jsonb NOT NULL,
    content_hash        bytea NOT NULL,
    first_seen_at       timestamptz NOT NULL DEFAULT now(),
    changed_at          timestamptz NOT NULL DEFAULT now(),
    missing_since       timestamptz
);
CREATE INDEX market_projects_active ON market_projects (active_at DESC NULLS LAST, id DESC);
CREATE INDEX market_projects_category ON market_projects (category_id, active_at DESC NULLS LAST, id DESC);

CREATE TABLE market_reads (
    stream        text PRIMARY KEY,
    state         text NOT NULL,
    checkpoint    jsonb NOT NULL DEFAULT '{}',
    holder        text,
    lease_until   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    reason        text
);

CREATE TABLE kwork_categories (
    id         bigint PRIMARY KEY,
    parent_id  bigint,
    name       text NOT NULL,
    slug       text,
    read_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE kwork_users (
    id        bigint PRIMARY KEY,
    username  text NOT NULL,
    profile   jsonb NOT NULL,
    read_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX kwork_users_username ON kwork_users (lower(username));

-- People and their tokens ---------------------------------------------------------------------------

CREATE TABLE users (
    tenant_id      text NOT NULL REFERENCES tenants,
    id             uuid NOT NULL DEFAULT gen_random_uuid(),
    email          text NOT NULL,
    password_hash  text NOT NULL,
    role           text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    disabled_at    timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX users_email ON users (tenant_id, lower(email));
CREATE INDEX users_login ON users (lower(email));

CREATE TABLE revoked_tokens (
    tenant_id   text NOT NULL REFERENCES tenants,
    jti         text NOT NULL CHECK (length(jti) <= 128),
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, jti)
);

-- Kwork accounts ------------------------------------------------------------------------------------

CREATE TABLE accounts (
    tenant_id        text NOT NULL REFERENCES tenants,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    title            text NOT NULL,
    login            text NOT NULL,
    password_sealed  bytea,
    kwork_user_id    bigint,
    username         text,
    state            text NOT NULL DEFAULT 'new',
    state_code       text,
    state_detail     text,
    state_since      timestamptz NOT NULL DEFAULT now(),
    blocked_until    timestamptz,
    last_checked_at  timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX accounts_login ON accounts (tenant_id, lower(login));
CREATE UNIQUE INDEX accounts_kwork_user ON accounts (tenant_id, kwork_user_id) WHERE kwork_user_id IS NOT NULL;

CREATE TABLE account_sessions (
    tenant_id   text NOT NULL,
    account_id  uuid NOT NULL,
    surface     text NOT NULL CHECK (surface IN ('web', 'mobile')),
    sealed      bytea NOT NULL,
    saved_at    timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    PRIMARY KEY (tenant_id, account_id, surface),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);

-- Kwork blocks an address after a few sign-ins within minutes: counted durably.
CREATE TABLE sign_ins (
    tenant_id   text NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    account_id  uuid NOT NULL,
    surface     text NOT NULL CHECK (surface IN ('web', 'mobile')),
    at          timestamptz NOT NULL DEFAULT now(),
    outcome     text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX sign_ins_recent ON sign_ins (tenant_id, account_id, surface, at DESC);

-- What is read from an account ----------------------------------------------------------------------

CREATE TABLE orders (
    tenant_id         text NOT NULL,
    id                bigint NOT NULL,
    account_id        uuid NOT NULL,
    title             text NOT NULL,
    status            text NOT NULL,
    price_kopecks     bigint,
    currency          text NOT NULL,
    buyer_id          bigint,
    buyer_username    text NOT NULL,
    url               text NOT NULL,
    created_at        timestamptz,
    deadline_at       timestamptz,
    details           jsonb NOT NULL,
    content_hash      bytea NOT NULL,
    first_seen_at     timestamptz NOT NULL DEFAULT now(),
    changed_at        timestamptz NOT NULL DEFAULT now(),
    details_read_at   timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX orders_created ON orders (tenant_id, created_at DESC NULLS LAST, id DESC);
CREATE INDEX orders_account ON orders (tenant_id, account_id, id DESC);

CREATE TABLE order_events (
    tenant_id  text NOT NULL,
    order_id   bigint NOT NULL,
    id         bigint NOT NULL,
    kind       text NOT NULL,
    at         timestamptz NOT NULL,
    details    jsonb NOT NULL,
    PRIMARY KEY (tenant_id, order_id, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders ON DELETE CASCADE
);

CREATE TABLE gigs (
    tenant_id      text NOT NULL,
    id             bigint NOT NULL,
    account_id     uuid NOT NULL,
    title          text NOT NULL,
    state          text NOT NULL,
    category_id    bigint,
    price_kopecks  bigint,
    currency       text NOT NULL,
    url            text NOT NULL,
    details        jsonb NOT NULL,
    content_hash   bytea NOT NULL,
    first_seen_at  timestamptz NOT NULL DEFAULT now(),
    changed_at     timestamptz NOT NULL DEFAULT now(),
    missing_since  timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX gigs_account ON gigs (tenant_id, account_id, id);

CREATE TABLE dialogs (
    tenant_id         text NOT NULL,
    id                uuid NOT NULL DEFAULT gen_random_uuid(),
    account_id        uuid NOT NULL,
    username          text NOT NULL,
    kwork_user_id     bigint,
    unread            integer NOT NULL,
    last_message_at   timestamptz,
    details           jsonb NOT NULL,
    content_hash      bytea NOT NULL,
    first_seen_at     timestamptz NOT NULL DEFAULT now(),
    changed_at        timestamptz NOT NULL DEFAULT now(),
    messages_read_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE UNIQUE INDEX dialogs_partner ON dialogs (tenant_id, account_id, lower(username));
CREATE INDEX dialogs_recent ON dialogs (tenant_id, last_message_at DESC NULLS LAST, id);

CREATE TABLE messages (
    tenant_id  text NOT NULL,
    dialog_id  uuid NOT NULL,
    id         bigint NOT NULL,
    incoming   boolean NOT NULL,
    sent_at    timestamptz NOT NULL,
    text       text NOT NULL,
    details    jsonb NOT NULL,
    PRIMARY KEY (tenant_id, dialog_id, id),
    FOREIGN KEY (tenant_id, dialog_id) REFERENCES dialogs ON DELETE CASCADE
);
CREATE INDEX messages_recent ON messages (tenant_id, dialog_id, sent_at DESC, id DESC);

-- What goes to the CRM ------------------------------------------------------------------------------

CREATE TABLE crm_connections (
    tenant_id   text NOT NULL REFERENCES tenants,
    id          uuid NOT NULL DEFAULT gen_random_uuid(),
    kind        text NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE sync_runs (
    tenant_id    text NOT NULL REFERENCES tenants,
    id           uuid NOT NULL DEFAULT gen_random_uuid(),
    account_id   uuid,
    stream       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'interrupted')),
    request      jsonb NOT NULL DEFAULT '{}',
    checkpoint   jsonb NOT NULL DEFAULT '{}',
    counts       jsonb NOT NULL DEFAULT '{}',
    reason_code  text,
    reason       text,
    epoch        bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX sync_runs_recent ON sync_runs (tenant_id, started_at DESC);

-- One sync of an account at a time. ``subject`` is the account's id, or ``exchange`` for the tenant's projects.
CREATE TABLE sync_leases (
    tenant_id    text NOT NULL REFERENCES tenants,
    subject      text NOT NULL,
    run_id       uuid,
    holder       text NOT NULL,
    epoch        bigint NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);

CREATE TABLE crm_links (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    entity         text NOT NULL CHECK (entity IN ('lead', 'contact')),
    external_id    text NOT NULL,
    crm_id         text NOT NULL,
    payload_hash   bytea NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, entity, external_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);

-- The outbox: a row for everything that must reach the CRM, written with what caused it.
CREATE TABLE deliveries (
    tenant_id      text NOT NULL,
    id             bigint GENERATED ALWAYS AS IDENTITY,
    connection_id  uuid NOT NULL,
    entity         text NOT NULL CHECK (entity IN ('lead', 'contact')),
    external_id    text NOT NULL,
    run_id         uuid,
    payload        jsonb NOT NULL,
    payload_hash   bytea NOT NULL,
    state          text NOT NULL DEFAULT 'pending'
                   CHECK (state IN ('pending', 'in_flight', 'retry', 'unknown', 'parked', 'done')),
    attempts       integer NOT NULL DEFAULT 0,
    lookups        integer NOT NULL DEFAULT 0,
    epoch          bigint NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    reason_code    text,
    reason         text,
    outcome        text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    sent_at        timestamptz,
    sent_hash      bytea,
    settled_at     timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
-- At most one unsettled delivery per key: a newer payload replaces the waiting one.
CREATE UNIQUE INDEX deliveries_open ON deliveries (tenant_id, connection_id, entity, external_id)
    WHERE state <> 'done';
CREATE INDEX deliveries_due ON deliveries (tenant_id, connection_id, due_at)
    WHERE state IN ('pending', 'retry', 'unknown', 'in_flight');
CREATE INDEX deliveries_run ON deliveries (tenant_id, run_id);

CREATE TABLE audit (
    tenant_id  text NOT NULL REFERENCES tenants,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    details    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id)
);

-- Row-level security: every table with a tenant, enabled and forced ---------------------------------

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.table_name FROM information_schema.columns c
        WHERE c.table_schema = current_schema() AND c.column_name = 'tenant_id'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_isolation ON %I '
            'USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')) '
            'WITH CHECK (tenant_id = nullif(current_setting(''app.tenant_id'', true), ''''))', name);
    END LOOP;
END $$;

-- Signing in knows an e-mail, not yet a tenant: exactly the rows of that e-mail can be read.
CREATE POLICY login_lookup ON users FOR SELECT
    USING (lower(email) = nullif(current_setting('app.login_email', true), ''));
