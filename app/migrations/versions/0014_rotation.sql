-- The key changes under a session that somebody has open: what it was sealed as before (SHA-256), so that its holder
-- still finds it in order to renew or to lose it.
ALTER TABLE account_sessions ADD COLUMN resealed_from bytea;

-- Sealed values that a rotation of keys could not open: their key is gone, or they are damaged.
CREATE TABLE unreadable_secrets (
    tenant_id  text NOT NULL REFERENCES tenants,
    place      text NOT NULL,                     -- row and field
    key_name   text NOT NULL,                     -- the key they were sealed with, by their own head
    found_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, place)
);
