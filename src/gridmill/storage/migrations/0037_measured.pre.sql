-- What an operation found out about a whole task: a map's coverage and completeness, for its results.
ALTER TABLE tasks ADD COLUMN measured jsonb;
