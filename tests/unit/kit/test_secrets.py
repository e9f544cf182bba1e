"""What must never be read in a log: planted in every place that a line has."""

import io
import logging
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gridmill.kit.logs import configure_logs
from gridmill.kit.secrets import MASK, SECRETS, Secrets

API_KEY = "gm_4fJq0ZrT8sW2kLmN6vXcB1yHdP3uGe9AoQiR7tEw5SjKxVbZ"
PROVIDER_KEY = "opaque0provider0key0without0any0shape"
WEBHOOK_SECRET = "whsec_c2VjcmV0LW9mLWEtd2ViaG9vay1lbmRwb2ludA=="
PASSWORD = "Tr0ub4dor&3-of-the-database"
LINK = "eyJraW5kIjoiZXhwb3J0In0.c2lnbmF0dXJlLW9mLWEtbGluaw"
DATABASE_URL = f"postgresql://grid:{PASSWORD}@db.internal:5432/grid"
PLANTED = (API_KEY, PROVIDER_KEY, WEBHOOK_SECRET, PASSWORD, LINK)
WORDS = (
    f"Authorization: Bearer {API_KEY}",
    f"could not connect to {DATABASE_URL}",
    f"signing with {WEBHOOK_SECRET} failed",
    f"GET http://127.0.0.1:8000/downloads/{LINK} answered 500",
    f"the provider said: Incorrect API key provided: {PROVIDER_KEY}.",
    f"{{'headers': {{'x-api-key': '{PROVIDER_KEY}', 'password': '{PASSWORD}'}}}}",
)


@dataclass
class Order:
    """An object that is logged by its repr."""

    url: str
    words: tuple[str, ...]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Generator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("debug")
    monkeypatch.setattr(SECRETS, "_known", ())
    SECRETS.learn([PROVIDER_KEY, PASSWORD])
    yield written
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


def _plant(words: str) -> None:
    """Log `words` in every place of a line, by our logger and by a library's."""
    ours, theirs = structlog.get_logger("gridmill.test"), logging.getLogger("aiohttp.client")
    ours.info(words)
    ours.info("told", text=words, nested={"a": [{"b": (words,)}], "c": {words}})
    ours.info("told", order=Order(DATABASE_URL, (words,)), raw=words.encode(), **{words: 1})
    ours.info("shown %s", words)
    theirs.warning("sent %s with %r", words, {"headers": [words]})
    try:
        try:
            raise ValueError(words)
        except ValueError as error:
            raise RuntimeError("outside") from error
    except RuntimeError as error:
        error.add_note(words)
        ours.exception("failed")
        ours.error("failed", error=error, cause=error.__cause__)
        theirs.exception("failed %s", error)
    try:
        raise ExceptionGroup(words, [ValueError(words)])
    except ExceptionGroup:
        ours.exception("failed together")


@pytest.mark.parametrize("words", WORDS)
def test_no_place_of_a_log_line_shows_a_secret(log: io.StringIO, words: str) -> None:
    _plant(words)
    text = log.getvalue()
    assert text.count("\n") == 9
    for line in text.splitlines():
        orjson.loads(line)
    assert [secret for secret in PLANTED if secret in text] == []
    assert MASK in text


def test_values_under_the_names_of_secrets_are_masked_at_every_depth(log: io.StringIO) -> None:
    structlog.get_logger("gridmill.test").info(
        "called",
        llm_api_key="short",
        headers={"Authorization": "x", "X-Signature": "y", "Accept": "text/plain"},
        deep=[{"client_secret": {"inner": 1}}],
        prompt_tokens=12,
        key=SecretStr("z" * 20),
        token=None,
    )
    line = orjson.loads(log.getvalue())
    assert line["llm_api_key"] == MASK
    assert line["headers"] == {"Authorization": MASK, "X-Signature": MASK, "Accept": "text/plain"}
    assert line["deep"] == [{"client_secret": MASK}]
    assert line["prompt_tokens"] == 12
    assert line["token"] is None
    assert "zzz" not in log.getvalue()


def test_the_rows_that_a_constraint_refused_are_not_logged() -> None:
    text = Secrets().mask_text(
        'new row violates check constraint "c"\nDETAIL:  Failing row contains (7, Ada (1815),\n x).'
    )
    assert "Ada" not in text
    key = Secrets().mask_text("DETAIL:  Key (name)=(Ada Lovelace) already exists.")
    assert key == f"DETAIL:  Key (name)=({MASK}) already exists."


def test_ordinary_sentences_stay_as_they_are() -> None:
    for text in (
        "database away, trying again",
        "the task used 512 tokens of model gpt-4.1-mini in 3.4 s",
        "GET https://example.com/a?page=2 answered 404",
        "key_id 0198c5f0-7b1e-7000-8000-000000000000 of workspace 3",
        "mail to ada@example.com at 10:30",
        str(Path("/var/lib/gridmill/api-key")),
    ):
        assert Secrets().mask_text(text) == text


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8, max_size=60),
    before=st.text(max_size=30),
    after=st.text(max_size=30),
)
def test_a_secret_that_was_made_known_is_found_between_any_texts(
    secret: str, before: str, after: str
) -> None:
    secrets = Secrets()
    secrets.learn([secret])
    masked = secrets.mask({"a": [f"{before}{secret}{after}"]})
    assert secret not in str(masked).replace(MASK, "") or secret in before + after + MASK


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=20))
def test_masking_keeps_the_shape_of_what_it_masks(value: object) -> None:
    masked = Secrets().mask(value)
    assert isinstance(masked, type(value) | str)
    assert orjson.dumps(Secrets().mask(masked)) == orjson.dumps(masked)
