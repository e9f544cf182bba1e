"""API keys: their shape, their checksum, what their scopes reach."""

import secrets
import string
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.auth import service
from gridmill.auth.model import (
    Principal,
    Scope,
    hash_key,
    hint_of,
    is_well_formed_key,
    make_key,
    sign,
)
from gridmill.kit.errors import Unauthorized

_ALPHANUMERIC = string.digits + string.ascii_letters


def test_a_new_key_is_well_formed_and_never_the_same() -> None:
    keys = {make_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(is_well_formed_key(key) for key in keys)
    assert all(key.startswith("gm_") and len(key) == 52 for key in keys)


# What is drawn must not depend on the key, which is another one each time.
@given(place=st.integers(3, 51), step=st.integers(1, len(_ALPHANUMERIC) - 1))
def test_a_typing_error_breaks_the_checksum(place: int, step: int) -> None:
    key = make_key()
    other = _ALPHANUMERIC[(_ALPHANUMERIC.index(key[place]) + step) % len(_ALPHANUMERIC)]
    assert not is_well_formed_key(key[:place] + other + key[place + 1 :])


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_key_by_chance(text: str) -> None:
    assert not is_well_formed_key(text)
    assert not is_well_formed_key(make_key() + text[:1]) or not text


def test_the_hash_depends_on_the_installation_and_tells_nothing_of_the_key() -> None:
    key, ours, theirs = make_key(), secrets.token_bytes(32), secrets.token_bytes(32)
    assert hash_key(ours, key) == hash_key(ours, key)
    assert hash_key(ours, key) != hash_key(theirs, key)
    assert len(hash_key(ours, key)) == 32
    assert hash_key(ours, key) != sign(ours, key.encode())


def test_the_hint_shows_less_than_a_tenth_of_the_key() -> None:
    key = make_key()
    assert key.startswith(hint_of(key))
    assert len(hint_of(key).removeprefix("gm_")) == 5


@pytest.mark.parametrize(
    ("held", "reached"),
    [
        (Scope.READ, {"read"}),
        (Scope.WRITE, {"read", "write"}),
        (Scope.ADMIN, {"read", "write", "admin"}),
    ],
)
def test_a_scope_implies_the_lesser_ones(held: Scope, reached: set[str]) -> None:
    principal = Principal(uuid4(), uuid4(), frozenset({held}))
    assert {scope for scope in ("read", "write", "admin") if principal.allows(scope)} == reached
    assert not principal.allows("owner")


def test_a_key_for_some_datasets_reaches_no_others() -> None:
    mine, other = uuid4(), uuid4()
    limited = Principal(uuid4(), uuid4(), frozenset({Scope.READ}), frozenset({mine}))
    assert limited.reaches_dataset(mine)
    assert not limited.reaches_dataset(other)
    assert Principal(uuid4(), uuid4(), frozenset({Scope.READ})).reaches_dataset(other)


def test_the_bearer_scheme_is_read_in_any_case() -> None:
    key = make_key()
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert service.read_bearer(f"{scheme} {key}") == key


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer gm_short", "gm_x", "Bearer \xff\x00"],
)
def test_a_header_without_a_key_is_unauthorized(header: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        service.read_bearer(header)
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}
