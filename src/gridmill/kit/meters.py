"""What this process has done since it started, for Prometheus.

Labels are ours and few: nothing that a tenant names becomes one, so the number of series is bounded.
The API shows these beside its own at `/metrics`, a worker at its own port when it is given one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

METERS = CollectorRegistry()
ProcessCollector(registry=METERS)
PlatformCollector(registry=METERS)

# From a cached local answer to the longest that a request may be set to take.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

TASKS_ENDED = Counter(
    "gridmill_tasks_ended", "Tasks that this process ended", ("status",), registry=METERS
)
CELLS = Counter(
    "gridmill_cells",
    "Cells of batches that this process wrote, each under one outcome",
    ("outcome",),
    registry=METERS,
)
MODEL_CALLS = Counter(
    "gridmill_model_calls",
    "Calls of model servers, repeats and repairs included",
    ("provider", "outcome"),
    registry=METERS,
)
MODEL_SECONDS = Histogram(
    "gridmill_model_call_seconds",
    "Time of one call of a model server",
    ("provider",),
    buckets=_SECONDS,
    registry=METERS,
)
MODEL_TOKENS = Counter(
    "gridmill_model_tokens",
    "Tokens of replies that could be read",
    ("provider", "kind"),
    registry=METERS,
)
MODEL_COST = Counter(
    "gridmill_model_cost_usd",
    "Cost of those tokens, of the models whose price is known",
    ("provider",),
    registry=METERS,
)
UNPRICED_CALLS = Counter(
    "gridmill_model_unpriced_calls",
    "Calls whose cost is not known, because the model's price is not",
    ("provider",),
    registry=METERS,
)
WEBHOOK_ATTEMPTS = Counter(
    "gridmill_webhook_attempts", "Attempts at deliveries", ("outcome",), registry=METERS
)
WEBHOOK_SECONDS = Histogram(
    "gridmill_webhook_attempt_seconds",
    "Time of one attempt at a delivery",
    buckets=_SECONDS,
    registry=METERS,
)
REFUSALS = Counter(
    "gridmill_refusals",
    "Requests answered with 429, by the limit that was met",
    ("limit",),
    registry=METERS,
)
CONNECTIONS = Gauge(
    "gridmill_database_connections",
    "Connections of this process's pool: in use, idle; and callers that wait for one",
    ("state",),
    registry=METERS,
)
