"""What counts as breaking clients that were made from an older description."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tools.breaks import find_breaks
from tools.openapi import write

Json = dict[str, Any]

pytestmark = pytest.mark.unit
DATASET = "/api/v2/datasets/{dataset_id}"


def _drop_operation(document: Json) -> None:
    del document["paths"][DATASET]["get"]


def _rename_operation(document: Json) -> None:
    document["paths"][DATASET]["get"]["operationId"] = "fetchDataset"


def _drop_parameter(document: Json) -> None:
    del document["paths"][DATASET + "/data"]["get"]["parameters"][-1]


def _require_parameter(document: Json) -> None:
    document["paths"][DATASET + "/data"]["get"]["parameters"][-1]["required"] = True


def _drop_field(document: Json) -> None:
    del document["components"]["schemas"]["TaskReply"]["properties"]["taskId"]


def _require_field(document: Json) -> None:
    document["components"]["schemas"]["BulkCreate"]["required"] = ["model"]


def _drop_value(document: Json) -> None:
    document["components"]["schemas"]["TaskStatus"]["enum"].remove("cancelled")


def _change_type(document: Json) -> None:
    document["components"]["schemas"]["ProgressReply"]["properties"]["total"]["type"] = "string"


def _drop_error(document: Json) -> None:
    del document["paths"][DATASET]["get"]["responses"]["404"]


def _tighten_bound(document: Json) -> None:
    document["components"]["schemas"]["KeyCreate"]["properties"]["name"]["maxLength"] = 3


def _tighten_bound_of_format(document: Json) -> None:
    shape = document["components"]["schemas"]["MetadataBody"]["properties"]["minimum"]
    shape["anyOf"][0]["minimum"] = -(2**63) + 1


def _bind_what_was_open(document: Json) -> None:
    document["components"]["schemas"]["DatasetCreate"]["properties"]["name"]["pattern"] = "^a"


def _drop_way_to_write(document: Json) -> None:
    shape = document["components"]["schemas"]["BulkCreate"]["properties"]["rowIds"]
    shape["anyOf"] = [one for one in shape["anyOf"] if one.get("type") != "null"]


def _tighten_within_options(document: Json) -> None:
    shape = document["components"]["schemas"]["BulkCreate"]["properties"]["rowIds"]
    shape["anyOf"][0]["maxItems"] = 10


def _let_reply_leave_out(document: Json) -> None:
    document["components"]["schemas"]["TaskReply"]["required"].remove("taskId")


def _let_reply_be_null(document: Json) -> None:
    options = document["components"]["schemas"]["TaskReply"]["properties"]["completedAt"]["anyOf"]
    options.append({"type": "integer"})


def _drop_type_of_body(document: Json) -> None:
    content = document["paths"]["/api/v2/keys"]["post"]["requestBody"]["content"]
    content["text/plain"] = content.pop("application/json")


def _drop_shape(document: Json) -> None:
    del document["components"]["schemas"]["TaskReply"]


@pytest.mark.parametrize(
    "change",
    [
        _tighten_bound,
        _tighten_bound_of_format,
        _bind_what_was_open,
        _drop_way_to_write,
        _tighten_within_options,
        _let_reply_leave_out,
        _let_reply_be_null,
        _drop_type_of_body,
        _drop_shape,
        _drop_operation,
        _rename_operation,
        _drop_parameter,
        _require_parameter,
        _drop_field,
        _require_field,
        _drop_value,
        _change_type,
        _drop_error,
    ],
)
def test_a_change_that_breaks_clients_is_found(change: Callable[[Json], None]) -> None:
    old = write()
    new = copy.deepcopy(old)
    change(new)
    assert find_breaks(old, new)


def test_what_only_adds_breaks_nobody() -> None:
    old = write()
    new = copy.deepcopy(old)
    new["paths"]["/api/v2/new"] = new["paths"][DATASET]
    new["components"]["schemas"]["TaskReply"]["properties"]["extra"] = {"type": "string"}
    new["components"]["schemas"]["BulkCreate"]["properties"]["extra"] = {"type": "string"}
    # Sixty-four bits are what the format said before.
    for old_one in old["components"]["schemas"]["MetadataBody"]["properties"]["minimum"]["anyOf"]:
        old_one.pop("minimum", None)
    # What a reply bounds or promises more closely, and what a body takes more of, breaks nobody.
    new["components"]["schemas"]["TaskReply"]["properties"]["taskId"]["maxLength"] = 36
    new["components"]["schemas"]["KeyCreate"]["properties"]["name"]["maxLength"] = 10_000
    new["components"]["schemas"]["KeyCreate"]["required"].remove("scopes")
    assert find_breaks(old, new) == []
