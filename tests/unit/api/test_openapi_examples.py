"""The examples in the committed description: there is one of everything, and each fits its schema."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tools.openapi import write

Json = dict[str, Any]

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def document() -> Json:
    return write()


def _list_contents(document: Json) -> Iterator[tuple[str, Json]]:
    for methods in document["paths"].values():
        for operation in methods.values():
            name = operation["operationId"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{name} body", content
            for status, reply in operation["responses"].items():
                if status < "300":
                    for content in reply.get("content", {}).values():
                        yield f"{name} {status}", content


def test_every_body_and_every_success_has_an_example(document: Json) -> None:
    missing = [name for name, content in _list_contents(document) if "example" not in content]
    assert missing == [], "name them in tools/examples.py, then: make examples"


def test_every_example_fits_its_schema(document: Json) -> None:
    checked = 0
    for name, content in _list_contents(document):
        schema = {**content["schema"], "components": document["components"]}
        check = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        faults = [f"{name}: {fault.message}" for fault in check.iter_errors(content["example"])]
        assert faults == [], "run: make examples"
        checked += 1
    assert checked > 70
