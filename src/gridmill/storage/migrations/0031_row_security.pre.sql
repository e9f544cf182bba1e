-- The second barrier between workspaces: a transaction that names its workspace (every request's) sees
-- and writes no row of another one, whatever its statements forget. One that names none crosses
-- workspaces: authentication, jobs, commands, migrations. See decision 24.
-- FORCE binds the owner of the tables too; whom it cannot bind, storage/row_security.py looks after.

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
        ('cell_history', 'datasets', 'dataset_id'),
        ('webhook_deliveries', 'webhooks', 'webhook_id'),
        ('webhook_attempts', 'webhook_deliveries', 'delivery_id') LOOP
        EXECUTE format(
            'CREATE POLICY own_workspace ON %1$I USING (%2$s OR EXISTS ('
            'SELECT FROM %3$I AS parent WHERE parent.%4$I = %1$I.%4$I))', name, crosses, parent, key);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END $$;
