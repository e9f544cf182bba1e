"""The committed description of the API, and what would break clients that were made from it."""

import re
from typing import Any

import orjson
import pytest

from gridmill.api.rooms import list_routers
from gridmill.api.routes import RouteTable
from tools.breaks import find_breaks
from tools.openapi import COMMITTED, RELEASED, to_text, write

Json = dict[str, Any]

pytestmark = pytest.mark.unit
DATASET = "/api/v2/datasets/{dataset_id}"


def test_the_committed_document_is_what_the_server_shows() -> None:
    assert COMMITTED.read_bytes() == to_text(write()), "run: make openapi"


def test_the_server_keeps_what_clients_were_promised() -> None:
    broken = find_breaks(orjson.loads(RELEASED.read_bytes()), write())
    assert broken == [], "mend it, or decide to break clients: make promise"


def test_operation_ids_are_unique_and_every_operation_says_what_it_does() -> None:
    operations = [o for methods in write()["paths"].values() for o in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) > 40
    for operation in operations:
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_shapes_have_names_that_a_generator_can_use_and_tags_say_what_they_hold() -> None:
    document = write()
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), name
    for tag in document["tags"]:
        assert len(tag["description"]) > len(tag["name"]) + 5, tag


def test_every_error_says_when_it_comes_in_both_shapes() -> None:
    for path, methods in write()["paths"].items():
        for method, operation in methods.items():
            for status, said in operation["responses"].items():
                if int(status) < 400:
                    continue
                assert set(said["content"]) == {"application/json", "application/problem+json"}
                for line in said["description"].splitlines():
                    assert re.fullmatch(r"`[A-Z_]+`: \S.{8,}", line), (method, path, line)


def test_a_changing_call_tells_what_its_idempotency_key_may_answer() -> None:
    responses = write()["paths"]["/api/v2/keys/{key_id}"]["delete"]["responses"]
    assert "`VALIDATION_ERROR`" in responses["422"]["description"]
    assert "`PAYLOAD_TOO_LARGE`" in responses["413"]["description"]


def test_a_new_key_may_name_a_dataset_that_is_not_there() -> None:
    responses = write()["paths"]["/api/v2/keys"]["post"]["responses"]
    assert "`DATASET_NOT_FOUND`" in responses["404"]["description"]


def test_the_allowed_methods_of_a_path_are_not_those_of_an_object_that_its_last_part_might_name() -> (
    None
):
    routes = RouteTable(list_routers())
    assert routes.methods_of("/api/v2/datasets/x/tasks/bulk") == ["OPTIONS", "POST"]
    assert routes.methods_of("/api/v2/datasets/upload") == ["OPTIONS", "POST"]
    assert routes.methods_of("/api/v2/datasets/x/tasks/y") == ["DELETE", "GET", "HEAD", "OPTIONS"]
    assert routes.methods_of("/nowhere") == ["OPTIONS"]
