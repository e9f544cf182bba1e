"""Writes /openapi.json from what the routes say of themselves (`kit.http.operation`)."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import gridmill
from gridmill.api import openapi_headers
from gridmill.api.openapi_bounds import bound_read, bound_sent
from gridmill.api.openapi_examples import add_examples
from gridmill.api.routes import Mounted
from gridmill.kit.errors import GridmillError
from gridmill.kit.http import Operation

Mode: TypeAlias = Literal["validation", "serialization"]
ModelKey: TypeAlias = tuple[type[BaseModel], Mode]
Json: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"{(\w+)}")
_ERROR: Json = {
    "type": "object",
    "description": "What every error looks like.",
    "required": ["error", "code", "details"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "What went wrong, for people"},
        "code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "details": {"type": "object", "description": "What went wrong, for programs"},
    },
}
_PROBLEM: Json = {
    "type": "object",
    "description": "An error for those who accept `application/problem+json` (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "details"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words"},
        "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What went wrong, for people"},
        "code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "details": {"type": "object", "description": "What went wrong, for programs"},
    },
}
_TAGS = {
    "Cells": "Single values: read, write, judge, and what they were before.",
    "Columns": "What a dataset's cells hold, and what a task makes of them.",
    "Data sources": "Uploaded files and the tables and texts that were read from them.",
    "Datasets": "Tables that tasks work on.",
    "Downloads": "Files behind signed links; no key is needed.",
    "Keys": "API keys of the workspace.",
    "Rows": "Rows of a dataset: add, read in pages, delete.",
    "Tasks": "Work over a dataset: start, watch, stop, repeat, undo; what it used.",
    "Webhooks": "Addresses that are told what happened, and what was sent to them.",
}
_INTRODUCTION = (
    "Self-hosted AI tasks over tabular datasets. Every call carries `Authorization: Bearer KEY`;"
    " every error is `{error, code, details}`; every reply carries `X-Request-Id`."
)


def write_openapi(routes: Iterable[Mounted]) -> Json:
    """The OpenAPI 3.1 document of all routes that describe themselves."""
    described = [(route, route.operation) for route in routes if route.operation is not None]
    references, definitions = _write_models(operation for _, operation in described)
    paths: dict[str, Json] = defaultdict(dict)
    for route, operation in described:
        for method in route.methods:
            paths[route.path][method.lower()] = _write_operation(
                route, method, operation, references
            )
    tags = sorted({operation.tag for _, operation in described})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gridmill",
            "version": gridmill.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": _TAGS.get(tag, tag)} for tag in tags],
        "security": [{"key": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**definitions, "Error": _ERROR, "Problem": _PROBLEM},
            "headers": openapi_headers.HEADERS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key (`gm_…`)"}
            },
        },
    }


def _write_models(operations: Iterable[Operation]) -> tuple[Mapping[ModelKey, Json], Json]:
    bodies: dict[ModelKey, None] = {}
    replies: dict[ModelKey, None] = {}
    for operation in operations:
        if operation.body is not None:
            bodies[operation.body, "validation"] = None
        if operation.reply is not None:
            replies[operation.reply, "serialization"] = None
    sent, sent_schema = models_json_schema(list(bodies), ref_template=_REF)
    read, read_schema = models_json_schema(list(replies), ref_template=_REF)
    definitions = bound_sent(sent_schema.get("$defs", {}))
    for name, shape in bound_read(read_schema.get("$defs", {})).items():
        if definitions.setdefault(name, shape) != shape:
            raise ValueError(f"{name} is sent and read in two shapes: name them apart")
    return cast("Mapping[ModelKey, Json]", {**sent, **read}), definitions


def _write_operation(
    route: Mounted, method: str, operation: Operation, references: Mapping[ModelKey, Json]
) -> Json:
    text = inspect.cleandoc(route.description).partition("\f")[0]
    written: Json = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": re.split(r"(?<=[.;:])\s", text, maxsplit=1)[0].rstrip(".;:"),
        "description": text,
        "responses": {
            **_write_success(method, operation, references),
            **openapi_headers.write_not_modified(method, operation),
            **_write_errors(method, operation),
        },
    }
    parameters = [
        *_path_parameters(route.path),
        *_query_parameters(operation),
        *openapi_headers.list_parameters(method, operation),
    ]
    if parameters:
        written["parameters"] = parameters
    if operation.scope is None:
        written["security"] = []
    else:
        written["x-required-scope"] = str(operation.scope)
    if operation.body is not None:
        written["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": references[operation.body, "validation"]}},
        }
    elif operation.multipart is not None:
        written["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": dict(operation.multipart)}},
        }
    add_examples(written)
    return written


def _write_success(method: str, operation: Operation, references: Mapping[ModelKey, Json]) -> Json:
    written: Json = {
        "description": HTTPStatus(operation.status).phrase,
        "headers": {
            **openapi_headers.name_headers(method, operation, operation.status),
            **{
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in operation.reply_headers.items()
            },
        },
    }
    if operation.status != HTTPStatus.NO_CONTENT:
        schema: Json = (
            {} if operation.reply is None else references[operation.reply, "serialization"]
        )
        written["content"] = {
            kind: {"schema": {"type": "string"} if kind == "text/html" else schema}
            for kind in operation.reply_types
        }
    return {str(operation.status): written}


def _write_errors(method: str, operation: Operation) -> Json:
    found: dict[int, dict[str, type[GridmillError]]] = defaultdict(dict)
    for error in (*operation.errors, *openapi_headers.list_errors(method, operation)):
        found[error.status].setdefault(error.code, error)
    return {
        str(status): {
            "description": "\n".join(f"`{c}`: {_say_error(e)}" for c, e in errors.items()),
            "headers": openapi_headers.name_headers(method, operation, status),
            "content": {
                "application/json": _write_shape("Error", list(errors)),
                "application/problem+json": _write_shape("Problem", list(errors)),
            },
        }
        for status, errors in sorted(found.items())
    }


def _write_shape(model: str, codes: list[str]) -> Json:
    return {
        "schema": {
            "allOf": [{"$ref": _REF.format(model=model)}],
            "properties": {"code": {"enum": codes}},
        }
    }


def _say_error(error: type[GridmillError]) -> str:
    """The first sentence of the error's docstring, without the status that it begins with."""
    text = inspect.getdoc(error) or ""
    return re.sub(r"^\d{3}:? ", "", " ".join(text.partition("\n\n")[0].split()))


def _path_parameters(path: str) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"The {name.removesuffix('_id').replace('_', ' ')}'s id, as a reply gave it"
            if name.endswith("_id")
            else f"The {name.replace('_', ' ')}",
            "schema": {"type": "string"},
        }
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(mode="validation")
    definitions: Json = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.get("description", name),
            "schema": bound_sent(_inline(field, definitions)),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _inline(schema: Any, definitions: Json) -> Any:  # noqa: ANN401 - JSON
    """A schema with its own definitions put in place of references; `description` is told outside."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(schema, dict):
        return schema
    fields: Json = schema  # pyright: ignore[reportUnknownVariableType]
    if "$ref" in fields:
        return _inline(definitions[fields["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(value, definitions) for name, value in fields.items() if name != "title"}
