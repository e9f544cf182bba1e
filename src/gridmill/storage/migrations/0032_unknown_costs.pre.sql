-- A task that asked a model without a known price has no known cost: NULL, which stays NULL however
-- much is added. Costs of before stay as they are: which of their zeros were free cannot be told.

ALTER TABLE tasks ALTER COLUMN cost_usd DROP NOT NULL;
