"""Entity tags and idempotency keys as headers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gridmill.kit.errors import PreconditionFailed, ValidationFailed
from gridmill.kit.http import check_match, make_etag, tagged_reply
from gridmill.kit.http.idempotency import fingerprint, read_key

STATE = {"name": "one", "count": 1}
TAG = make_etag(STATE)


def _request(*headers: tuple[str, str], method: str = "PATCH", path: str = "/a") -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request(
        {
            "type": "http",
            "method": method,
            "path": path,
            "headers": raw,
            "query_string": b"",
            "server": ("test", 80),
            "scheme": "http",
        }
    )


@pytest.mark.parametrize(
    "said",
    [TAG, "*", f'"other", {TAG}', f",, {TAG} ,", f'W/"x",{TAG}', f'"a,b" , {TAG}'],
)
def test_a_list_that_names_the_present_tag_matches(said: str) -> None:
    check_match(_request(("If-Match", said)), STATE)


@pytest.mark.parametrize(
    "said", ['"other"', f"W/{TAG}", TAG.strip('"'), "", "*, *", f"{TAG} x", f'"a{TAG}', "w/" + TAG]
)
def test_what_is_stale_weak_or_no_list_of_tags_does_not_match(said: str) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        check_match(_request(("If-Match", said)), STATE)
    assert caught.value.details == {"etag": TAG}


def test_several_headers_are_one_list() -> None:
    check_match(_request(("If-Match", '"other"'), ("If-Match", TAG)), STATE)


def test_without_the_header_every_state_will_do() -> None:
    check_match(_request(), STATE)


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


@given(one=json, other=json)
def test_tags_differ_exactly_when_the_replies_do(one: object, other: object) -> None:
    request = _request(method="GET")
    first, second = tagged_reply(request, one), tagged_reply(request, other)
    assert first.headers["etag"] == make_etag(one)
    assert (first.headers["etag"] == second.headers["etag"]) == (first.body == second.body)
    check_match(_request(("If-Match", first.headers["etag"])), one)


@pytest.mark.parametrize("said", [TAG, f"W/{TAG}", "*", f'"x", {TAG}'])
def test_a_get_of_what_the_client_has_is_not_modified(said: str) -> None:
    reply = tagged_reply(_request(("If-None-Match", said), method="GET"), STATE)
    assert (reply.status_code, reply.body, reply.headers["etag"]) == (304, b"", TAG)


def test_a_get_of_anything_else_is_sent() -> None:
    reply = tagged_reply(_request(("If-None-Match", '"x"'), method="GET"), STATE)
    assert reply.status_code == 200


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)


@given(key=printable.filter(lambda text: text == text.strip() and not text.startswith('"')))
def test_a_key_is_the_same_bare_and_quoted(key: str) -> None:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert read_key([key]) == key
    assert read_key([f'"{quoted}"']) == key


@pytest.mark.parametrize(
    "values", [[""], ['""'], ['"open'], ["a" * 256], ["caf\u00e9"], ["a\tb"], ["a", "b"], ['"a"b"']]
)
def test_a_malformed_key_is_refused(values: list[str]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read_key(values)
    assert caught.value.fields[0].field == "Idempotency-Key"


@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(["POST", "PUT"]), st.sampled_from(["/a", "/b"]), st.binary(max_size=3)
        ),
        min_size=2,
        max_size=2,
    )
)
def test_fingerprints_are_equal_for_equal_calls_only(calls: list[tuple[str, str, bytes]]) -> None:
    one, other = (fingerprint(_request(method=m, path=p), body) for m, p, body in calls)
    assert (one == other) == (calls[0] == calls[1])
