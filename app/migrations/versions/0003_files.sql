-- Uploads for offers, messages and hand-ins. The row is there before the first byte reaches the disk, so that a
-- file without a row is an orphan, and a row that stayed 'receiving' tells of a process that died.
CREATE TABLE files (
    tenant_id    text NOT NULL REFERENCES tenants,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    media_type   text NOT NULL,
    size         bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
    sha256       bytea CHECK (octet_length(sha256) = 32),
    state        text NOT NULL DEFAULT 'receiving' CHECK (state IN ('receiving', 'ready')),
    purpose      text,
    uploaded_by  text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    used_by      uuid,  -- the write that took it last and has not been settled
    PRIMARY KEY (tenant_id, id),
    CHECK (state = 'receiving' OR (size > 0 AND sha256 IS NOT NULL))
);
CREATE INDEX files_recent ON files (tenant_id, created_at DESC, id);
CREATE INDEX files_used ON files (tenant_id, used_by) WHERE used_by IS NOT NULL;
