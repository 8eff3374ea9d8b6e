-- Connections that tenants make themselves stand beside the one that the settings describe.
ALTER TABLE crm_connections
    ADD COLUMN origin          text NOT NULL DEFAULT 'settings' CHECK (origin IN ('settings', 'api')),
    ADD COLUMN mode            text NOT NULL DEFAULT 'live' CHECK (mode IN ('preview', 'live', 'paused')),
    ADD COLUMN address         text,         -- what is called, without any secret; NULL: the settings say it
    ADD COLUMN settings        jsonb NOT NULL DEFAULT '{}',    -- without secrets
    ADD COLUMN secrets_sealed  bytea,
    ADD COLUMN secret_names    text[] NOT NULL DEFAULT '{}',   -- which are sealed, so that it can be told unopened
    ADD COLUMN mapping         jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN announce_from   timestamptz,  -- what is older becomes no new lead by itself; NULL: everything does
    ADD COLUMN check_report    jsonb,
    ADD COLUMN checked_at      timestamptz,
    ADD COLUMN set_up_at       timestamptz,
    ADD COLUMN version         integer NOT NULL DEFAULT 1,     -- a worker that opened an older one claims no more
    ADD COLUMN updated_at      timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN updated_by      text,
    ADD CHECK (origin = 'api' OR (settings = '{}' AND secrets_sealed IS NULL));
CREATE UNIQUE INDEX crm_connections_of_settings ON crm_connections (tenant_id) WHERE origin = 'settings';

-- OAuth tokens that a CRM granted to a connection; a refresh token works once, so the newest ones are the only ones.
CREATE TABLE crm_tokens (
    tenant_id      text NOT NULL,
    connection_id  uuid NOT NULL,
    sealed         bytea NOT NULL,
    saved_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id),
    FOREIGN KEY (tenant_id, connection_id) REFERENCES crm_connections ON DELETE CASCADE
);
