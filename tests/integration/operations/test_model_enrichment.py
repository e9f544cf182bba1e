"""Enrichment by a model over real HTTP: what is written, what is not, and what it costs."""

import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gridmill.kit.clock import now
from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType
from gridmill.operations.enrichment.asking import Asked, RowState, _take, plan_questions
from gridmill.operations.enrichment.frames import FrameBook
from gridmill.operations.enrichment.service import Enrichment
from gridmill.operations.errors import PriceUnknown
from gridmill.operations.model import BatchOutcome, CellOutcome, CellStatus, ExampleRow
from gridmill.providers.llm.budget import Budget
from gridmill.providers.llm.errors import ProviderRefused
from gridmill.providers.llm.fake.server import FakeServer
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import Completion, ModelRef, Usage
from gridmill.providers.llm.prices import Price
from tests.support.enriching import answer_with, batch_of, column, read_row, rows_of
from tests.support.models import open_gateway

pytestmark = pytest.mark.integration

NAME = column(1, "Name")
SECTOR = column(2, "Sector", "What does {{Name}} do?", DataType.ENUM, ("Food", "Steel"))
STAFF = column(3, "Staff", "How many people work at {{Name}}?", DataType.INTEGER)
PITCH = column(4, "Pitch", "Sell to {{Name}}, which is in {{Sector}}.")
COLUMNS = [NAME, SECTOR, STAFF, PITCH]


@pytest_asyncio.fixture
async def fake() -> AsyncGenerator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest_asyncio.fixture
async def gateway(fake: FakeServer) -> AsyncGenerator[Gateway]:
    async with open_gateway(fake.url, deadline=3.0, prices={"test-model": Price(1, 1)}) as opened:
        yield opened


@pytest_asyncio.fixture
async def pool() -> AsyncGenerator[ProcessPool]:
    processes = ProcessPool()
    yield processes
    await processes.close()


def find(outcome: BatchOutcome, row: int, number: int) -> CellOutcome:
    [cell] = [c for c in outcome.cells if (c.row_no, c.column_no) == (row, number)]
    return cell


async def test_one_request_fills_all_columns_of_a_row_with_confidence_and_sources(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    said = {"Sector": "Steel", "Staff": {"value": 12, "confidence": "certain", "evidence": []}}
    fake.answer = answer_with(lambda _row, key: said[key])
    batch = batch_of(COLUMNS, rows_of([{"Name": "Acme Steel"}], [2, 3]))
    outcome = await Enrichment(gateway, pool).run(batch)
    assert fake.answered == 1
    assert read_row(fake.requests[-1].prompt) == {"Name": "Acme Steel"}
    sector, staff = find(outcome, 1, 2), find(outcome, 1, 3)
    assert (sector.value, sector.status, sector.model) == ("Steel", CellStatus.OK, "test-model")
    assert sector.sources == ({"kind": "dataset", "rowIds": ["k1"]},)
    assert sector.factors is not None
    assert sector.factors["quotedInRow"] is True
    assert (staff.value, staff.sources) == ("12", ({"kind": "model"},))
    assert (sector.confidence or 0) > (staff.confidence or 0)
    assert outcome.usage.requests == 1
    assert (outcome.usage.cost_usd or 0.0) > 0


@pytest.mark.parametrize("packed", [1, 2])
async def test_a_prompt_with_references_never_sends_more_whatever_its_neighbours_ask(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool, packed: int
) -> None:
    fake.answer = answer_with(lambda _row, key: "Food" if key == "Sector" else 7)
    rating = column(6, "Rating", "How is it, from 1 to 9?", DataType.INTEGER)
    age = column(7, "Age", "Years since {{Founded}}", DataType.INTEGER)
    columns = [NAME, SECTOR, column(5, "Secret"), column(8, "Founded"), rating, age]
    row = {"Name": "Acme", "Secret": "s3cret", "Founded": "1990"}
    batch = batch_of(columns, rows_of([row, row | {"Name": "Bolt"}], [2, 6, 7]))
    enrichment = Enrichment(gateway, pool, rows_per_request=packed)
    estimate = await enrichment.estimate(batch)
    outcome = await enrichment.run(batch)
    assert fake.answered == estimate.requests == 4 // packed
    assert {cell.status for cell in outcome.cells} == {CellStatus.OK}
    for request in fake.requests:
        properties = request.schema["properties"]
        asked = properties.get("rows", {}).get("items", {}).get("properties", properties)
        if "Rating" in asked:
            assert "Sector" not in asked
            assert request.prompt.count("s3cret") == packed
        else:
            assert {"Sector", "Age"} <= asked.keys()
            assert "s3cret" not in request.prompt
            assert request.prompt.count("1990") == packed


async def test_a_column_is_filled_after_the_one_it_reads_with_its_fresh_value(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda row, key: "Food" if key == "Sector" else f"p {row['Sector']}")
    rows = rows_of([{"Name": "Acme", "Sector": "Steel"}, {"Name": "Bolt"}], [2, 4])
    outcome = await Enrichment(gateway, pool).run(batch_of(COLUMNS, rows, refresh=True))
    assert [find(outcome, row, 4).value for row in (1, 2)] == ["p Food", "p Food"]
    assert "Steel" not in str([read_row(request.prompt) for request in fake.requests])


async def test_a_bad_cell_is_repaired_once_else_it_alone_fails(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, key: "Food" if key == "Sector" else "plenty")
    batch = batch_of(COLUMNS, rows_of([{"Name": "Acme"}], [2, 3]))
    outcome = await Enrichment(gateway, pool).run(batch)
    assert fake.answered == 2
    assert find(outcome, 1, 2).value == "Food"
    failed = find(outcome, 1, 3)
    assert (failed.status, failed.value) == (CellStatus.ERROR, None)
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == ("INVALID_REPLY", True)


async def test_a_repaired_answer_is_written_with_less_confidence(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    good = answer_with(lambda _row, _key: 12)
    bad = answer_with(lambda _row, _key: "twelve or so")
    fake.answer = lambda request: good(request) if request.repairing else bad(request)
    batch = batch_of(COLUMNS, rows_of([{"Name": "Acme"}], [3]))
    cell = find(await Enrichment(gateway, pool).run(batch), 1, 3)
    assert cell.value == "12"
    assert cell.factors is not None
    assert cell.factors["repaired"] is True
    assert (cell.confidence or 1) < 0.75


async def test_a_bad_cell_costs_its_neighbour_no_confidence(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    good = answer_with(lambda _row, key: "Food" if key == "Sector" else 12)
    bad = answer_with(lambda _row, key: "Food" if key == "Sector" else "twelve or so")
    fake.answer = lambda request: good(request) if request.repairing else bad(request)
    batch = batch_of(COLUMNS, rows_of([{"Name": "Acme"}], [2, 3]))
    outcome = await Enrichment(gateway, pool).run(batch)
    factors = [find(outcome, 1, number).factors or {} for number in (2, 3)]
    assert [said["repaired"] for said in factors] == [False, True]
    assert (find(outcome, 1, 2).confidence or 0) > (find(outcome, 1, 3).confidence or 1)


@pytest.mark.parametrize(
    ("stated", "threshold", "status"),
    [
        ("certain", None, "ok"),
        ("likely", None, "ok"),
        ("unsure", None, "needs_review"),
        ("certain", 0.95, "needs_review"),
        (0.9, None, "ok"),
        (0.1, 0.0, "error"),
    ],
)
async def test_floor_and_threshold_decide_between_writing_review_and_nothing(
    fake: FakeServer,
    gateway: Gateway,
    pool: ProcessPool,
    *,
    stated: str | float,
    threshold: float | None,
    status: str,
) -> None:
    cell: dict[str, Any] = {"value": "Food", "confidence": stated, "evidence": ["Name"]}
    fake.answer = answer_with(lambda _row, _key: cell)
    columns = [NAME, replace(SECTOR, threshold=threshold)]
    outcome = await Enrichment(gateway, pool).run(batch_of(columns, rows_of([{"Name": "A"}], [2])))
    found = find(outcome, 1, 2)
    assert found.status == status
    assert (found.value is None) == (status == "error")
    assert (found.error.code if found.error else None) == (
        "NOT_CONFIDENT" if status == "error" else None
    )


async def test_an_unknown_value_is_left_empty(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, _key: None)
    outcome = await Enrichment(gateway, pool).run(batch_of(COLUMNS, rows_of([{"Name": "A"}], [2])))
    error = find(outcome, 1, 2).error
    assert error is not None
    assert error.code == "NOT_CONFIDENT"


async def test_a_provider_that_is_away_is_a_cell_error_to_try_again(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.behaviour = replace(fake.behaviour, errors=1.0)
    outcome = await Enrichment(gateway, pool).run(batch_of(COLUMNS, rows_of([{"Name": "A"}], [2])))
    error = find(outcome, 1, 2).error
    assert error is not None
    assert (error.code, error.retryable) == ("PROVIDER_UNAVAILABLE", True)


async def test_a_refused_key_ends_the_task(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.behaviour = replace(fake.behaviour, refuse=401)
    with pytest.raises(ProviderRefused):
        await Enrichment(gateway, pool).run(batch_of(COLUMNS, rows_of([{"Name": "A"}], [2])))


async def test_a_used_up_budget_leaves_the_rest_untouched(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, key: "Food" if key == "Sector" else "x")
    rows = rows_of([{"Name": f"n{n}"} for n in range(20)], [2, 4])
    batch = batch_of(COLUMNS, rows, budget=Budget(max_tokens=3_000))
    outcome = await Enrichment(gateway, pool).run(batch)
    assert outcome.stopped_by == "budget"
    skipped = [cell for cell in outcome.cells if cell.status is CellStatus.SKIPPED]
    assert 0 < len(skipped) < 40
    assert len({(cell.row_no, cell.column_no) for cell in outcome.cells}) == 40
    assert len(outcome.cells) == 40


async def test_a_limit_in_dollars_without_a_price_says_what_to_set_and_asks_nothing(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    columns = [NAME, replace(SECTOR, model="nameless"), STAFF]
    enrichment = Enrichment(gateway, pool)
    batch = batch_of(columns, rows_of([{"Name": "A"}], [2]), budget=Budget(max_cost_usd=5.0))
    with pytest.raises(ProviderRefused, match="GRIDMILL_LLM_PRICES") as caught:
        await enrichment.run(batch)
    assert (caught.value.code, fake.calls) == ("PRICE_UNKNOWN", 0)
    with pytest.raises(PriceUnknown, match="nameless"):
        enrichment.check_budget(columns, [2, 3], None, 5.0)
    with pytest.raises(PriceUnknown):
        enrichment.check_budget(columns, [3], "other", 5.0)
    enrichment.check_budget(columns, [3], None, 5.0)
    enrichment.check_budget(columns, [2], None, None)
    Enrichment(None, pool).check_budget(columns, [2], None, 5.0)


async def test_a_limit_of_tokens_needs_no_price(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, _key: "Food")
    rows = rows_of([{"Name": f"n{n}"} for n in range(5)], [2])
    batch = batch_of(COLUMNS, rows, model="nameless", budget=Budget(max_tokens=10))
    outcome = await Enrichment(gateway, pool).run(batch)
    assert outcome.stopped_by == "budget"
    assert {cell.status for cell in outcome.cells} == {CellStatus.OK, CellStatus.SKIPPED}


async def test_a_refresh_asks_again_but_equal_rows_once(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, _key: "Food")
    rows = rows_of([{"Name": "A"}] * 5, [2])
    enrichment = Enrichment(gateway, pool)
    await enrichment.run(batch_of(COLUMNS, rows))
    await enrichment.run(batch_of(COLUMNS, rows))
    assert fake.answered == 1
    later = now() + timedelta(milliseconds=1)
    await enrichment.run(batch_of(COLUMNS, rows, refresh=True, asked_at=later))
    assert fake.answered == 2


async def test_a_refresh_never_sends_what_it_is_to_replace(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    """Not the target's old value, not another target's, not in examples, not in packed rows."""
    own = column(5, "Own", "Improve {{Own}} of {{Name}}.")
    columns = [*COLUMNS, own]
    fake.answer = answer_with(lambda _row, key: {"Sector": "Food", "Staff": 7}.get(key, "fresh"))
    stale = {"Sector": "Steel", "Staff": "404", "Pitch": "STALE pitch", "Own": "STALE own"}
    rows = rows_of([{"Name": f"n{n}", **stale} for n in range(3)], [2, 3, 4, 5])
    examples = [ExampleRow(row.row_no, row.row_id, row.values) for row in rows]
    for packed in (1, 3):
        batch = batch_of(columns, rows, examples=examples, refresh=True)
        outcome = await Enrichment(gateway, pool, rows_per_request=packed).run(batch)
        assert {c.status for c in outcome.cells} <= {CellStatus.OK, CellStatus.NEEDS_REVIEW}
    for request in fake.requests:
        for text in (request.system, request.prompt):
            assert "STALE" not in text
            assert "404" not in text
        assert "Steel" not in request.prompt


async def test_an_unknown_provider_of_one_column_fails_that_column_alone(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, _key: "Food")
    columns = [NAME, SECTOR, replace(STAFF, model="anthropic/claude")]
    outcome = await Enrichment(gateway, pool).run(
        batch_of(columns, rows_of([{"Name": "A"}], [2, 3]))
    )
    assert find(outcome, 1, 2).value == "Food"
    error = find(outcome, 1, 3).error
    assert error is not None
    assert error.code == "MODEL_REQUIRED"


async def test_an_estimate_is_close_to_what_the_run_takes_and_asks_nothing(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    fake.answer = answer_with(lambda _row, _key: "Food")
    enrichment = Enrichment(gateway, pool)
    batch = batch_of(COLUMNS, rows_of([{"Name": f"Company {n % 10}"} for n in range(30)], [2]))
    estimate = await enrichment.estimate(batch)
    assert fake.calls == 0
    outcome = await enrichment.run(batch)
    assert estimate.requests == outcome.usage.requests == 10
    assert 0.5 < outcome.usage.prompt_tokens / estimate.prompt_tokens < 2
    assert estimate.cost_usd
    assert (await enrichment.estimate(batch)).requests == 0


async def test_packed_rows_come_apart_again_and_doubtful_ones_are_asked_alone(
    fake: FakeServer, gateway: Gateway, pool: ProcessPool
) -> None:
    good = answer_with(lambda row, _key: row["Name"])

    def answer(request: Any) -> dict[str, Any]:
        said = good(request)
        if "rows" in said:
            said["rows"] = [item for item in said["rows"] if item["row"] != 1]
        return said

    fake.answer = answer
    columns = [NAME, column(2, "Copy", "Repeat {{Name}}")]
    rows = rows_of([*({"Name": f"n{n}"} for n in range(6)), {"Name": "x" * 700}], [2])
    outcome = await Enrichment(gateway, pool, rows_per_request=3).run(batch_of(columns, rows))
    assert [find(outcome, row.row_no, 2).value for row in rows] == [
        row.values["Name"] for row in rows
    ]
    assert fake.answered == 1 + 2 + 2


def test_building_and_reading_takes_little_processor_time() -> None:
    rows = rows_of([{"Name": f"Company number {n}", "City": "Oulu"} for n in range(1000)], [2])
    batch = batch_of([NAME, column(9, "City"), column(2, "Sector", "What is it?")], rows)
    reply = {"Sector": {"value": "Steel", "confidence": "certain", "evidence": ["Name"]}}
    ref = ModelRef("openai", "m")
    best = 1.0
    for _ in range(3):
        started = time.process_time()
        states = [RowState.start(row) for row in rows]
        asked = Asked()
        for question in plan_questions(batch, FrameBook(batch), [batch.columns[2]], states, 1):
            request = question.to_request()
            assert request.validate is not None
            assert not request.validate(reply)
            _take(question, Completion(reply, Usage(), False, "openai", "m"), asked, ref)
        best = min(best, time.process_time() - started)
        assert len(asked.cells) == 1000
    assert best / 1000 < 0.3e-3
