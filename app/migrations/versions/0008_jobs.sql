-- When each account's streams are looked at next. Rows are there for accounts that may be read; whoever follows
-- Kwork's websocket leaves its hints here. Times are of the database's clock.
CREATE TABLE account_schedule (
    tenant_id   text NOT NULL,
    account_id  uuid NOT NULL,
    stream      text NOT NULL CHECK (stream IN ('news', 'offers', 'gigs', 'contacts', 'orders')),
    next_at     timestamptz NOT NULL,
    queued_at   timestamptz,                    -- a job for it waits or runs since then
    last_at     timestamptz,                    -- when it was read last
    failures    integer NOT NULL DEFAULT 0,     -- in a row
    reason      text,                           -- code of the last failure
    hint        jsonb,                          -- where something may be new, by what Kwork told
    PRIMARY KEY (tenant_id, account_id, stream),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX account_schedule_due ON account_schedule (next_at) WHERE queued_at IS NULL;
CREATE INDEX account_schedule_queued ON account_schedule (tenant_id) WHERE queued_at IS NOT NULL;

-- Taking a job: in the order of the queue, and by the lock. A table that was empty when it was counted last would be
-- sorted whole for each job instead, with a look for every row: 100 ms a job where two thousand wait.
CREATE INDEX jobs_by_lock ON procrastinate_jobs (lock);
DROP INDEX procrastinate_jobs_id_lock_idx_v1;
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint)
    SET enable_sort = off SET enable_bitmapscan = off SET enable_seqscan = off;
-- Rows come and go all the time, so they are cleaned and counted soon.
ALTER TABLE procrastinate_jobs SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 1000);

-- The same for what is read once for all tenants, and for upkeep.
CREATE TABLE shared_schedule (
    stream     text PRIMARY KEY,
    next_at    timestamptz NOT NULL,
    queued_at  timestamptz,
    last_at    timestamptz,
    failures   integer NOT NULL DEFAULT 0,
    reason     text
);

-- A run is made together with its job and waits for a worker as `queued`; one open run per account and stream.
ALTER TABLE sync_runs DROP CONSTRAINT sync_runs_state_check;
ALTER TABLE sync_runs ADD CONSTRAINT sync_runs_state_check
    CHECK (state IN ('queued', 'running', 'done', 'failed', 'interrupted'));
ALTER TABLE sync_runs NO FORCE ROW LEVEL SECURITY;
UPDATE sync_runs SET state = 'interrupted', finished_at = now(), reason_code = 'worker_died',
    reason = 'Процесс, который вёл синхронизацию, остановился.'
WHERE state = 'running';
ALTER TABLE sync_runs FORCE ROW LEVEL SECURITY;
CREATE UNIQUE INDEX sync_runs_open ON sync_runs (tenant_id, account_id, stream) NULLS NOT DISTINCT
    WHERE state IN ('queued', 'running');

ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY;
INSERT INTO account_schedule (tenant_id, account_id, stream, next_at)
SELECT a.tenant_id, a.id, s.stream, now() + random() * s.within
FROM accounts a, (VALUES ('news', interval '1 minute'), ('offers', interval '1 hour'), ('gigs', interval '1 hour'),
                         ('contacts', interval '1 hour'), ('orders', interval '1 day')) AS s (stream, within)
WHERE a.state = 'connected';
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;

CREATE INDEX sync_leases_holder ON sync_leases (holder);

-- The scheduler belongs to no tenant: it sees what is due, of all of them, and nothing else of theirs. No such policy on
-- deliveries: joined with the tenant's by OR, it would keep the claims there from their index.
CREATE POLICY scheduler ON account_schedule USING (nullif(current_setting('app.scheduler', true), '') = 'on');
CREATE POLICY scheduler ON kwork_writes FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on'
           AND state IN ('prepared', 'confirmed', 'committing', 'unknown'));
CREATE POLICY scheduler ON webhooks FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on' AND active);
CREATE POLICY scheduler ON sync_leases FOR SELECT
    USING (nullif(current_setting('app.scheduler', true), '') = 'on' AND subject LIKE 'live/%');
-- Who holds many leases keeps them all at once; the holder's name is random and known to that process alone.
CREATE POLICY lease_holder ON sync_leases FOR ALL
    USING (holder = nullif(current_setting('app.lease_holder', true), ''))
    WITH CHECK (holder = nullif(current_setting('app.lease_holder', true), ''));
