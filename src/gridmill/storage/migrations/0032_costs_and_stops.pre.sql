-- A task that asked a model without a known price has no known cost: NULL, which stays NULL however
-- much is added. Costs of before stay as they are: which of their zeros were free cannot be told.

ALTER TABLE tasks ALTER COLUMN cost_usd DROP NOT NULL;

-- Of a task's skipped units, those that its budget left undone; of tasks that stopped before, the
-- cells or rows neither filled nor failed are the nearest that is known.

ALTER TABLE tasks ADD COLUMN unreached bigint NOT NULL DEFAULT 0 CHECK (unreached >= 0);
UPDATE tasks SET unreached = greatest(total - completed - failed, 0) WHERE stopped_by IS NOT NULL;
