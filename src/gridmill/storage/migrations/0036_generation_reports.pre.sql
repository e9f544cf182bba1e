-- How like the real rows those are that a task made up: measured when it is first asked for after
-- the task's end, and kept. NULL: not asked for, or nothing to measure.
ALTER TABLE tasks ADD COLUMN report jsonb;
