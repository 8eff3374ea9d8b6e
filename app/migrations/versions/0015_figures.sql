-- Figures of the whole service, for Prometheus: read at most every few seconds by one process, shown by all of them.
CREATE TABLE shared_figures (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    read_at  timestamptz NOT NULL,
    figures  jsonb NOT NULL
);

-- Counts by tenant, one after the other, under each tenant's own row-level security: it runs as whoever calls it and
-- sees nothing that the service could not see anyway. A policy over all tenants would keep the claims of deliveries
-- from their index (see 0008). Rows: figure, label, sum of counts, age in seconds of the oldest (NULL: there is none).
-- ends with no tenant chosen. Waiting rows are found by their partial indexes, so what is done and kept costs nothing.
CREATE FUNCTION tenant_figures()
    RETURNS TABLE (of_tenant text, figure text, label text, amount float8, oldest float8)
    LANGUAGE plpgsql AS $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT t.id FROM tenants t ORDER BY t.id LOOP
        PERFORM set_config('app.tenant_id', one, true);
        RETURN QUERY
            SELECT one, 'deliveries', d.entity || '/' || d.state, count(*)::float8,
                   extract(epoch FROM now() - min(d.created_at))::float8
            FROM deliveries d
            WHERE d.tenant_id = one AND d.state IN ('pending', 'retry', 'unknown', 'in_flight')
            GROUP BY d.entity, d.state
            UNION ALL
            SELECT one, 'deliveries', d.entity || '/parked', count(*)::float8,
                   extract(epoch FROM now() - min(d.created_at))::float8
            FROM deliveries d WHERE d.tenant_id = one AND d.state = 'parked'
            GROUP BY d.entity
            UNION ALL
            SELECT one, 'accounts', a.state, count(*)::float8, extract(epoch FROM now() - min(a.state_since))::float8
            FROM accounts a WHERE a.tenant_id = one
            GROUP BY a.state
            UNION ALL
            SELECT one, 'layout_drift', split_part(a.state_code, '.', 2), count(*)::float8,
                   extract(epoch FROM now() - min(a.state_since))::float8
            FROM accounts a
            WHERE a.tenant_id = one AND a.state = 'broken' AND a.state_code LIKE 'layout\_changed.%'
            GROUP BY split_part(a.state_code, '.', 2)
            UNION ALL
            SELECT one, 'breakers', c.kind || '/' || CASE WHEN h.opened_at IS NULL THEN 'closed' ELSE 'open' END,
                   count(*)::float8, extract(epoch FROM now() - min(h.opened_at))::float8
            FROM crm_connections c
            LEFT JOIN crm_health h ON h.tenant_id = c.tenant_id AND h.connection_id = c.id
            WHERE c.tenant_id = one AND c.mode = 'live'
            GROUP BY c.kind, h.opened_at IS NULL;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
