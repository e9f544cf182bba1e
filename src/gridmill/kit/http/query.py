"""Query strings: as strict as bodies."""

import re
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import parse_qsl

import orjson
from pydantic import Field

from gridmill.kit.errors import FieldError, InvalidText, ValidationFailed
from gridmill.kit.http.wire import ModelT, WireModel, validate_json
from gridmill.kit.pages import PageQuery

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


PAGE_LIMIT = 100
"""The most items of a page, unless its query says otherwise."""


class ListQuery(WireModel):
    """The paging of a list; rooms inherit and add their filters."""

    page: int = Field(default=1, ge=1, le=1_000_000_000, description="1-based page")
    limit: int = Field(default=20, ge=1, le=PAGE_LIMIT, description="Items a page")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=512, description="`nextCursor` of the page before"
    )

    @property
    def paging(self) -> PageQuery:
        """The paging alone, for the repository."""
        return PageQuery(page=self.page, limit=self.limit, cursor=self.cursor)


class PaginationReply(WireModel):
    """Where a page stands in its list (`kit.pages.Pagination.to_wire`)."""

    page: int = Field(ge=1, le=1_000_000_000)
    limit: int = Field(ge=1, le=1_000)
    total: int = Field(ge=0)
    total_pages: int = Field(ge=0)
    next_cursor: str | None = Field(max_length=512, description="`null` at the end")


def parse_query(model: type[ModelT], raw: bytes) -> ModelT:
    """The `model` that the query string `raw` writes.

    Raises:
        ValidationFailed: an unknown, repeated, malformed or out-of-range parameter.
        InvalidText: percent escapes that are no UTF-8, or U+0000.
    """
    pairs = _split(raw)
    by_alias = {(f.alias or name): f.annotation for name, f in model.model_fields.items()}
    values: dict[str, object] = {}
    faults: list[FieldError] = []
    for name, text in pairs:
        if name not in by_alias:
            faults.append(FieldError(name[:100], "This parameter is not known."))
        elif name in values:
            faults.append(FieldError(name, "This parameter may be given once."))
        else:
            values[name] = text
            try:
                values[name] = _convert(text, by_alias[name])
            except ValueError as error:
                faults.append(FieldError(name, str(error)))
    if faults:
        raise ValidationFailed(faults[:50])
    return validate_json(model, orjson.dumps(values))


def _split(raw: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000
        )
    except UnicodeDecodeError:
        raise InvalidText("The query string is not UTF-8.") from None
    except ValueError:
        raise ValidationFailed.of("", "The query string has too many parameters.") from None
    if any("\0" in name or "\0" in text for name, text in pairs):
        raise InvalidText("The query string holds the character U+0000.")
    return pairs


def _convert(text: str, annotation: Any) -> object:  # noqa: ANN401 - any annotation of a field
    kinds = _kinds(annotation)
    if bool in kinds:
        if text not in _BOOLEANS:
            raise ValueError("This must be true or false.")
        return _BOOLEANS[text]
    if int in kinds:
        if not _INTEGER.fullmatch(text):
            raise ValueError("This must be an integer.")
        return int(text)
    if float in kinds:
        if not _NUMBER.fullmatch(text):
            raise ValueError("This must be a number.")
        return float(text)
    return text


def _kinds(annotation: Any) -> set[Any]:  # noqa: ANN401 - any annotation of a field
    """The plain types that an annotation admits, `None` left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return {kind for arm in get_args(annotation) for kind in _kinds(arm)} - {NoneType}
    return {annotation} if isinstance(annotation, type) else set()
