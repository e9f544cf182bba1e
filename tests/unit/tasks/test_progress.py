"""How cells and rows are counted, and what progress says of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.operations.model import BatchOutcome, CellError, CellOutcome, CellStatus
from gridmill.providers.llm.model import Usage
from gridmill.tasks.events import Place, parse_place
from gridmill.tasks.model import (
    Counts,
    Task,
    TaskKind,
    TaskStatus,
    count_outcome,
    percentage_of,
)

pytestmark = pytest.mark.unit
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_task(**said: Any) -> Task:
    fields: dict[str, Any] = {
        "task_id": UUID(int=1),
        "workspace_id": UUID(int=2),
        "dataset_id": UUID(int=3),
        "kind": TaskKind.BULK,
        "operation": "data_enrichment",
        "status": TaskStatus.PROCESSING,
        "request": {},
        "webhook_id": None,
        "retry_of": None,
        "batches_total": 10,
        "batches_done": 2,
        "total": 1000,
        "counts": Counts(completed=150, skipped=50),
        "rows_created": 0,
        "cells": Counts(),
        "usage": Usage(),
        "stopped_by": None,
        "unreached": 0,
        "error": None,
        "created_at": NOON,
        "started_at": NOON,
        "completed_at": None,
    }
    return Task(**{**fields, **said})


def cell(row: int, status: CellStatus, code: str | None = None) -> CellOutcome:
    error = None if code is None else CellError(code, "why")
    return CellOutcome(row, 1, status, error=error)


OUTCOME = BatchOutcome(
    [
        cell(1, CellStatus.OK),
        cell(1, CellStatus.ERROR, "INVALID_REPLY"),
        cell(2, CellStatus.NEEDS_REVIEW),
        cell(3, CellStatus.ERROR, "PROVIDER_TIMEOUT"),
        cell(4, CellStatus.ERROR, "MODEL_REQUIRED"),
        cell(5, CellStatus.ERROR, "NOT_CONFIDENT"),
        cell(6, CellStatus.SKIPPED),
    ]
)


def test_cells_are_counted_by_what_became_of_them() -> None:
    found = count_outcome(OUTCOME, TaskKind.BULK, 6)
    assert found.counts == found.cells == Counts(2, 2, 3, 1)
    assert found.error is not None
    assert found.error.code == "INVALID_REPLY"


def test_a_row_fails_when_cells_of_it_fail_and_none_succeeds() -> None:
    found = count_outcome(OUTCOME, TaskKind.NEW_ROWS, 7)
    assert found.counts == Counts(completed=5, failed=1, skipped=1, needs_review=1)
    assert found.cells == Counts(2, 2, 3, 1)


@given(done=st.integers(0, 10**9), total=st.integers(0, 10**9))
def test_a_percentage_is_100_only_when_all_is_done(done: int, total: int) -> None:
    found = percentage_of(done, total)
    assert 0 <= found <= 100
    assert (found == 100) == (done >= total > 0)


def test_the_end_is_estimated_from_the_batches_so_far() -> None:
    moment = NOON + timedelta(seconds=10)
    assert make_task().estimate_end(moment) == NOON + timedelta(seconds=50)
    assert make_task(batches_done=0).estimate_end(moment) is None
    assert make_task(status=TaskStatus.COMPLETED).estimate_end(moment) is None


@pytest.mark.parametrize(
    ("said", "percentage"),
    [
        ({}, 20.0),
        ({"status": TaskStatus.QUEUED, "batches_total": None, "batches_done": 0}, 0.0),
        ({"status": TaskStatus.COMPLETED, "total": 0}, 100.0),
        (
            {
                "status": TaskStatus.COMPLETED,
                "stopped_by": "budget",
                "unreached": 700,
                "counts": Counts(150, 0, 850),
            },
            30.0,
        ),
        ({"status": TaskStatus.CANCELLED, "counts": Counts(150, 0, 850)}, 20.0),
        ({"status": TaskStatus.FAILED, "batches_total": 1, "batches_done": 1}, 100.0),
    ],
)
def test_progress_tells_how_far_a_task_came(said: dict[str, Any], percentage: float) -> None:
    assert make_task(**said).progress.percentage == percentage


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (None, Place()),
        ("", Place()),
        ("0", Place(0)),
        ("12", Place(12)),
        ("12.3", Place(11, 3)),
        ("-1", Place()),
        ("1e3", Place()),
        ("12.", Place()),
        ("9" * 30, Place()),
    ],
)
def test_an_event_id_says_where_a_reader_left_off(text: str | None, place: Place) -> None:
    assert parse_place(text) == place
