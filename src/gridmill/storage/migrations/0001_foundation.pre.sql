-- The foundation: installation, workspaces and keys, files, grids, data sources, datasets, tasks.
-- Physical grid tables (grid_<n>) are made and dropped by storage/grids, not here.

CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret bytea NOT NULL CHECK (length(secret) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- 32 bytes from two random UUIDs (244 random bits); gen_random_bytes would need an extension.
INSERT INTO installation (secret) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE TABLE workspaces (
    workspace_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    key_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    hint text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']),
    dataset_ids uuid[],
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, created_at);

-- Files live here in chunks, so that every worker on every machine can read them.
CREATE TABLE files (
    file_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE file_chunks (
    file_id uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    chunk_no integer NOT NULL CHECK (chunk_no >= 0),
    bytes bytea NOT NULL,
    PRIMARY KEY (file_id, chunk_no)
);
ALTER TABLE file_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- A grid is the physical table behind a data source or a dataset. Row numbers are taken from
-- last_row in the writer's transaction, so that they have no gaps until rows are deleted.
CREATE TABLE grids (
    grid_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    next_physical integer NOT NULL CHECK (next_physical > 0),
    last_row bigint NOT NULL DEFAULT 0 CHECK (last_row >= 0),
    row_count bigint NOT NULL DEFAULT 0 CHECK (row_count BETWEEN 0 AND last_row),
    version bigint NOT NULL DEFAULT 0,
    written_at timestamptz
);
-- Deleted rows by block of 1,024 row numbers; a block without an entry is whole.
CREATE TABLE grid_blocks (
    grid_no bigint NOT NULL REFERENCES grids ON DELETE CASCADE,
    block_no bigint NOT NULL CHECK (block_no >= 0),
    gone integer NOT NULL CHECK (gone BETWEEN 1 AND 1024),
    PRIMARY KEY (grid_no, block_no)
);
-- One mark a write; version = grids.version + marks. Insert-only, so that writers never wait for one another.
CREATE TABLE grid_writes (
    grid_no bigint NOT NULL REFERENCES grids ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX grid_writes_by_grid ON grid_writes (grid_no, at);
-- Ordered row numbers (4 bytes each, big-endian) of a sorted or filtered view.
CREATE TABLE grid_views (
    view_id uuid PRIMARY KEY,
    grid_no bigint NOT NULL REFERENCES grids ON DELETE CASCADE,
    query_hash bytea NOT NULL,
    version bigint NOT NULL,
    total bigint NOT NULL,
    row_nos bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (grid_no, query_hash, version)
);
ALTER TABLE grid_views ALTER COLUMN row_nos SET STORAGE EXTERNAL;

CREATE TABLE datasources (
    datasource_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    file_name text NOT NULL,
    content_type text NOT NULL,
    file_size bigint NOT NULL,
    file_id uuid NOT NULL REFERENCES files,
    options jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN ('processing', 'completed', 'failed')),
    error jsonb,
    grid_no bigint REFERENCES grids,
    columns jsonb NOT NULL DEFAULT '[]',
    page_count integer,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    CHECK ((status = 'failed') = (error IS NOT NULL)),
    CHECK ((status = 'processing') = (processed_at IS NULL))
);
CREATE INDEX datasources_by_workspace ON datasources (workspace_id, datasource_id);

CREATE TABLE datasets (
    dataset_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    description text,
    type text NOT NULL CHECK (type IN ('data_enrichment', 'data_extraction', 'map_extraction', 'ai_generation', 'blank')),
    config jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN ('processing', 'completed', 'failed')),
    error jsonb,
    grid_no bigint NOT NULL REFERENCES grids,
    next_column_no integer NOT NULL DEFAULT 1,
    active_task_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX datasets_by_workspace ON datasets (workspace_id, dataset_id);

CREATE TABLE columns (
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    column_no integer NOT NULL CHECK (column_no > 0),
    physical integer NOT NULL CHECK (physical > 0),
    position integer NOT NULL,
    name text NOT NULL,
    data_type text NOT NULL,
    task_type text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset_id, column_no),
    UNIQUE (dataset_id, name),
    UNIQUE (dataset_id, physical)
);
-- What a column held before its task type was set anew, in a grid of its own: history keeps reading it.
CREATE TABLE column_archives (
    dataset_id uuid NOT NULL,
    column_no integer NOT NULL,
    physical integer NOT NULL,
    grid_no bigint NOT NULL REFERENCES grids,
    reset_at timestamptz NOT NULL DEFAULT now(),
    reset_by uuid,
    PRIMARY KEY (dataset_id, physical),
    FOREIGN KEY (dataset_id, column_no) REFERENCES columns ON DELETE CASCADE
);

-- A record of a source is known by its number; those below next_record were taken already.
CREATE TABLE dataset_sources (
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    datasource_id uuid NOT NULL REFERENCES datasources,
    position integer NOT NULL,
    next_record bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (dataset_id, datasource_id)
);
CREATE INDEX dataset_sources_by_source ON dataset_sources (datasource_id);

-- Who made which rows: one range for each import, insert or batch of new rows.
CREATE TABLE dataset_row_origins (
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL CHECK (last_row >= first_row),
    kind text NOT NULL CHECK (kind IN ('user', 'task', 'import')),
    writer_id uuid,
    datasource_id uuid,
    first_record bigint,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset_id, first_row)
);

-- No foreign key: checking one for each of a batch's cells would cost more than writing them.
-- A deleted dataset's history is cleared by a job.
CREATE TABLE cell_history (
    dataset_id uuid NOT NULL,
    row_no bigint NOT NULL,
    physical integer NOT NULL,
    history_id bigint GENERATED ALWAYS AS IDENTITY,
    value text,
    metadata jsonb,
    previous_value text,
    previous_metadata jsonb,
    kind text NOT NULL CHECK (kind IN ('user', 'task', 'import')),
    action text NOT NULL DEFAULT 'write' CHECK (action IN ('write', 'approve', 'reject', 'revert')),
    writer_id uuid,
    batch_no integer,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset_id, row_no, physical, history_id)
);
CREATE INDEX cell_history_by_task ON cell_history (writer_id, batch_no) WHERE kind = 'task';
CREATE INDEX cell_history_by_person ON cell_history (dataset_id, history_id) WHERE kind = 'user';

CREATE TABLE exports (
    export_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    spec jsonb NOT NULL,
    file_name text NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE tasks (
    task_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
    type text NOT NULL CHECK (type IN ('new-rows', 'bulk')),
    operation text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    request jsonb NOT NULL,
    plan jsonb NOT NULL DEFAULT '{}',
    plan_job_id bigint,
    created_by uuid,
    webhook_id uuid,
    retry_of uuid,
    batches_total integer,
    batches_done integer NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    needs_review bigint NOT NULL DEFAULT 0,
    rows_created bigint NOT NULL DEFAULT 0,
    cells_written bigint NOT NULL DEFAULT 0,
    cells_failed bigint NOT NULL DEFAULT 0,
    cells_skipped bigint NOT NULL DEFAULT 0,
    cells_needing_review bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    cached_requests bigint NOT NULL DEFAULT 0,
    prompt_tokens bigint NOT NULL DEFAULT 0,
    completion_tokens bigint NOT NULL DEFAULT 0,
    cost_usd double precision NOT NULL DEFAULT 0,
    stopped_by text,
    error jsonb,
    reverted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    CHECK (batches_total IS NULL OR batches_done <= batches_total),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL))
);
CREATE INDEX tasks_by_workspace ON tasks (workspace_id, task_id DESC);
CREATE INDEX tasks_by_dataset ON tasks (dataset_id, task_id DESC);
-- The lock, said a second time where the database enforces it.
CREATE UNIQUE INDEX tasks_one_open_per_dataset ON tasks (dataset_id) WHERE status IN ('queued', 'processing');

-- Rows and cells named by id; other selections are ranges and need no list. No column named: all
-- columns that the task fills.
CREATE TABLE task_selection (
    task_id uuid NOT NULL REFERENCES tasks ON DELETE CASCADE,
    row_no bigint NOT NULL,
    column_nos integer[] NOT NULL,
    PRIMARY KEY (task_id, row_no)
);

CREATE TABLE task_batches (
    task_id uuid NOT NULL REFERENCES tasks ON DELETE CASCADE,
    batch_no integer NOT NULL,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    rows bigint NOT NULL,
    cells bigint NOT NULL,
    -- Whether its cells are those that task_selection names, not every one in its range.
    listed boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done')),
    token uuid,
    job_id bigint,
    attempts integer NOT NULL DEFAULT 0,
    done_seq integer,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    needs_review bigint NOT NULL DEFAULT 0,
    done_at timestamptz,
    PRIMARY KEY (task_id, batch_no)
);
CREATE UNIQUE INDEX task_batches_by_seq ON task_batches (task_id, done_seq) WHERE done_seq IS NOT NULL;

-- Answers of models that were paid for: asked again, they cost nothing.
CREATE TABLE model_answers (
    workspace_id uuid NOT NULL REFERENCES workspaces,
    key bytea NOT NULL CHECK (length(key) = 32),
    provider text NOT NULL,
    model text NOT NULL,
    answer text NOT NULL, -- JSON; not jsonb, which takes no \u0000 and reorders keys
    prompt_tokens integer NOT NULL,
    completion_tokens integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);
-- Old answers are forgotten by age; they lie in the order of their making.
CREATE INDEX model_answers_by_age ON model_answers USING brin (created_at);

-- What workers share of a provider's limits.
CREATE TABLE provider_limits (
    provider text PRIMARY KEY,
    requests_left double precision,
    tokens_left double precision,
    refilled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE provider_grants (
    provider text NOT NULL REFERENCES provider_limits,
    holder uuid NOT NULL,
    granted integer NOT NULL CHECK (granted >= 0),
    wanted integer NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (provider, holder)
);
