import pytest

from gridmill.providers.llm.ladder import Ladder
from gridmill.providers.llm.model import Frame
from gridmill.providers.llm.openai import OpenAIWire
from gridmill.providers.llm.wire import Dialect, Rung

pytestmark = pytest.mark.unit

FRAME = Frame("Sys", {})
OTHER = Frame("Sys", {})


def test_a_server_without_schemas_is_asked_by_the_next_rung_from_then_on() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    seen = [ladder.dialect.rung]
    dialect = ladder.dialect
    while lower := ladder.step_down(FRAME, dialect, 400, "unknown field"):
        dialect = lower
        seen.append(dialect.rung)
    assert seen == list(OpenAIWire.rungs)


def test_when_no_rung_takes_a_request_the_best_is_tried_again_for_the_next() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    used = ladder.dialect
    while lower := ladder.step_down(FRAME, used, 400, "odd content"):
        used = lower
    assert used.rung is Rung.TEXT
    assert ladder.dialect.rung is Rung.SCHEMA


def test_calls_refused_together_step_down_once() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    used = ladder.dialect
    for _ in range(64):
        assert (
            ladder.step_down(FRAME, used, 400, "response_format is not known here")
            == ladder.dialect
        )
    assert ladder.dialect.rung is Rung.TOOL


def test_after_a_success_a_refusal_about_the_shape_counts_for_its_frame_only() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    used = ladder.dialect
    ladder.confirm(used, 10)
    words = "Invalid schema for response_format"
    loose = Dialect(Rung.SCHEMA, strict=False)
    assert ladder.step_down(FRAME, used, 400, words) == loose
    assert ladder.choose(FRAME) == loose
    assert ladder.step_down(FRAME, loose, 400, words) == Dialect(Rung.TOOL)
    assert ladder.choose(FRAME) == Dialect(Rung.TOOL)
    assert ladder.choose(OTHER) == ladder.dialect == used
    assert ladder.step_down(OTHER, used, 400, "you said something odd") is None


def test_a_request_that_is_too_long_takes_no_other_rung() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    words = "This model's maximum context length is 8192 tokens"
    assert ladder.step_down(FRAME, ladder.dialect, 400, words) is None
    assert ladder.step_down(FRAME, ladder.dialect, 401, "tool") is None


def test_parameters_that_a_model_does_not_take_are_left_out_for_good() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    first = ladder.step_down(FRAME, ladder.dialect, 400, "use 'max_completion_tokens' instead")
    assert first is not None
    second = ladder.step_down(FRAME, first, 400, "'temperature' does not support 0.0")
    assert second == Dialect(Rung.SCHEMA, temperature=False, completion_limit=True)
    assert ladder.dialect == second


def test_prose_three_times_before_anything_worked_steps_down() -> None:
    ladder = Ladder(OpenAIWire.rungs)
    used = ladder.dialect
    ladder.note_miss(used)
    ladder.note_miss(used)
    assert ladder.dialect == used
    ladder.note_miss(used)
    assert ladder.dialect.rung is Rung.TOOL
