"""Wire shapes of datasets and columns."""

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from gridmill.datasets.model import (
    COLUMN_LIMIT,
    INSERT_LIMIT,
    SHORT_TYPES,
    ColumnMetadata,
    DatasetStatus,
    DatasetType,
    NewColumn,
    TaskType,
    default_task_type,
)
from gridmill.kit.http import ListQuery, NamedIds, WireModel
from gridmill.kit.http.wire import to_validation_failed
from gridmill.kit.json import dump_json_text
from gridmill.kit.values import DataType, check_pattern

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MODEL = re.compile(r"[^/\s]+/\S+")

_INTEGER_LIMIT = 2**63
ROW_PAGE_LIMIT = 1_000


def _check_integers(value: object) -> object:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(cast("dict[str, object]", one).values())
        elif isinstance(one, list):
            waiting.extend(cast("list[object]", one))
        elif isinstance(one, int) and not -_INTEGER_LIMIT <= one < _INTEGER_LIMIT:
            raise ValueError("Integers here have at most 64 bits.")
    return value


Json = Annotated[Any, AfterValidator(_check_integers)]
"""Any JSON value that can be written again: its integers have at most 64 bits."""


def _read_type(value: object) -> object:
    if isinstance(value, str):
        try:
            return DatasetType(SHORT_TYPES.get(value, value))
        except ValueError:
            pass
    names = ", ".join(DatasetType)
    raise ValueError(f"This must be one of {names} (or short: {', '.join(SHORT_TYPES)}).")


def _read_task_type(value: object) -> object:
    if isinstance(value, str):
        try:
            return TaskType(SHORT_TYPES.get(value, value))
        except ValueError:
            pass
    raise ValueError(f"This must be one of {', '.join(TaskType)}.")


def _check_name(name: str) -> str:
    if not name.strip():
        raise ValueError("This must not be blank.")
    if _CONTROL.search(name):
        raise ValueError("This must not hold control characters.")
    return name


AnyDatasetType = Annotated[DatasetType, BeforeValidator(_read_type)]
AnyTaskType = Annotated[TaskType, BeforeValidator(_read_task_type)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[int | float, AfterValidator(_check_integers)]


class ExampleBody(WireModel):
    """An example of what the column makes of an input."""

    input: Json
    output: Json

    @field_validator("input", "output")
    @classmethod
    def _check(cls, value: object) -> object:
        if value is None:
            raise ValueError("This must not be null.")
        return value


class MetadataBody(WireModel):
    """A column's metadata; `null` counts as not said."""

    prompt: str | None = Field(
        default=None,
        max_length=20_000,
        validation_alias=AliasChoices("prompt", "extractionPrompt"),
        description="What the column should hold; `{{column}}` reads another column. "
        "`extractionPrompt` is the same.",
    )
    confidence: float | None = Field(default=None, ge=0, le=1)
    options: list[Annotated[str, Field(min_length=1, max_length=500)]] | None = Field(
        default=None, min_length=1, max_length=1_000
    )
    required: bool | None = None
    examples: list[ExampleBody] | None = Field(default=None, max_length=100)
    description: str | None = Field(default=None, max_length=5_000)
    unit: str | None = Field(default=None, max_length=100)
    pattern: str | None = Field(default=None, min_length=1, max_length=1_000)
    minimum: Number | None = None
    maximum: Number | None = None
    model: str | None = Field(default=None, max_length=200, description="`provider/model`")
    knowledge: list[str] | None = Field(default=None, max_length=100)
    read_only: bool | None = None
    cache: bool | None = None

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: list[str] | None) -> list[str] | None:
        if options is not None:
            if len(set(options)) < len(options):
                raise ValueError("The options must differ from one another.")
            if any(not option.strip() for option in options):
                raise ValueError("An option must not be blank.")
        return options

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

    @field_validator("model")
    @classmethod
    def _check_model(cls, model: str | None) -> str | None:
        if model is not None and not _MODEL.fullmatch(model):
            raise ValueError("This must be a provider and a model: provider/model.")
        return model

    @model_validator(mode="after")
    def _check_bounds(self) -> "MetadataBody":
        check_order(self.minimum, self.maximum)
        return self

    def said(self) -> dict[str, Any]:
        """What the body names, in the stored form; `None` for what it takes back."""
        dumped = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if dumped.get("prompt") == "":
            dumped["prompt"] = None
        return dumped

    def to_metadata(self) -> ColumnMetadata:
        """The metadata that this states from nothing."""
        said = {name: value for name, value in self.said().items() if value is not None}
        return ColumnMetadata.from_json(said)


def check_order(minimum: float | None, maximum: float | None) -> None:
    """Raise `ValueError` when the minimum is over the maximum."""
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError("The minimum is over the maximum.")


class ColumnCreate(WireModel):
    """A column to be made."""

    name: Name
    data_type: DataType = DataType.TEXT
    task_type: AnyTaskType | None = Field(
        default=None, description="Default: the dataset's type; `none` for `blank`"
    )
    metadata: MetadataBody | None = None

    _name = field_validator("name")(_check_name)

    def to_column(self, dataset_type: DatasetType) -> NewColumn:
        """The column with what was left out filled in."""
        return NewColumn(
            self.name,
            self.data_type,
            self.task_type or default_task_type(dataset_type),
            self.metadata.to_metadata() if self.metadata else ColumnMetadata(),
        )


class ColumnPatch(WireModel):
    """What of a column changes. Of `metadata` only what is named; `null` takes it back."""

    name: Name | None = None
    metadata: MetadataBody | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        return None if name is None else _check_name(name)


class TaskTypePut(WireModel):
    """A new task type; the column is emptied. `metadata`, if given, replaces the old."""

    task_type: AnyTaskType
    metadata: MetadataBody | None = None


class DatasetCreate(WireModel):
    """A dataset to be made."""

    type: AnyDatasetType
    name: Name
    description: str | None = Field(default=None, max_length=10_000)
    datasource_id: str | None = None
    datasource_ids: list[str] | None = Field(default=None, max_length=1_000)
    columns: list[ColumnCreate] | None = Field(default=None, max_length=COLUMN_LIMIT)
    config: dict[str, Json] | None = None

    _name = field_validator("name")(_check_name)

    @property
    def source_ids(self) -> list[str]:
        """The data sources named either way, each once, in order."""
        one = [] if self.datasource_id is None else [self.datasource_id]
        return list(dict.fromkeys([*one, *(self.datasource_ids or [])]))


class DatasetPatch(WireModel):
    """What of a dataset changes; `datasourceIds` adds links without importing."""

    name: Name | None = None
    description: str | None = Field(default=None, max_length=10_000)
    config: dict[str, Json] | None = None
    datasource_ids: list[str] | None = Field(default=None, max_length=1_000)

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        return None if name is None else _check_name(name)


class ExtractionConfig(WireModel):
    """What becomes a row: a whole document, or each record in it."""

    rows_per: Literal["document", "record", "auto"] = "auto"


class GenerationConfig(WireModel):
    """How rows are made up."""

    prompt: str | None = Field(default=None, max_length=20_000)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    rows_from: str | None = None


class MapConfig(WireModel):
    """Where and what places are looked for; `check_map` checks what the words mean."""

    boundary: dict[str, Json] | None = None
    categories: list[Json] | None = None
    query: Json = None
    source: str | None = None
    max_results: int | None = Field(default=None, ge=1)
    include_unnamed: bool | None = None
    repair: bool | None = None


class NoConfig(WireModel):
    """Datasets of this type have nothing to configure."""


_CONFIGS: Mapping[DatasetType, type[WireModel]] = {
    DatasetType.EXTRACTION: ExtractionConfig,
    DatasetType.GENERATION: GenerationConfig,
    DatasetType.MAP: MapConfig,
}


def check_config(dataset_type: DatasetType, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The config to store: only what was said.

    Raises:
        ValidationFailed: keys or values that datasets of this type do not take.
    """
    model = _CONFIGS.get(dataset_type, NoConfig)
    try:
        checked = model.model_validate_json(
            dump_json_text(config or {}), by_alias=True, by_name=False
        )
    except ValidationError as error:
        found = error.errors(include_url=False)
        for each in found:
            each["loc"] = ("config", *each["loc"])
        raise to_validation_failed(found) from None
    return checked.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


async def check_map(config: Mapping[str, Any]) -> None:
    """Check where and what places a map's checked config asks for, beside the event loop.

    Raises:
        ValidationFailed: naming the place of the fault.
    """
    # Imported here: an API process without maps does without shapely's and numpy's memory.
    from gridmill.providers.places.query import read_query

    await asyncio.to_thread(read_query, config)


class DatasetListQuery(ListQuery):
    """Which datasets."""

    type: AnyDatasetType | None = None
    status: DatasetStatus | None = None
    search: str | None = Field(
        default=None, min_length=1, max_length=200, description="Part of the name or description"
    )


class DataQuery(ListQuery):
    """Which page of the data, in which order."""

    limit: int = Field(default=50, ge=1, le=ROW_PAGE_LIMIT)
    sort: str | None = Field(default=None, max_length=200, description="A column's id or name")
    order: Literal["asc", "desc"] = "asc"
    filter: str | None = Field(default=None, description="At most 10,000 characters")
    column_ids: str | None = Field(
        default=None, max_length=20_000, description="Column ids, separated by commas"
    )
    status: Literal["ok", "needs_review", "error"] | None = Field(
        default=None, description="Only rows with a cell in that status"
    )
    cells: Literal["full", "values"] = Field(
        default="full", description="`values`: bare values instead of cell objects"
    )


class CellPatch(WireModel):
    """A new value; `null` empties the cell."""

    value: Any


class ReviewBody(WireModel):
    """Which cells that wait for review are settled, and how: exactly one selection."""

    action: Literal["approve", "reject"]
    cell_ids: NamedIds | None = None
    task_id: str | None = None
    column_ids: NamedIds | None = None


class RowsCreate(WireModel):
    """Rows to append: values by column name."""

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=INSERT_LIMIT)


class RowsDelete(WireModel):
    """Rows to delete, at most 100,000."""

    row_ids: NamedIds


class ExportCreate(WireModel):
    """What to export."""

    format: Literal["csv", "jsonl", "parquet", "xlsx", "geojson"]
    column_ids: NamedIds | None = None
    filter: str | None = Field(default=None, description="At most 10,000 characters")
    include_metadata: bool = False
    expires_in: int = Field(default=3600, ge=1, le=86_400, description="Seconds")
