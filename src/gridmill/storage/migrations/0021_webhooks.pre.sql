-- Webhooks: endpoints, messages (what is told), deliveries (a message on its way to an endpoint)
-- and their attempts.

CREATE TABLE webhooks (
    webhook_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    events text[] NOT NULL,
    header_names text[] NOT NULL DEFAULT '{}' CHECK (cardinality(header_names) <= 10),
    -- Encrypted under a key of the installation's secret: header values, secret, the one before.
    headers bytea NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamptz,
    signature_format text NOT NULL CHECK (signature_format IN ('hex', 'sha256=', 't=,v1=')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    disabled_reason text,
    failing_since timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CHECK (status = 'disabled' OR disabled_reason IS NULL)
);
CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id, webhook_id DESC);

CREATE TABLE webhook_messages (
    message_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    event text NOT NULL,
    -- The very bytes that are signed and sent.
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE webhook_deliveries (
    delivery_id uuid PRIMARY KEY,
    webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    message_id uuid NOT NULL REFERENCES webhook_messages,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- Where the schedule of retries began: a retry by hand begins it anew.
    first_attempt integer NOT NULL DEFAULT 0 CHECK (first_attempt BETWEEN 0 AND attempt),
    status_code integer,
    response_time_ms integer CHECK (response_time_ms >= 0),
    response_body text,
    error text,
    last_attempt_at timestamptz,
    delivered_at timestamptz,
    next_attempt_at timestamptz,
    UNIQUE (webhook_id, message_id),
    CHECK ((status = 'succeeded') = (delivered_at IS NOT NULL)),
    CHECK (status = 'pending' OR next_attempt_at IS NULL)
);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, delivery_id DESC);
CREATE INDEX webhook_deliveries_by_message ON webhook_deliveries (message_id);

CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    attempt integer NOT NULL CHECK (attempt > 0),
    attempted_at timestamptz NOT NULL,
    status_code integer,
    response_time_ms integer NOT NULL CHECK (response_time_ms >= 0),
    response_body text,
    error text,
    PRIMARY KEY (delivery_id, attempt)
);

ALTER TABLE datasources ADD COLUMN webhook_id uuid;
