"""The ways to models: the configured one, else an installed local one."""

import platform
from uuid import uuid4

from gridmill.engine.answers import PostgresAnswers
from gridmill.engine.limits import PostgresLimiter
from gridmill.providers.llm.errors import ModelError, UnknownModel
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, Access, Frame, Limits, ModelRef, ModelRequest
from gridmill.providers.llm.prices import Price
from gridmill.providers.local.errors import WeightsMissing
from gridmill.providers.local.server import LocalServer
from gridmill.providers.local.transport import LocalTransport
from gridmill.providers.local.weights import Installed, choose_installed
from gridmill.settings import Settings
from gridmill.storage.database import Database

# All attempts at one request, waits between them included.
_MODEL_DEADLINE_SECONDS = 300.0
# One call is computed, the next one waits at the door.
_LOCAL_CONCURRENCY = 2


def make_gateway(settings: Settings, database: Database) -> Gateway | None:
    """The way to the configured model, else to an installed local one, else `None`."""
    if settings.llm_model is None or settings.llm_provider == LOCAL:
        return _make_local_gateway(settings, database)
    return _make_configured_gateway(settings, settings.llm_model, database)


def _make_configured_gateway(settings: Settings, model: str, database: Database | None) -> Gateway:
    """Without a database answers and limits are kept in memory."""
    key = settings.llm_api_key
    access = Access(
        settings.llm_provider,
        api_key="" if key is None else key.get_secret_value(),
        base_url=settings.llm_base_url,
        limits=Limits(
            settings.llm_max_concurrency,
            settings.llm_requests_per_minute,
            settings.llm_tokens_per_minute,
        ),
        attempt_timeout=settings.llm_timeout_seconds,
        deadline=max(_MODEL_DEADLINE_SECONDS, settings.llm_timeout_seconds),
    )
    return Gateway(
        [access],
        default=ModelRef(settings.llm_provider, model),
        store=None if database is None else PostgresAnswers(database),
        limiter=None if database is None else PostgresLimiter(database),
        prices={
            name: Price(price.prompt, price.completion)
            for name, price in settings.llm_prices.items()
        },
    )


def _make_local_gateway(settings: Settings, database: Database) -> Gateway | None:
    """The way to the weights that are installed; nothing starts before the first request."""
    try:
        model = choose_installed(settings.models_dir, settings.llm_model)
    except WeightsMissing:
        return None
    access = Access(
        LOCAL,
        # Limits are kept by address, and every machine has a model of its own.
        base_url=f"http://{platform.node() or 'localhost'}/v1",
        limits=Limits(_LOCAL_CONCURRENCY),
        attempt_timeout=_MODEL_DEADLINE_SECONDS,
        deadline=2 * _MODEL_DEADLINE_SECONDS,
        models=(model.name,),
    )
    return Gateway(
        [access],
        default=ModelRef(LOCAL, model.name),
        store=PostgresAnswers(database),
        limiter=PostgresLimiter(database),
        prices={f"{LOCAL}/{model.name}": Price(0.0, 0.0)},
        transports={LOCAL: LocalTransport(make_local_server(settings, model))},
    )


def make_local_server(settings: Settings, model: Installed) -> LocalServer:
    """The child that serves `model`, shared by all processes on this data folder."""
    return LocalServer(model.path, settings.data_dir / "models" / model.name)


async def check_model(settings: Settings) -> str | None:
    """Send the configured model one tiny request; what went wrong, or `None`."""
    frame = Frame(
        "Answer with true.",
        {
            "type": "object",
            "properties": {"value": {"type": "boolean"}},
            "required": ["value"],
            "additionalProperties": False,
        },
        max_tokens=200,
    )
    if settings.llm_model is None:
        return "No model is configured on this server."
    async with _make_configured_gateway(settings, settings.llm_model, None) as gateway:
        try:
            await gateway.complete(ModelRequest(frame, "Ready?"), workspace_id=uuid4())
        except ModelError as error:
            return error.message
    return None


def check_name(gateway: Gateway | None, model: str) -> str | None:
    """What is wrong with a model that a client named, or `None`."""
    if gateway is None:
        return "No model is configured on this server."
    try:
        gateway.resolve(model)
    except UnknownModel as error:
        return error.message
    return None
