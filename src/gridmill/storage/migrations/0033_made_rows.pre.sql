-- What a batch makes rows of, in the shape that the task's planning gave it; a batch with items has
-- an empty range (1 to 0), since its rows come with its end. NULL: it fills rows that are there.
ALTER TABLE task_batches ADD COLUMN items jsonb;

-- A word to people on what a task did: why rows are fewer than were asked for, what was passed over.
ALTER TABLE tasks ADD COLUMN message text;

-- What columns' knowledge is searched in: passages of the data sources that were named as such, cut
-- when a task first needs them. `page` and `start` are where the text stands; of a table, a record.
CREATE TABLE datasource_passages (
    datasource_id uuid NOT NULL REFERENCES datasources ON DELETE CASCADE,
    page bigint NOT NULL CHECK (page > 0),
    start integer NOT NULL CHECK (start >= 0),
    text text NOT NULL,
    -- Words as they are, and their English stems: the first for every language, the second for one.
    words tsvector NOT NULL GENERATED ALWAYS AS
        (to_tsvector('pg_catalog.simple', text) || to_tsvector('pg_catalog.english', text)) STORED,
    PRIMARY KEY (datasource_id, page, start)
);
CREATE INDEX datasource_passages_by_word ON datasource_passages USING gin (words);
CREATE POLICY own_workspace ON datasource_passages USING (
    coalesce(current_setting('gridmill.workspace', true), '') = ''
    OR EXISTS (SELECT FROM datasources AS parent
                WHERE parent.datasource_id = datasource_passages.datasource_id));
ALTER TABLE datasource_passages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
