-- Replies kept for repeats of a call (Idempotency-Key), and requests counted against rate limits.

-- There is no row for a call that is under way: it holds an advisory lock, which dies with its
-- transaction. `holder` is the workspace, or the key itself when the key reaches some datasets only.
CREATE TABLE kept_replies (
    holder uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    status smallint NOT NULL CHECK (status BETWEEN 200 AND 499),
    headers jsonb NOT NULL DEFAULT '{}',
    body bytea,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (holder, key)
);
CREATE INDEX kept_replies_by_age ON kept_replies (kept_at);

-- Unlogged: a count is not worth a flush of the log, and a crash merely opens a new window.
CREATE UNLOGGED TABLE rate_windows (
    key_id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used integer NOT NULL CHECK (used > 0)
) WITH (fillfactor = 50);
