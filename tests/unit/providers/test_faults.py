from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gridmill.providers.llm import faults
from gridmill.providers.llm.errors import (
    ModelError,
    ProviderLimited,
    ProviderRefused,
    ProviderUnavailable,
    RequestRefused,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (401, "bad key", ProviderRefused),
        (402, "", ProviderRefused),
        (403, "no", ProviderRefused),
        (404, "The model `x` does not exist", ProviderRefused),
        (307, "", ProviderRefused),
        (429, "You exceeded your current quota insufficient_quota", ProviderRefused),
        (400, "Your credit balance is too low", ProviderRefused),
        (429, "slow down", ProviderLimited),
        (500, "", ProviderUnavailable),
        (529, "overloaded", ProviderUnavailable),
        (408, "", ProviderUnavailable),
        (400, "context length exceeded", RequestRefused),
        (422, "", RequestRefused),
    ],
)
def test_a_status_becomes_its_error(status: int, words: str, kind: type[ModelError]) -> None:
    assert type(faults.read_fault(status, words, None)) is kind


def test_words_of_the_provider_lose_keys_and_controls_and_are_clipped() -> None:
    key = "my.secret/key+1"
    body = (
        f'{{"error": {{"message": "bad key {key} \\u0000\\n sk-proj-abc_def123456", "code": "x"}}}}'
    )
    words = faults.describe_fault(body.encode(), key)
    assert words == "bad key *** *** x"
    assert len(faults.describe_fault(b"a" * 10_000, key)) == 300
    assert faults.describe_fault(b"Bearer abcdef", "") == "***"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1]", b'{"error": 5}', b"[" * 50_000])
def test_any_body_can_be_described(body: bytes) -> None:
    assert len(faults.describe_fault(body, "key")) <= 300


def test_retry_after_is_read_as_seconds_or_as_a_date_and_is_bounded() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert faults.read_retry_after("3") == 3.0
    assert faults.read_retry_after("0.5") == 0.5
    assert faults.read_retry_after("86400") == 60.0
    assert faults.read_retry_after("-5") == 0.0
    assert 17 < (faults.read_retry_after(soon) or 0) <= 20
    assert faults.read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    for text in (None, "", "soon", "nan"):
        assert faults.read_retry_after(text) is None


def test_waits_grow_to_a_bound_and_respect_the_provider() -> None:
    for attempt in range(1, 40):
        wait = faults.choose_wait(attempt, None)
        assert 0.05 <= wait <= min(0.1 * 2 ** (attempt - 1), 20.0)
        assert 5.0 <= faults.choose_wait(1, 5.0) <= 5.5
