"""From the dataset's shapes to those of operations, and what all batches of a task share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridmill.datasets import model as grids
from gridmill.datasets.model import Column, Dataset, DatasetType, FilledRow, TaskType
from gridmill.kit.ids import encode_row
from gridmill.operations.model import Batch, ColumnSpec, ExampleRow, RowInput, Verdict
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.model import Usage
from gridmill.tasks.model import Task

# Examples go into prompts, where longer values would be cut anyway.
_EXAMPLE_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for every batch of a task: nothing of it changes while the lock is held."""

    task: Task
    dataset: Dataset
    columns: Sequence[Column]
    specs: Sequence[ColumnSpec]
    targets: tuple[int, ...]
    only_empty: bool
    examples: Sequence[ExampleRow]

    @property
    def model(self) -> str | None:
        """The model that the task names, `provider/model`."""
        return self.task.request.get("model")

    @property
    def refresh(self) -> bool:
        """Whether answers of earlier tasks are not to be used."""
        return self.task.request.get("processOnlyEmpty") is False

    @property
    def fill(self) -> list[Column]:
        """The columns that the task fills, in order."""
        return [column for column in self.columns if column.column_no in self.targets]

    @property
    def operation_names(self) -> Mapping[int, str]:
        """What the metadata of a column's cells says of the operation, by column number."""
        return {column.column_no: column.task_type.value for column in self.columns}

    @property
    def made_columns(self) -> frozenset[int]:
        """The columns that a maker of the dataset's rows fills, by number.

        A maker reads documents or maps for the columns of its own kind. One that makes rows up
        gives each column a value, but for those that another operation finds from the rest.
        """
        if self.dataset.type in {DatasetType.EXTRACTION, DatasetType.MAP}:
            own = TaskType(self.dataset.type.value)
            return frozenset(column.column_no for column in self.fill if column.task_type is own)
        return frozenset(
            column.column_no
            for column in self.columns
            if column.column_no not in self.targets or column.task_type is TaskType.GENERATION
        )

    def open_budget(self, spent: Usage) -> Budget | None:
        """What is left to spend after `spent`, when the task has a budget."""
        said: Mapping[str, Any] | None = self.task.request.get("budget")
        if not said:
            return None
        return Budget(
            max_cost_usd=said.get("maxCostUsd"), max_tokens=said.get("maxTokens"), spent=spent
        )

    def group_targets(self) -> dict[TaskType, frozenset[int]]:
        """The numbers of the dataset's columns by task type, in the order of the columns."""
        groups: dict[TaskType, frozenset[int]] = {}
        for column in self.columns:
            groups[column.task_type] = groups.get(column.task_type, frozenset()) | {
                column.column_no
            }
        return groups


def make_setup(
    task: Task, dataset: Dataset, columns: Sequence[Column], plan: Mapping[str, Any]
) -> Setup:
    """The setup of a planned task."""
    return Setup(
        task=task,
        dataset=dataset,
        columns=columns,
        specs=to_specs(columns),
        targets=tuple(plan["targets"]),
        only_empty=bool(plan.get("onlyEmpty", True)),
        examples=load_examples(plan.get("examples", ())),
    )


def make_batch(
    setup: Setup,
    rows: Sequence[RowInput],
    load_training: Callable[[], Awaitable[Sequence[ExampleRow]]],
    budget: Budget | None = None,
) -> Batch:
    """Rows of a task as an operation takes them."""
    return Batch(
        task_id=setup.task.task_id,
        workspace_id=setup.task.workspace_id,
        dataset_name=setup.dataset.name,
        dataset_description=setup.dataset.description,
        columns=setup.specs,
        rows=rows,
        examples=setup.examples,
        load_training=load_training,
        refresh=setup.refresh,
        asked_at=setup.task.created_at,
        model=setup.model,
        budget=budget,
        config=setup.dataset.config,
    )


def to_specs(columns: Sequence[Column]) -> list[ColumnSpec]:
    """Columns as operations see them."""
    return [
        ColumnSpec(
            number=column.column_no,
            name=column.name,
            rules=column.rules,
            prompt=column.metadata.prompt,
            description=column.metadata.description,
            unit=column.metadata.unit,
            required=column.metadata.required is True,
            threshold=column.metadata.confidence,
            examples=column.metadata.examples,
            model=column.metadata.model,
            knowledge=column.metadata.knowledge,
            use_cache=column.metadata.cache is not False,
        )
        for column in columns
    ]


def to_examples(
    dataset: Dataset, columns: Sequence[Column], rows: Sequence[FilledRow]
) -> list[ExampleRow]:
    """Filled rows as operations see them, values by column name."""
    name_of = {column.column_no: column.name for column in columns}
    return [
        ExampleRow(
            row_no=found.row.row_no,
            row_id=encode_row(dataset.key, found.row.row_no),
            values={name_of[n]: value for n, value in found.row.values.items() if n in name_of},
            vouched=frozenset(name_of[n] for n in found.vouched if n in name_of),
        )
        for found in rows
    ]


def to_verdicts(
    dataset: Dataset, columns: Sequence[Column], found: Sequence[grids.Verdict]
) -> list[Verdict]:
    """Words of people as operations see them; those on values without a confidence left out."""
    name_of = {column.column_no: column.name for column in columns}
    told: list[Verdict] = []
    for one in found:
        confidence = one.metadata.get("confidence")
        factors: Mapping[str, Any] = one.metadata.get("confidenceFactors") or {}
        if one.column_no not in name_of or confidence is None or "method" not in factors:
            continue
        told.append(
            Verdict(
                row_id=encode_row(dataset.key, one.row_no),
                column=name_of[one.column_no],
                value=one.value,
                truth=one.truth,
                confidence=float(confidence),
                method=str(factors["method"]),
                asked_for=one.metadata["status"] == "needs_review"
                or bool(one.metadata.get("approved")),
            )
        )
    return told


def dump_examples(examples: Sequence[ExampleRow]) -> list[dict[str, Any]]:
    """Examples as a plan keeps them, long values cut."""
    return [
        {
            "rowNo": example.row_no,
            "rowId": example.row_id,
            "values": {
                name: value and value[:_EXAMPLE_CHARACTERS]
                for name, value in example.values.items()
            },
            "vouched": sorted(example.vouched),
        }
        for example in examples
    ]


def load_examples(kept: Sequence[Mapping[str, Any]]) -> list[ExampleRow]:
    """Examples from a plan."""
    return [
        ExampleRow(one["rowNo"], one["rowId"], one["values"], frozenset(one["vouched"]))
        for one in kept
    ]
