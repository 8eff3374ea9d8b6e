-- Saved searches on the shared exchange ---------------------------------------------------------------

ALTER TABLE market_projects
    -- Title and text as searches compare them (app/domain/searches.py): folded in the program, not by the
    -- database, whose collation may know no letters but English ones.
    ADD COLUMN title_words       text NOT NULL DEFAULT '',
    ADD COLUMN text_words        text NOT NULL DEFAULT '',
    -- The cursor of matching, row by row: what was written since it was matched is due, whoever wrote it and in
    -- whatever order the writers committed.
    ADD COLUMN revision          bigint NOT NULL DEFAULT 1,
    ADD COLUMN matched_revision  bigint NOT NULL DEFAULT 0,
    ADD COLUMN matched_at        timestamptz NOT NULL DEFAULT '-infinity',
    -- The second whole reading in a row did not hold it; missing_since is the first one.
    ADD COLUMN gone_at           timestamptz;
-- No search is there yet that could wait for what is stored.
UPDATE market_projects SET matched_revision = 1, matched_at = now();
CREATE INDEX market_projects_unmatched ON market_projects (id) WHERE revision > matched_revision;
CREATE INDEX market_projects_expiring ON market_projects (expires_at) WHERE expires_at > matched_at;

-- An order that two whole readings of the account's list in a row did not hold is gone.
ALTER TABLE orders
    ADD COLUMN missing_since  timestamptz,
    ADD COLUMN gone_at        timestamptz;

CREATE INDEX offers_project ON offers (tenant_id, project_id);

CREATE TABLE searches (
    tenant_id           text NOT NULL REFERENCES tenants,
    id                  uuid NOT NULL DEFAULT gen_random_uuid(),
    name                text NOT NULL,
    enabled             boolean NOT NULL,
    filters             jsonb NOT NULL,          -- as they were given; the columns below are what is compared
    category_ids        bigint[] NOT NULL,       -- with their subrubrics; empty: all
    words_any           text[] NOT NULL,         -- folded, each with the space before it
    words_all           text[] NOT NULL,
    words_none          text[] NOT NULL,
    price_from_kopecks  bigint,
    price_to_kopecks    bigint,
    offers_to           integer,
    hired_percent_from  integer,
    with_files          boolean,
    with_portfolio      boolean,
    open_only           boolean NOT NULL,
    connection_ids      uuid[] NOT NULL,         -- where its leads go; empty: to every connection
    announce_from       timestamptz NOT NULL DEFAULT now(),  -- what appeared before is no news
    matched             bigint NOT NULL DEFAULT 0,
    last_matched_at     timestamptz,
    created_at          timestamptz NOT NULL DEFAULT now(),
    created_by          text NOT NULL,
    updated_at          timestamptz NOT NULL DEFAULT now(),
    updated_by          text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

-- Each match, told once. Without a foreign key to searches on purpose: why a lead was made outlives the search.
CREATE TABLE search_matches (
    tenant_id    text NOT NULL REFERENCES tenants,
    project_id   bigint NOT NULL,
    search_id    uuid NOT NULL,
    search_name  text NOT NULL,                  -- as it was called then: a lead's tags do not change by renaming
    matched_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id, search_id)
);
CREATE INDEX search_matches_search ON search_matches (tenant_id, search_id, matched_at DESC);

-- The projects a tenant has leads of, or should have: their leads follow what becomes of the project.
CREATE TABLE project_leads (
    tenant_id       text NOT NULL REFERENCES tenants,
    project_id      bigint NOT NULL,
    connection_ids  uuid[] NOT NULL,             -- where its lead goes
    due             boolean NOT NULL DEFAULT false,  -- look at it again although the project did not change
    reason_code     text,                        -- why the last look failed
    reason          text,
    made_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id)
);
CREATE INDEX project_leads_project ON project_leads (project_id);
CREATE INDEX project_leads_due ON project_leads (tenant_id, project_id) WHERE due;

-- Leads of projects that were made before there were searches follow their projects, too. The owner has to see the
-- rows of every tenant for that.
ALTER TABLE crm_links NO FORCE ROW LEVEL SECURITY;
ALTER TABLE deliveries NO FORCE ROW LEVEL SECURITY;
INSERT INTO project_leads (tenant_id, project_id, connection_ids)
SELECT k.tenant_id, substr(k.external_id, 15)::bigint, array_agg(DISTINCT k.connection_id)
FROM (
    SELECT tenant_id, external_id, connection_id FROM crm_links WHERE entity = 'lead'
    UNION ALL
    SELECT tenant_id, external_id, connection_id FROM deliveries WHERE entity = 'lead'
) k
WHERE k.external_id LIKE 'kwork:project:%'
GROUP BY k.tenant_id, k.external_id;
ALTER TABLE crm_links FORCE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;

-- Matching goes through the searches of all tenants in one statement: it sees the enabled ones, and whose leads follow
-- a project. It writes nothing this way; what it finds is written as each tenant.
CREATE POLICY exchange_matching ON searches FOR SELECT
    USING (enabled AND nullif(current_setting('app.matching', true), '') = 'on');
CREATE POLICY exchange_matching ON project_leads FOR SELECT
    USING (nullif(current_setting('app.matching', true), '') = 'on');
