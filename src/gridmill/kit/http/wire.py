"""Wire models: strict pydantic, camelCase outside, snake_case inside."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from gridmill.kit.errors import FieldError, ValidationFailed

_MOST_FIELDS = 50
_MESSAGES = {
    "extra_forbidden": "This field is not known.",
    "missing": "This field is required.",
    "int_type": "This must be an integer.",
    "int_from_float": "This must be an integer.",
    "float_type": "This must be a number.",
    "finite_number": "This must be a finite number.",
    "string_type": "This must be a string.",
    "bool_type": "This must be true or false.",
    "list_type": "This must be a list.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
    "model_attributes_type": "This must be an object.",
    "none_required": "This must be null.",
}


class WireModel(BaseModel):
    """Base of every request and reply shape.

    Strict types (`"100"`, `1.5`, `true` are no integers), unknown fields refused, finite numbers
    only; fields are written in snake_case and travel in camelCase.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class EmptyBody(WireModel):
    """The body of a call that takes none: left out, or without any field."""


NamedIds: TypeAlias = Annotated[
    list[str], Field(json_schema_extra={"minItems": 1, "maxItems": 100_000})
]
"""Ids of a selection. Their number is told here and judged in the room: `INVALID_SELECTION`."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def validate_json(model: type[ModelT], raw: bytes) -> ModelT:
    """The `model` that `raw` (JSON already known to be well-formed) writes.

    Raises:
        ValidationFailed: with every field at fault.
    """
    try:
        return model.model_validate_json(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise to_validation_failed(error.errors(include_url=False)) from None


def to_validation_failed(errors: Sequence[ErrorDetails]) -> ValidationFailed:
    """Pydantic's findings in the contract's words, at most 50 fields of them."""
    fields: dict[FieldError, None] = {}
    for error in errors:
        fields[FieldError(_to_path(error["loc"]), _to_message(error))] = None
        if len(fields) == _MOST_FIELDS:
            break
    return ValidationFailed(list(fields))


def _to_path(location: Sequence[int | str]) -> str:
    """`columns.0.name`; pydantic's notes on validators and unions (`function-after[…]`) left out."""
    return ".".join(str(part) for part in location if not str(part).endswith(("]", ")")))


def _to_message(error: ErrorDetails) -> str:
    known = _MESSAGES.get(error["type"])
    if known is not None:
        return known
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message if message.endswith(".") else f"{message}."
