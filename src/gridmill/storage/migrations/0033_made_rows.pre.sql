-- What a batch makes rows of, in the shape that the task's planning gave it; a batch with items has
-- an empty range (1 to 0), since its rows come with its end. NULL: it fills rows that are there.
ALTER TABLE task_batches ADD COLUMN items jsonb;

-- A word to people on what a task did: why rows are fewer than were asked for, what was passed over.
ALTER TABLE tasks ADD COLUMN message text;
