"""How each column is filled: by a model, by the synthesizer, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gridmill.operations.errors import PriceUnknown
from gridmill.operations.generation.columns import is_formless, is_writable
from gridmill.operations.model import CellError, ColumnSpec, ExampleRow
from gridmill.providers.llm.errors import UnknownModel
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, ModelRef

_ONLY_A_MODEL = (
    "Nothing tells what a value of this column looks like. Give it options, examples or a pattern, "
    "fill in some rows, or configure a model and write a prompt."
)


@dataclass(frozen=True, slots=True)
class Way:
    """How a column is filled: by `ref`, by the synthesizer (`None`), or not at all (`missing`)."""

    ref: ModelRef | None = None
    missing: CellError | None = None


class WayFinder:
    """Chooses ways.

    A text with a prompt, and a column of which nothing tells what its values look like, are asked of
    the column's own model (`metadata.model`), else of the task's, else of the gateway's default. A
    local model that nobody named is asked for the latter alone: texts put together from parts of
    known ones are there at once.
    """

    def __init__(self, gateway: Gateway | None) -> None:
        self._gateway = gateway

    def choose(
        self,
        columns: Sequence[ColumnSpec],
        model: str | None,
        known: Sequence[ExampleRow] | None,
        *,
        may_invent: bool,
    ) -> dict[int, Way]:
        """The ways of `columns` by number. `known` are filled rows, `None` when they were not read.

        `may_invent` admits texts made of a column's name where nothing else is known.
        """
        return {
            column.number: self._choose(column, model, _is_bare(column, known), may_invent)
            for column in columns
        }

    def check_budget(
        self, columns: Sequence[ColumnSpec], model: str | None, max_cost_usd: float | None
    ) -> None:
        """Raise `PriceUnknown` when a model has no price that a limit in dollars could count by."""
        if max_cost_usd is None or self._gateway is None:
            return
        for way in self.choose(columns, model, None, may_invent=True).values():
            if way.ref is not None and self._gateway.price_of(way.ref) is None:
                raise PriceUnknown(str(way.ref))

    def _choose(
        self, column: ColumnSpec, model: str | None, is_bare: bool, may_invent: bool
    ) -> Way:
        without = Way()
        if is_bare and not may_invent:
            without = Way(missing=CellError("MODEL_REQUIRED", _ONLY_A_MODEL))
        if not (is_writable(column) or is_bare):
            return without
        name = column.model or model
        if self._gateway is None:
            if name is None:
                return without
            message = f"No model is configured on this server, so {name} is not there."
            return Way(missing=CellError("MODEL_REQUIRED", message))
        try:
            ref = self._gateway.resolve(name)
        except UnknownModel as error:
            return Way(missing=CellError("MODEL_REQUIRED", error.message))
        is_slow = ref.provider == LOCAL and name is None
        return without if is_slow and (may_invent or not is_bare) else Way(ref)


def list_refs(ways: Mapping[int, Way]) -> dict[int, ModelRef]:
    """The models of the columns that one writes."""
    return {number: way.ref for number, way in ways.items() if way.ref is not None}


def _is_bare(column: ColumnSpec, known: Sequence[ExampleRow] | None) -> bool:
    return known is not None and is_formless(column, [row.values.get(column.name) for row in known])
