"""What the description says of headers, over all routes of the rooms."""

from typing import Any

import pytest
from fastapi import APIRouter

from gridmill.api.openapi import write_openapi
from gridmill.api.rooms import list_routers
from gridmill.api.routes import RouteTable
from gridmill.kit.http import CallDep, operation

CHANGING = {"post", "put", "patch", "delete"}
RATE = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}


@pytest.fixture(scope="module")
def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = write_openapi(RouteTable(list_routers()).routes)["paths"]
    return [(path, method, said) for path in paths for method, said in paths[path].items()]


def _parameters(said: dict[str, Any]) -> set[str]:
    return {one["name"] for one in said.get("parameters", []) if one["in"] == "header"}


def _codes(said: dict[str, Any], status: str) -> list[str]:
    schema = said["responses"][status]["content"]["application/json"]["schema"]
    return schema["properties"]["code"]["enum"]


def test_every_changing_call_takes_an_idempotency_key_and_no_other_does(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    for path, method, said in operations:
        assert ("Idempotency-Key" in _parameters(said)) == (method in CHANGING), (method, path)
        if method in CHANGING:
            assert "IDEMPOTENCY_KEY_REUSED" in _codes(said, "422"), (method, path)
            assert "IDEMPOTENCY_IN_PROGRESS" in _codes(said, "409"), (method, path)


def test_every_reply_is_described_with_the_rate_limit(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    for path, method, said in operations:
        assert "RATE_LIMITED" in _codes(said, "429"), (method, path)
        for status, response in said["responses"].items():
            assert set(response["headers"]) >= RATE, (method, path, status)


def test_what_carries_a_tag_takes_preconditions(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    tagged = {
        "/api/v2/datasets/{dataset_id}",
        "/api/v2/datasets/{dataset_id}/columns/{column_id}",
        "/api/v2/datasets/{dataset_id}/columns/{column_id}/task-type",
        "/api/v2/datasets/{dataset_id}/cells/{cell_id}",
    }
    for path, method, said in operations:
        is_change = method in CHANGING - {"post"}
        if path in tagged:
            assert ("If-Match" in _parameters(said)) == is_change, (method, path)
            assert ("412" in said["responses"]) == is_change, (method, path)
            assert ("304" in said["responses"]) == (method == "get"), (method, path)


def test_a_router_that_would_not_know_repeats_is_refused() -> None:
    router = APIRouter()

    @router.post("/x", **operation("x", "X", scope="write"))
    async def make(call: CallDep) -> None:
        """Make it."""

    del make
    with pytest.raises(TypeError, match="make_router"):
        RouteTable([("", router)])
