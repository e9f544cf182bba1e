"""Bounds in the description: told wherever the server keeps them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tools.openapi import write

Json = dict[str, Any]

pytestmark = pytest.mark.unit

# As many as there are: nothing limits them.
OPEN_LISTS = {
    "CellMetadataReply.sources",
    "DatasetItem.linkedDatasources",
    "DatasetReply.linkedDatasources",
    "PreviewReply.sheets",
    "SourceReply.linkedDatasets",
}


@pytest.fixture(scope="module")
def document() -> Json:
    return write()


def _walk(part: Any) -> Iterator[Json]:
    """Every object in a document, examples aside."""
    if isinstance(part, dict):
        yield part
        for name, one in part.items():
            if name != "example":
                yield from _walk(one)
    elif isinstance(part, list):
        for one in part:
            yield from _walk(one)


def test_every_integer_has_a_least_and_a_greatest(document: Json) -> None:
    integers = [one for one in _walk(document) if one.get("type") == "integer"]
    assert len(integers) > 60
    for one in integers:
        assert {"minimum", "exclusiveMinimum"} & one.keys(), one
        assert {"maximum", "exclusiveMaximum"} & one.keys(), one


def test_every_list_has_a_most_unless_it_is_named_here(document: Json) -> None:
    shapes: Json = document["components"]["schemas"]
    unbounded = {
        f"{name}.{field}"
        for name, shape in shapes.items()
        for field, schema in shape.get("properties", {}).items()
        for one in _walk(schema)
        if one.get("type") == "array" and "maxItems" not in one
    }
    assert unbounded == OPEN_LISTS


def test_moments_and_ids_of_replies_say_that_they_are_such(document: Json) -> None:
    task: Json = document["components"]["schemas"]["TaskReply"]["properties"]
    assert task["createdAt"] == {
        "format": "date-time",
        "maxLength": 24,
        "title": "Createdat",
        "type": "string",
    }
    assert task["completedAt"]["anyOf"][0]["format"] == "date-time"
    assert task["webhookId"]["anyOf"][0]["maxLength"] == 64
    rows: Json = document["components"]["schemas"]["RowsReply"]["properties"]["rowIds"]
    assert (rows["maxItems"], rows["items"]["maxLength"]) == (10_000, 64)
    # What a body names may be anything: an id that there is not, of any length, is 404.
    sent: Json = document["components"]["schemas"]["BulkCreate"]["properties"]["webhookId"]
    assert "maxLength" not in sent["anyOf"][0]
