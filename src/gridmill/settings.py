"""What an operator can set, and where each value came from. The only reader of the environment.

A flag wins over an environment variable (`GRIDMILL_` and the name), that over `gridmill.toml` in
the data folder, that over the default.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gridmill.kit.egress import AddressRules, parse_networks

PREFIX = "GRIDMILL_"
FILE_NAME = "gridmill.toml"
_MASK = "********"
# OpenTelemetry's own name, which collectors' set-ups give to every process.
_OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_UNLIMITED = "unlimited"


def _read_limit(value: object) -> object:
    return None if value == _UNLIMITED else value


# Names that Claro's plans have for their limits (contract, section 1).
_PLANS: Mapping[object, int] = {"standard": 100, "premium": 500}


def _read_rate(value: object) -> object:
    return _PLANS.get(value, value) if isinstance(value, str) else value


def _join_networks(value: object) -> object:
    """The file may hold a list; the environment holds one text."""
    return ",".join(map(str, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType]


Limit: TypeAlias = Annotated[int | None, BeforeValidator(_read_limit)]
"""A number, or the word `unlimited`, which is `None`."""


class SettingsError(Exception):
    """A setting that cannot be used; the message names it, its source and what is allowed."""


class Price(BaseModel):
    """US dollars a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: float = Field(ge=0, allow_inf_nan=False)
    completion: float = Field(ge=0, allow_inf_nan=False)


class Settings(BaseSettings):
    """Everything that is set. `sources` says where each value came from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(description="Folder of the embedded database, the first key, this file")
    models_dir: Path = Field(
        description="Folder of local models' weights, shared by all data folders"
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 15 or newer to use instead of the embedded one"
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="How clients reach this server; signed links start with it",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least serious kind of log line that is written"
    )

    llm_provider: Literal["openai", "anthropic", "local"] = Field(
        "openai",
        description="`openai` is any server that speaks OpenAI's chat completions,"
        " `local` the learners and a small model on this machine (`gridmill models install`)",
    )
    llm_base_url: str | None = Field(
        None, pattern=r"^https?://\S+$", description="The provider's own address, when left out"
    )
    llm_api_key: SecretStr | None = Field(None, description="Key for the provider")
    llm_model: str | None = Field(
        None,
        min_length=1,
        description="Default model; without one, the learners and an installed local model work",
    )
    llm_max_concurrency: int = Field(
        64, ge=1, le=10_000, description="Requests in flight at the provider, over all workers"
    )
    llm_requests_per_minute: Limit = Field(
        None, ge=1, description="Over all workers; unlimited when left out"
    )
    llm_tokens_per_minute: Limit = Field(
        None, ge=1, description="Over all workers; unlimited when left out"
    )
    llm_timeout_seconds: float = Field(
        120.0, gt=0, le=3600, description="How long one request to a model may take"
    )
    llm_answer_days: int = Field(
        90, ge=1, le=36_500, description="How long a model's answers are kept to be used again"
    )
    llm_prices: dict[str, Price] = Field(
        default_factory=dict[str, Price],
        description="US dollars a million tokens, by model: overrides the built-in table",
    )

    rate_limit: Annotated[Limit, BeforeValidator(_read_rate)] = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="Requests a minute and key, over all API processes: `unlimited`, `standard` (100),"
        " `premium` (500) or a number",
    )
    quota_open_tasks: Limit = Field(
        None, ge=1, description="Open tasks of one workspace; unlimited when left out"
    )
    quota_rows: Limit = Field(
        None, ge=1, description="Rows in all datasets of one workspace; unlimited when left out"
    )
    quota_bytes: Limit = Field(
        None, ge=1, description="Bytes of one workspace's files; unlimited when left out"
    )
    quota_tokens_per_month: Limit = Field(
        None, ge=1, description="Model tokens of one workspace a month; unlimited when left out"
    )

    egress_allow: Annotated[str, BeforeValidator(_join_networks)] = Field(
        "",
        description="Networks (CIDR, with commas between) that webhooks and fetches may reach"
        " although they are not public",
    )
    webhook_allow_http: bool = Field(
        False,
        description="Whether webhooks may go to http:// addresses",
    )

    worker_concurrency: int = Field(
        4, ge=1, le=1000, description="Jobs that one worker runs at the same time"
    )
    worker_processes: int = Field(
        0,
        ge=0,
        le=256,
        description="CPU processes a worker may use; 0: one less than there are cores",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="Where traces go (OTLP over HTTP); `OTEL_EXPORTER_OTLP_ENDPOINT`, when left out",
    )
    worker_metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which a worker shows its metrics; 0 picks a free one; off when left out",
    )
    worker_metrics_host: str = Field("127.0.0.1", min_length=1, description="Address of that port")
    database_connections: int = Field(
        10, ge=2, le=500, description="Connections that one process opens at most"
    )
    stop_seconds: float = Field(
        12.0, ge=0, le=15, description="Seconds that a stop waits for running work to end"
    )

    sources: Mapping[str, str] = Field(default_factory=dict[str, str], exclude=True, repr=False)

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _resolve(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_address(url.get_secret_value())
        return url

    @field_validator("egress_allow")
    @classmethod
    def _check_networks(cls, text: str) -> str:
        parse_networks([one for one in text.split(",") if one.strip()])
        return text

    @property
    def address_rules(self) -> AddressRules:
        """What may be dialled for users."""
        texts = [one for one in self.egress_allow.split(",") if one.strip()]
        return AddressRules(parse_networks(texts), self.webhook_allow_http)

    @field_validator("llm_api_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        text = "" if key is None else key.get_secret_value()
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("a key has neither spaces nor line ends nor letters beyond ASCII")
        return key

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags and the values found by `load_settings` are all that counts."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting as `gridmill config` shows it."""

    name: str
    value: str
    source: str
    description: str


def load_settings(**flags: object) -> Settings:
    """What is in force. A flag that is `None` was not given.

    Raises:
        SettingsError: a value that does not fit, an unknown key in the file, a broken file.
    """
    home = _default_data_dir()
    found: dict[str, object] = {"data_dir": home, "models_dir": home / "models"}
    sources = dict.fromkeys(Settings.model_fields, "default")
    given = {name: value for name, value in flags.items() if value is not None}
    environment = _read_environment()
    folder = given.get("data_dir") or environment.get("data_dir") or found["data_dir"]
    file = Path(str(folder)).expanduser() / FILE_NAME
    layers = (
        (str(file), _read_file(file)),
        ("environment", environment),
        ("flag", given),
    )
    for source, values in layers:
        if "sources" in values:
            raise SettingsError(f"sources ({source}): there is no such setting")
        for name, value in values.items():
            found[name] = value
            sources[name] = source
    try:
        return Settings(**found, sources=sources)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        raise SettingsError(_explain(error, sources)) from None


def describe_settings(settings: Settings) -> Iterator[SettingLine]:
    """Every setting with its value (secrets masked) and where it came from."""
    for name, field in Settings.model_fields.items():
        if name != "sources":
            yield SettingLine(
                name,
                _show(getattr(settings, name)),
                settings.sources.get(name, "default"),
                field.description or "",
            )


def find_unknown_variables() -> list[str]:
    """Environment variables with our prefix that name no setting: most likely typing errors."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.upper().startswith(f"{PREFIX}TEST_")
    )


def make_child_environment(settings: Settings, *, database_url: str) -> dict[str, str]:
    """The environment for a child process: all it needs is there, nothing is on its command line."""
    return {
        **os.environ,
        f"{PREFIX}DATA_DIR": str(settings.data_dir),
        f"{PREFIX}DATABASE_URL": database_url,
        f"{PREFIX}MODELS_DIR": str(settings.models_dir),
        f"{PREFIX}LOG_LEVEL": settings.log_level,
        "PYTHONUNBUFFERED": "1",
    }


def _check_address(url: str) -> None:
    """Raise `ValueError`, without quoting any part of it, for a URL that libpq cannot read."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("a database URL starts with postgresql://")
    try:
        host = str(conninfo_to_dict(url).get("host", ""))
    except ProgrammingError:
        raise ValueError("it is no URL that PostgreSQL understands") from None
    if "@" in host:
        raise ValueError("an @ in the user or password is written %40")


def _default_data_dir() -> Path:
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "gridmill"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "gridmill"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".local" / "share") / "gridmill"


def _read_environment() -> dict[str, object]:
    """Our variables that are set and not empty, those of structured settings parsed from JSON."""
    try:
        found = dict(EnvSettingsSource(Settings, env_prefix=PREFIX, env_ignore_empty=True)())
    except ValueError as error:
        raise SettingsError(f"Environment: {error} (it has to be JSON)") from None
    if usual := os.environ.get(_OTLP_VARIABLE):
        found.setdefault("otlp_endpoint", usual)
    return found


def _read_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = TomlConfigSettingsSource(Settings, toml_file=file)()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from None
    return dict(found)


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in fault["loc"])
        source = sources.get(str(fault["loc"][0]), "default")
        shown = f"{PREFIX}{name.upper()}" if source == "environment" else name
        if fault["type"] == "extra_forbidden":
            lines.append(f"{shown} ({source}): there is no such setting")
        else:
            lines.append(f"{shown} ({source}): {fault['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)


def _show(value: object) -> str:
    if isinstance(value, SecretStr):
        return _mask_url(value.get_secret_value())
    if isinstance(value, dict):
        prices: dict[str, Price] = value  # pyright: ignore[reportUnknownVariableType]
        return ", ".join(f"{k}: {p.prompt:g}/{p.completion:g}" for k, p in prices.items()) or "-"
    if isinstance(value, str) and "://" in value and "@" in value:
        return _mask_url(value)
    return "-" if value is None else str(value)


def _mask_url(secret: str) -> str:
    """A key wholly masked; of a URL only the password, so that one can see where it leads."""
    scheme, divider, rest = secret.partition("://")
    if not divider:
        return _MASK
    login, at, place = rest.rpartition("@")
    if not at:
        return f"{scheme}://{place.partition('?')[0]}"
    return f"{scheme}://{login.partition(':')[0]}:{_MASK}@{place.partition('?')[0]}"
