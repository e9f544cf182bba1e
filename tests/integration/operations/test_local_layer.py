"""Learners first, then a local model where it can be held to something. A real llama.cpp, whose
tiny random weights answer noise: what is made of its answers is what is tested."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from gridmill.kit.processes import ProcessPool
from gridmill.kit.values import DataType
from gridmill.operations.enrichment.local import FEWEST_ROWS, PRIOR
from gridmill.operations.enrichment.service import Enrichment
from gridmill.operations.model import CellStatus, ExampleRow
from gridmill.providers.llm.gateway import Gateway
from gridmill.providers.llm.model import LOCAL, Access, ModelRef
from gridmill.providers.local.server import LocalServer
from gridmill.providers.local.transport import LocalTransport
from tests.support.enriching import batch_of, column, rows_of
from tests.support.tiny_llama import write_tiny_llama

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def pool() -> AsyncGenerator[ProcessPool]:
    processes = ProcessPool(memory_bytes=4 * 2**30)
    yield processes
    await processes.close()


@pytest.fixture
def server(tmp_path: Path) -> LocalServer:
    return LocalServer(write_tiny_llama(tmp_path / "tiny.gguf"), tmp_path / "run")


@pytest_asyncio.fixture
async def gateway(server: LocalServer) -> AsyncGenerator[Gateway]:
    async with Gateway(
        [Access(LOCAL, base_url="http://here/v1", models=("tiny",))],
        default=ModelRef(LOCAL, "tiny"),
        transports={LOCAL: LocalTransport(server)},
    ) as opened:
        yield opened


async def test_options_without_filled_rows_are_chosen_among_and_marked_for_review(
    gateway: Gateway, pool: ProcessPool
) -> None:
    columns = [column(1, "Text"), column(2, "Mood", "How is it?", options=("good", "bad"))]
    batch = batch_of(columns, rows_of([{"Text": "qwx 17 zzy"}], [2]))
    [cell] = (await Enrichment(gateway, pool).run(batch)).cells
    assert cell.status in {CellStatus.NEEDS_REVIEW, CellStatus.ERROR}
    if cell.provider is not None:
        assert cell.value in {"good", "bad"}
        assert (cell.provider, cell.model) == (LOCAL, "tiny")
        assert cell.confidence == PRIOR
        assert cell.factors is not None
        assert cell.factors["calibrated"] is False
        assert {"kind": "model"} in cell.sources


async def test_a_fact_that_does_not_stand_in_the_row_is_not_taken_from_a_small_model(
    gateway: Gateway, pool: ProcessPool
) -> None:
    columns = [
        column(1, "Text"),
        column(2, "Length", "How long is {{Text}}?", DataType.INTEGER),
    ]
    batch = batch_of(columns, rows_of([{"Text": "a river"}, {"Text": "a bridge"}], [2]))
    outcome = await Enrichment(gateway, pool).run(batch)
    assert outcome.usage.requests >= 2
    assert any("facts about the world" in str(cell.error) for cell in outcome.cells)
    for cell in outcome.cells:
        assert cell.value is None
        assert cell.error is not None
        assert cell.error.code == "MODEL_REQUIRED"


async def test_a_column_of_which_nothing_is_known_is_not_asked(
    gateway: Gateway, pool: ProcessPool
) -> None:
    columns = [column(1, "Text"), column(2, "Capital", "The capital of the country.")]
    outcome = await Enrichment(gateway, pool).run(
        batch_of(columns, rows_of([{"Text": "Luxembourg"}], [2]), model="local/tiny")
    )
    assert outcome.usage.requests == 0
    assert outcome.cells[0].error is not None
    assert outcome.cells[0].error.code == "MODEL_REQUIRED"


async def test_a_model_that_is_measured_to_be_wrong_is_not_believed(
    gateway: Gateway, pool: ProcessPool
) -> None:
    columns = [column(1, "Note"), column(2, "Code")]
    training = [
        ExampleRow(n, f"k{n}", {"Note": f"{n * 7919 % 1000} x {n * 104729 % 1000}", "Code": label})
        for n in range(100, 160)
        for label in [f"{n * 7919 % 1000}" if n * 31 % 7 < 4 else f"{n * 104729 % 1000}"]
    ]
    rows = rows_of([{"Note": f"{n} x {n + 11}"} for n in range(3)], [2])
    outcome = await Enrichment(gateway, pool).run(batch_of(columns, rows, training=training))
    for cell in outcome.cells:
        if cell.provider == LOCAL:
            assert cell.factors is not None
            few = cell.factors["measuredRows"] < FEWEST_ROWS
            assert cell.status is CellStatus.NEEDS_REVIEW or not few


async def test_without_memory_the_learners_cells_stay_and_say_why(
    pool: ProcessPool, tmp_path: Path
) -> None:
    weights = write_tiny_llama(tmp_path / "tiny.gguf")
    server = LocalServer(weights, tmp_path / "run", available=lambda: 1)
    columns = [column(1, "Text"), column(2, "Maker", "Who made what {{Text}} tells of?")]
    async with Gateway(
        [Access(LOCAL, base_url="http://here/v1", models=("tiny",))],
        default=ModelRef(LOCAL, "tiny"),
        transports={LOCAL: LocalTransport(server)},
    ) as gateway:
        batch = batch_of(columns, rows_of([{"Text": "a river"}], [2]), task=uuid4())
        [cell] = (await Enrichment(gateway, pool).run(batch)).cells
    assert cell.error is not None
    assert cell.error.code == "MODEL_REQUIRED"
    assert "could not be asked" in cell.error.message
    assert "memory" in cell.error.message
