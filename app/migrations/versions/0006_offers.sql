-- The account's own offers on projects of the exchange, as Kwork's list of them told last.
CREATE TABLE offers (
    tenant_id      text NOT NULL,
    id             bigint NOT NULL,             -- Kwork's number
    account_id     uuid NOT NULL,
    project_id     bigint,
    status         text NOT NULL CHECK (status IN ('new', 'viewed', 'chosen', 'declined', 'withdrawn', 'gone')),
    status_at      timestamptz NOT NULL DEFAULT now(),  -- when the service noticed it
    read           boolean,                     -- by the buyer; NULL: Kwork does not tell
    read_at        timestamptz,                 -- when the service noticed; NULL: it was so when first seen
    created_at     timestamptz,
    details        jsonb NOT NULL,              -- what Kwork tells; "status" is its own word
    stored_at      timestamptz NOT NULL DEFAULT now(),  -- a reading that began before cannot know of it
    missing_since  timestamptz,                 -- the first whole reading that did not hold it
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX offers_recent ON offers (tenant_id, created_at DESC NULLS LAST, id DESC);
CREATE INDEX offers_account ON offers (tenant_id, account_id);

ALTER TABLE first_readings DROP CONSTRAINT first_readings_stream_check,
    ADD CONSTRAINT first_readings_stream_check CHECK (stream IN ('orders', 'messages', 'offers')),
    -- When the backlog was read whole: what changed after that is news, and worth a look at the order's own page.
    ADD COLUMN finished_at timestamptz NOT NULL DEFAULT now();

-- The Idempotency-Key of the upload that brought a file, and its place in it. Whoever sends the upload again gets
-- the same files; a key is free again as soon as one of them is gone.
ALTER TABLE files
    ADD COLUMN upload_key    text,
    ADD COLUMN upload_place  integer,
    ADD CHECK ((upload_key IS NULL) = (upload_place IS NULL));
CREATE UNIQUE INDEX files_upload ON files (tenant_id, upload_key, upload_place) WHERE upload_key IS NOT NULL;
