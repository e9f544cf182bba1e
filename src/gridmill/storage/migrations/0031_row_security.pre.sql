-- The second barrier between workspaces: a transaction that names its workspace (every request's) sees
-- and writes no row of another one, whatever its statements forget. One that names none crosses
-- workspaces: authentication, jobs, commands, migrations. See decision 24.

-- Superusers pass every policy, so their sessions act as a role that cannot log in and owns the
-- tables (storage/database.py). An ordinary role owns them already, and FORCE binds owners too.
DO $$
DECLARE
    found record;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    BEGIN
        CREATE ROLE gridmill_tables NOLOGIN NOSUPERUSER NOBYPASSRLS;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database of this server made it
    END;
    -- An ordinary role sees what its own sessions do; these log in as the superuser.
    GRANT pg_read_all_stats TO gridmill_tables;
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO gridmill_tables', current_schema());
    EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO gridmill_tables', current_schema());
    EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO gridmill_tables', current_schema());
    -- The engine's tables come after this file and stay the superuser's.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT ALL ON TABLES TO gridmill_tables', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT ALL ON SEQUENCES TO gridmill_tables', current_schema());
    FOR found IN
        SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
          AND relname <> 'schema_migrations' AND relname NOT LIKE 'procrastinate%'
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO gridmill_tables', found.name);
    END LOOP;
END $$;

DO $$
DECLARE
    -- What `SET LOCAL` of an earlier transaction leaves behind is an empty text, not NULL.
    crosses constant text := 'coalesce(current_setting(''gridmill.workspace'', true), '''') = ''''';
    own constant text :=
        'workspace_id = nullif(current_setting(''gridmill.workspace'', true), '''')::uuid';
    name text;
    parent text;
    key text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_keys', 'datasources', 'datasets', 'exports', 'tasks',
                                'model_answers', 'webhooks', 'webhook_messages'] LOOP
        EXECUTE format('CREATE POLICY own_workspace ON %I USING (%s OR %s)', name, crosses, own);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    END LOOP;
    -- Those that hang on them: seen as far as the parent is, whose own policy is asked. Not those
    -- that COPY fills (task_batches, task_selection): PostgreSQL refuses it under row security.
    FOR name, parent, key IN VALUES
        ('columns', 'datasets', 'dataset_id'),
        ('dataset_sources', 'datasets', 'dataset_id'),
        ('dataset_row_origins', 'datasets', 'dataset_id'),
        ('webhook_deliveries', 'webhooks', 'webhook_id') LOOP
        EXECUTE format(
            'CREATE POLICY own_workspace ON %1$I USING (%2$s OR EXISTS ('
            'SELECT FROM %3$I AS parent WHERE parent.%4$I = %1$I.%4$I))', name, crosses, parent, key);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END $$;
