"""What a task would do and cost: its selection counted, its prompts measured on a sample.

The first half reads the database, the second asks the operations; no transaction is open then,
nothing is locked and no model is called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gridmill.auth.model import Principal
from gridmill.datasets import service as datasets
from gridmill.datasets.model import Column, Dataset
from gridmill.kit.clock import now
from gridmill.kit.ids import encode_row, new_uuid7
from gridmill.operations.model import Estimate, ExampleRow, Library, RowInput
from gridmill.providers.llm.model import Usage, add_costs
from gridmill.storage.database import Tx
from gridmill.tasks import service
from gridmill.tasks.loading import READING_TYPES, find_records, narrow_rows
from gridmill.tasks.model import Counts, Operations, Task, TaskKind, TaskStatus
from gridmill.tasks.new_rows import find_planner
from gridmill.tasks.planning import MAX_EXAMPLES
from gridmill.tasks.plans import Plan, choose_batch_rows, pick_wanted, plan_selection
from gridmill.tasks.selection import Selection, SelectionRequest, list_targets
from gridmill.tasks.service import Terms
from gridmill.tasks.setup import Setup, dump_examples, make_batch, make_setup, to_examples
from gridmill.webhooks import service as webhooks

SAMPLE_ROWS = 20
_SAMPLE_BATCHES = 5
# A batch's range may hold rows that are not selected: look at more than are needed.
_LOOK_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """`cells` in `rows` are to be filled; `inputs` are some of these rows."""

    cells: int
    rows: int
    setup: Setup
    inputs: Sequence[RowInput]


@dataclass(frozen=True, slots=True)
class TaskEstimate:
    """What a task would do and cost; `cost_usd` is `None` when a price is not known."""

    cells: int
    rows: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


async def sample_bulk(
    tx: Tx,
    operations: Operations,
    principal: Principal,
    dataset: Dataset,
    *,
    asked: SelectionRequest,
    terms: Terms,
) -> Sample:
    """The size of a bulk task, and some of its rows.

    Raises:
        ValidationFailed, WebhookNotFound, InvalidSelection, InvalidTaskForDataset.
    """
    service.check_terms(operations, terms)
    await webhooks.check_webhook(tx, dataset.workspace_id, terms.webhook_id)
    columns = await datasets.list_columns(tx, dataset)
    service.check_bulk(operations, dataset, columns)
    selection = await service.resolve_selection(tx, dataset, columns, asked)
    size = choose_batch_rows(operations, columns, selection.targets, terms.model)
    plan = await plan_selection(tx, dataset, columns, selection, size)
    request = {"processOnlyEmpty": asked.only_empty, **terms.to_request()}
    setup = await _make_setup(tx, principal, dataset, columns, (TaskKind.BULK, request, selection))
    inputs = await _sample_rows(tx, setup, selection, plan)
    cells = sum(batch.cells for batch in plan.batches)
    return Sample(cells, sum(batch.rows for batch in plan.batches), setup, inputs)


async def sample_new_rows(
    tx: Tx,
    operations: Operations,
    principal: Principal,
    dataset: Dataset,
    *,
    row_count: int,
    terms: Terms,
) -> Sample:
    """The size of a new-rows task, and some of the records it would take.

    Raises:
        ValidationFailed, WebhookNotFound, InvalidTaskForDataset.
    """
    service.check_terms(operations, terms)
    await webhooks.check_webhook(tx, dataset.workspace_id, terms.webhook_id)
    columns = await datasets.list_columns(tx, dataset)
    planner = find_planner(operations, dataset)
    await planner.count(tx, dataset, columns, row_count)
    targets = list_targets(columns)
    found = await planner.sample(tx, dataset, columns, row_count, SAMPLE_ROWS)
    selection = Selection(targets, only_empty=True, counts_filled=False)
    ordered = (TaskKind.NEW_ROWS, terms.to_request(), selection)
    setup = await _make_setup(tx, principal, dataset, columns, ordered)
    # Numbers of rows that are not there yet; they only tell the sample's rows apart.
    known = {-number: values for number, values in enumerate(found.values, 1)}
    origins = {-number: record for number, record in enumerate(found.records, 1)}
    inputs = [
        replace(row, origin=origins[row.row_no]) for row in _to_inputs(setup, known, listing={})
    ]
    wanted = sum(len(row.wanted) for row in inputs)
    cells = round(found.rows * wanted / len(known)) if known else 0
    return Sample(cells, found.rows, setup, inputs)


async def estimate_sample(operations: Operations, sample: Sample, library: Library) -> TaskEstimate:
    """Measure a sample's prompts and scale them to the whole task."""
    sampled = sum(len(row.wanted) for row in sample.inputs)
    total = Estimate(0, 0, 0, 0.0)
    for task_type, numbers in sample.setup.group_targets().items():
        operation = operations.by_task_type.get(task_type)
        part = narrow_rows(sample.inputs, numbers)
        if task_type in READING_TYPES:
            part = [row for row in part if row.origin is not None]
        if operation is None or not part:
            continue
        batch = replace(make_batch(sample.setup, part, _no_rows), library=library)
        total = _add(total, await operation.estimate(batch))
    factor = sample.cells / sampled if sampled else 0.0
    return TaskEstimate(
        cells=sample.cells,
        rows=sample.rows,
        requests=round(total.requests * factor),
        prompt_tokens=round(total.prompt_tokens * factor),
        completion_tokens=round(total.completion_tokens * factor),
        cost_usd=None if total.cost_usd is None else round(total.cost_usd * factor, 8),
    )


async def _no_rows() -> Sequence[ExampleRow]:
    return ()


def _add(left: Estimate, right: Estimate) -> Estimate:
    return Estimate(
        left.requests + right.requests,
        left.prompt_tokens + right.prompt_tokens,
        left.completion_tokens + right.completion_tokens,
        add_costs(left.cost_usd, right.cost_usd),
    )


async def _make_setup(
    tx: Tx,
    principal: Principal,
    dataset: Dataset,
    columns: Sequence[Column],
    ordered: tuple[TaskKind, Mapping[str, object], Selection],
) -> Setup:
    """The setup of a task that is never stored, so that its prompts are those of a real one."""
    kind, request, selection = ordered
    fill = [column for column in columns if column.column_no in selection.targets]
    found = await datasets.read_filled(tx, dataset, columns, fill, limit=MAX_EXAMPLES)
    examples = dump_examples(to_examples(dataset, columns, found))
    task = Task(
        task_id=new_uuid7(),
        workspace_id=principal.workspace_id,
        dataset_id=dataset.dataset_id,
        kind=kind,
        operation=dataset.type.value,
        status=TaskStatus.QUEUED,
        request=request,
        webhook_id=None,
        retry_of=None,
        batches_total=None,
        batches_done=0,
        total=0,
        counts=Counts(),
        rows_created=0,
        cells=Counts(),
        usage=Usage(),
        stopped_by=None,
        unreached=0,
        error=None,
        created_at=now(),
        started_at=None,
        completed_at=None,
    )
    return make_setup(task, dataset, columns, {**selection.to_json(), "examples": examples})


async def _sample_rows(tx: Tx, setup: Setup, selection: Selection, plan: Plan) -> list[RowInput]:
    """Rows from batches that are spread over the plan."""
    step = max(1, len(plan.batches) // _SAMPLE_BATCHES)
    chosen = plan.batches[::step][:_SAMPLE_BATCHES]
    each = -(-SAMPLE_ROWS // len(chosen)) if chosen else 0
    listing = dict(selection.cells or {})
    named = selection.named_rows
    found: list[RowInput] = []
    for batch in chosen:
        nos = [no for no in named if batch.first_row <= no <= batch.last_row]
        rows = await datasets.read_rows(
            tx,
            setup.dataset,
            setup.columns,
            row_nos=nos[: each * _LOOK_FACTOR] if batch.listed else None,
            first=batch.first_row,
            last=batch.last_row,
            limit=each * _LOOK_FACTOR,
            empty_in=setup.fill if setup.only_empty else None,
        )
        found += _to_inputs(setup, {row.row_no: row.values for row in rows}, listing)[:each]
    records = await find_records(tx, setup, [row.row_no for row in found])
    return [replace(row, origin=records.get(row.row_no)) for row in found]


def _to_inputs(
    setup: Setup,
    rows: Mapping[int, Mapping[int, str | None]],
    listing: Mapping[int, Sequence[int]],
) -> list[RowInput]:
    names = {column.column_no: column.name for column in setup.columns}
    found: list[RowInput] = []
    for row_no, values in rows.items():
        wanted = pick_wanted(
            listing.get(row_no, ()), setup.targets, values, only_empty=setup.only_empty
        )
        if wanted:
            by_name = {names[number]: value for number, value in values.items()}
            row_id = encode_row(setup.dataset.key, max(row_no, 1))
            found.append(RowInput(row_no, row_id, by_name, wanted))
    return found
