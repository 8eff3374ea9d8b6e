-- Access: machines' keys, tokens that end before their time, tenants that are switched off -------------

ALTER TABLE tenants ADD COLUMN disabled_at timestamptz;

-- A person's tokens made before this moment count no more, the gateway's as well as ours.
CREATE TABLE token_cutoffs (
    tenant_id   text NOT NULL REFERENCES tenants,
    subject     text NOT NULL CHECK (length(subject) <= 320),
    not_before  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subject)
);

CREATE TABLE api_keys (
    tenant_id     text NOT NULL REFERENCES tenants,
    id            uuid NOT NULL DEFAULT gen_random_uuid(),
    name          text NOT NULL,
    prefix        text NOT NULL,          -- the beginning of the key, to recognise it by
    hash          bytea NOT NULL,         -- SHA-256: the key holds 256 random bits, so nothing slower is needed
    role          text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    scopes        text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    text NOT NULL,
    expires_at    timestamptz,
    last_used_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);
CREATE INDEX api_keys_hash ON api_keys (hash);

-- A key is known before its tenant is: exactly the row of this hash can be read.
CREATE POLICY key_lookup ON api_keys FOR SELECT
    USING (hash = decode(nullif(current_setting('app.key_hash', true), ''), 'hex'));

-- Pages of the audit by time; by its id they need none.
CREATE INDEX audit_at ON audit (tenant_id, at);
