"""The generation operation: makes rows up that follow a table, and cells that follow their row."""

from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any
from uuid import UUID

from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType
from gridmill.operations.generation.columns import to_shape
from gridmill.operations.generation.drawing import Drawer
from gridmill.operations.generation.estimating import estimate_texts
from gridmill.operations.generation.memory import Ground
from gridmill.operations.generation.streams import PlacedRow, Streams, Stretch
from gridmill.operations.generation.ways import Way, WayFinder, list_refs
from gridmill.operations.generation.writing import (
    ContentWriter,
    Draft,
    Written,
    commission_from,
)
from gridmill.operations.model import (
    Batch,
    BatchOutcome,
    CellError,
    CellOutcome,
    CellStatus,
    ColumnSpec,
    Estimate,
    ExampleRow,
    MadeRows,
    NewRow,
    Order,
    RowInput,
)
from gridmill.operations.outcomes import fail_cell, skip_cell
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.synthesizer.model import ColumnShape, Row

WRITING_BATCH_ROWS = 100
DRAWING_BATCH_ROWS = 500
_SHOWN_EXAMPLES = 20
_MAX_PREPARED = 8


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What the batches of a task share: how columns are filled, and rows that a model is shown."""

    ways: Mapping[int, Way]
    examples: Sequence[ExampleRow]


class Generation:
    """Draws values by the synthesizer, and has texts written by a model (see `ways`)."""

    def __init__(self, gateway: Gateway | None, processes: ProcessPool) -> None:
        self._gateway = gateway
        self._finder = WayFinder(gateway)
        self._writer = None if gateway is None else ContentWriter(gateway)
        self._drawer = Drawer(processes)
        self._streams = Streams(self._drawer)
        self._prepared: OrderedDict[tuple[object, ...], _Prepared] = OrderedDict()

    def batch_rows(
        self, columns: Sequence[ColumnSpec], targets: Sequence[int], model: str | None
    ) -> int:
        """Rows of a good batch: fewer where a model writes a target."""
        ways = self._finder.choose(_pick(columns, targets), model, None, may_invent=True)
        return WRITING_BATCH_ROWS if list_refs(ways) else DRAWING_BATCH_ROWS

    def check_budget(
        self,
        columns: Sequence[ColumnSpec],
        targets: Sequence[int],
        model: str | None,
        max_cost_usd: float | None,
    ) -> None:
        """Raise `PriceUnknown` when a target's model has no price that the limit could count by."""
        self._finder.check_budget(_pick(columns, targets), model, max_cost_usd)

    async def make(self, order: Order) -> MadeRows:
        """Make the rows of the stretch that `order.items` names.

        Raises `ProviderRefused` when the whole task cannot go on.
        """
        stretch = Stretch.from_json(order.items[0])
        wanted = _pick(order.columns, order.wanted)
        prepared = await self._prepare(order, wanted, may_invent=True)
        refs = list_refs(prepared.ways)
        width = len(order.columns)

        async def find_taken(rows: Sequence[Row], keys: Sequence[int]) -> Collection[int]:
            own = [row[:width] for row in rows]
            return await order.find_taken(own, [place for place in keys if place < width])

        ground = _make_ground(order, stretch.seed, refs)
        rows, message = await self._streams.take(
            f"{order.task_id} rows", stretch, ground, find_taken
        )
        drafts = [_draft(order.columns, no, row, prepared.ways) for no, row in enumerate(rows)]
        written = await self._write(order, prepared, drafts)
        status = CellStatus.NEEDS_REVIEW if stretch.is_reviewed else CellStatus.OK
        cells: dict[int, list[CellOutcome]] = defaultdict(list)
        for cell in written.cells:
            cells[cell.row_no].append(_mark(cell, status))
        for draft, row in zip(drafts, rows, strict=True):
            factors = {"seed": stretch.seed, "place": row.place}
            for column in wanted:
                way, value = prepared.ways[column.number], draft.values[column.name]
                if way.missing is not None:
                    cells[draft.row.row_no].append(fail_cell(draft.row, column, way.missing))
                elif value is None and way.ref is None:
                    # Empty as often as in the table: nothing that others should fill.
                    cells[draft.row.row_no].append(skip_cell(draft.row, column))
                elif value is not None and way.ref is None:
                    method = "recombined" if column.name in row.recombined else "synthesizer"
                    cell = _show(draft.row, column, value, {"method": method, **factors})
                    cells[draft.row.row_no].append(_mark(cell, status))
        made = [NewRow(cells[draft.row.row_no]) for draft in drafts]
        return MadeRows(made, written.usage, "budget" if written.stopped else None, message)

    async def run(self, batch: Batch) -> BatchOutcome:
        """Fill cells with content that goes with the rest of their row.

        Raises `ProviderRefused` when the whole task cannot go on.
        """
        numbers = {number for row in batch.rows for number in row.wanted}
        wanted = _pick(batch.columns, sorted(numbers))
        prepared = await self._prepare(batch, wanted, may_invent=False)
        cells: list[CellOutcome] = []
        for column in wanted:
            missing = prepared.ways[column.number].missing
            if missing is not None:
                rows = [row for row in batch.rows if column.number in row.wanted]
                cells += [fail_cell(row, column, missing) for row in rows]
        # What is drawn comes first: what a model writes is to agree with it.
        cells += await self._complete(batch, wanted, prepared.ways)
        written = await self._write(batch, prepared, start_drafts(batch, prepared.ways, cells))
        stopped_by = "budget" if written.stopped else None
        return BatchOutcome([*cells, *written.cells], written.usage, stopped_by)

    async def estimate(self, batch: Batch) -> Estimate:
        """What the texts of `batch` would cost, from their real prompts; calls no model."""
        numbers = {number for row in batch.rows for number in row.wanted}
        wanted = _pick(batch.columns, sorted(numbers))
        ways = self._finder.choose(wanted, batch.model, None, may_invent=True)
        drafts = start_drafts(batch, ways, ())
        commission = commission_from(batch, batch.examples)
        return await estimate_texts(self._gateway, commission, list_refs(ways), drafts)

    async def measure(
        self, columns: Sequence[ColumnSpec], real: Sequence[Row], made: Sequence[Row]
    ) -> Mapping[str, Any]:
        """How alike real and made rows are, values in the columns' order; as JSON.

        Raises `ProviderRefused` when that takes too much.
        """
        return await self._drawer.measure([to_shape(column) for column in columns], real, made)

    async def _prepare(
        self, work: Order | Batch, wanted: Sequence[ColumnSpec], *, may_invent: bool
    ) -> _Prepared:
        key = (work.task_id, *(column.number for column in wanted))
        found = self._prepared.get(key)
        if found is None:
            known = await work.load_training()
            ways = self._finder.choose(wanted, work.model, known, may_invent=may_invent)
            found = self._prepared[key] = _Prepared(ways, tuple(known[:_SHOWN_EXAMPLES]))
            if len(self._prepared) > _MAX_PREPARED:
                self._prepared.popitem(last=False)
        return found

    async def _write(
        self, work: Order | Batch, prepared: _Prepared, drafts: Sequence[Draft]
    ) -> Written:
        refs = list_refs(prepared.ways)
        if self._writer is None or not refs:
            return Written()
        waiting = [draft for draft in drafts if draft.waiting]
        return await self._writer.write(commission_from(work, prepared.examples), refs, waiting)

    async def _complete(
        self, batch: Batch, wanted: Sequence[ColumnSpec], ways: Mapping[int, Way]
    ) -> list[CellOutcome]:
        """The cells that the synthesizer fills, each drawn to go with the rest of its row."""
        drawn = {c.number: c for c in wanted if ways[c.number] == Way()}
        rows = [row for row in batch.rows if drawn.keys() & set(row.wanted)]
        if not rows:
            return []
        places = {column.number: place for place, column in enumerate(batch.columns)}
        names = [column.name for column in batch.columns]
        asked = [tuple(places[n] for n in row.wanted if n in drawn) for row in rows]
        hidden = [{places[n] for n in row.wanted} for row in rows]
        given = [
            tuple(None if p in hide else row.values.get(name) for p, name in enumerate(names))
            for row, hide in zip(rows, hidden, strict=True)
        ]
        seed = batch.config.get("seed", seed_of(batch.task_id))
        found = await self._drawer.complete(
            f"{batch.task_id} cells",
            _make_ground(batch, seed),
            [row.row_no for row in rows],
            given,
            asked,
        )
        cells: list[CellOutcome] = []
        for row, values, wants in zip(rows, found.rows, asked, strict=True):
            for place in wants:
                column, value = batch.columns[place], values[place]
                method = "recombined" if column.name in found.recombined else "synthesizer"
                if value is None:
                    cells.append(fail_cell(row, column, _NO_VALUE))
                else:
                    cells.append(_show(row, column, value, {"method": method, "seed": seed}))
        return cells


_NO_VALUE = CellError("NOT_CONFIDENT", "No value that the column admits goes with this row.")


def start_drafts(
    batch: Batch, ways: Mapping[int, Way], cells: Sequence[CellOutcome]
) -> list[Draft]:
    """The rows of a batch for the writer, with what was just drawn; what is to be written hidden."""
    refs = list_refs(ways)
    names = {column.number: column.name for column in batch.columns}
    drawn: dict[int, dict[str, str | None]] = defaultdict(dict)
    for cell in cells:
        if cell.value is not None:
            drawn[cell.row_no][names[cell.column_no]] = cell.value
    return [
        Draft(row, {**row.values, **drawn[row.row_no]}, {n for n in row.wanted if n in refs})
        for row in batch.rows
    ]


def _draft(
    columns: Sequence[ColumnSpec], number: int, made: PlacedRow, ways: Mapping[int, Way]
) -> Draft:
    """A made row: its drawn values, and what a model is to write instead."""
    own = made.values[: len(columns)]
    values = {column.name: value for column, value in zip(columns, own, strict=True)}
    waiting = set(list_refs(ways))
    return Draft(RowInput(number, "", values, tuple(waiting)), values, waiting, made.place)


def _show(
    row: RowInput, column: ColumnSpec, value: str, factors: Mapping[str, object]
) -> CellOutcome:
    return CellOutcome(
        row.row_no,
        column.number,
        CellStatus.OK,
        value=value,
        factors={**factors, "calibrated": False},
        sources=({"kind": "model"},),
    )


def _mark(cell: CellOutcome, status: CellStatus) -> CellOutcome:
    return replace(cell, status=status) if cell.status is CellStatus.OK else cell


def _pick(columns: Sequence[ColumnSpec], numbers: Sequence[int]) -> list[ColumnSpec]:
    wanted = set(numbers)
    return [column for column in columns if column.number in wanted]


def _make_ground(
    work: Order | Batch, seed: int, written: Collection[int] = ()
) -> Callable[[], Awaitable[Ground]]:
    """What a child is given when it holds nothing of the task.

    Columns that a model will write (`written`) are left to it. As rows that differ in nothing else
    are no copies then, a number that nobody sees tells rows apart.
    """

    async def load() -> Ground:
        names = [column.name for column in work.columns]
        hidden = {column.name for column in work.columns if column.number in written}
        rows = [
            tuple(None if n in hidden else row.values.get(n) for n in names)
            for row in await work.load_training()
        ]
        shapes = [to_shape(column) for column in work.columns]
        if written:
            shapes.append(ColumnShape("", DataType.INTEGER, unique=True))
            rows = [(*row, str(number)) for number, row in enumerate(rows, 1)]
        # Generators of random numbers take no negative seed.
        return Ground(tuple(shapes), tuple(rows), seed % 2**64)

    return load


def seed_of(task_id: UUID) -> int:
    """The seed of a task whose dataset names none."""
    return int.from_bytes(blake2b(task_id.bytes, digest_size=6).digest())
