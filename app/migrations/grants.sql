-- What the role of the running service may do. Run after every migration; repeating it changes nothing.
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
REVOKE ALL ON {schema}.alembic_version FROM {role};
GRANT SELECT ON {schema}.alembic_version TO {role};
-- The audit is append-only, and its moments are the database's own.
REVOKE INSERT, UPDATE, DELETE ON {schema}.audit FROM {role};
GRANT INSERT (tenant_id, actor, action, target, details) ON {schema}.audit TO {role};
