"""Columns, rows and batches for tests of enrichment, and a fake model that reads its prompt."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from gridmill.kit.values import DataType, ValueRules
from gridmill.operations.model import Batch, ColumnSpec, ExampleRow, RowInput
from gridmill.operations.prompting import ROW_END, ROW_START
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.fake.behaviour import FakeRequest

WORKSPACE = UUID("01890000-0000-7000-8000-000000000001")
TASK = UUID("01890000-0000-7000-8000-000000000002")


def column(
    number: int,
    name: str,
    prompt: str | None = None,
    data_type: DataType = DataType.TEXT,
    options: tuple[str, ...] = (),
    *,
    model: str | None = None,
    threshold: float | None = None,
    use_cache: bool = True,
) -> ColumnSpec:
    rules = ValueRules(data_type, options)
    return ColumnSpec(
        number,
        name,
        rules,
        prompt=prompt,
        model=model,
        threshold=threshold,
        use_cache=use_cache,
    )


def rows_of(values: Sequence[Mapping[str, str | None]], wanted: Sequence[int]) -> list[RowInput]:
    return [RowInput(n, f"k{n}", dict(row), tuple(wanted)) for n, row in enumerate(values, 1)]


def batch_of(
    columns: Sequence[ColumnSpec],
    rows: Sequence[RowInput],
    *,
    examples: Sequence[ExampleRow] = (),
    training: Sequence[ExampleRow] = (),
    refresh: bool = False,
    asked_at: datetime | None = None,
    model: str | None = None,
    budget: Budget | None = None,
    task: UUID = TASK,
) -> Batch:
    async def load_training() -> Sequence[ExampleRow]:
        return training

    return Batch(
        task_id=task,
        workspace_id=WORKSPACE,
        dataset_name="Companies",
        dataset_description=None,
        columns=columns,
        rows=rows,
        examples=examples,
        load_training=load_training,
        refresh=refresh,
        asked_at=asked_at,
        model=model,
        budget=budget,
    )


def read_row(prompt: str) -> Any:
    """The data between the fences of a prompt."""
    found = re.search(f"^{ROW_START}\n(.*)\n{ROW_END}$", prompt, re.MULTILINE)
    assert found is not None
    return orjson.loads(found[1])


def answer_with(
    fill: Callable[[dict[str, str], str], Any],
) -> Callable[[FakeRequest], dict[str, Any]]:
    """A fake model: `fill(row data, reply key)` gives a cell, or a value to make a sure cell of."""

    def answer(request: FakeRequest) -> dict[str, Any]:
        data = read_row(request.prompt)
        properties = request.schema["properties"]
        if "rows" in properties:
            keys = [key for key in properties["rows"]["items"]["properties"] if key != "row"]
            return {
                "rows": [
                    {"row": item["row"]} | {key: _cell(fill(item["values"], key)) for key in keys}
                    for item in data
                ]
            }
        return {key: _cell(fill(data, key)) for key in properties}

    return answer


def _cell(said: Any) -> Any:
    if isinstance(said, dict):
        return said
    return {"value": said, "confidence": "certain", "evidence": ["Name"]}
