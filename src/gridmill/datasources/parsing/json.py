"""JSON documents: an array of objects, an object that holds one such array, or a single object.

The document is read whole, within the memory of the child process that does it; JSON Lines has
no such bound.
"""

import re
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from gridmill.datasources.parsing.encodings import open_text
from gridmill.datasources.parsing.model import Parsed, ParseFailure
from gridmill.datasources.parsing.records import (
    RecordReader,
    count_line,
    explain_json_error,
    find_half_surrogate,
    refuse_depth,
)

T = TypeVar("T")

_BYTE = re.compile(r"\(byte (\d+)\)")


def parse_json_document(
    path: Path, spool_path: Path, encoding: str, most: int | None = None
) -> Parsed:
    """Read the records of a JSON document; raises `ParseFailure` naming line or record.

    `most` leaves later records out.
    """
    with open_text(path, encoding, newline="") as file:
        raw = file.read().encode()
    reader = RecordReader(spool_path)
    kind = raw.lstrip()[:1]
    if kind == b"[":
        records = _decode_items(raw, raw)
    elif kind == b"{":
        records = _find_records(raw)
    else:
        raise ParseFailure("The file is not a JSON array of objects.")
    for number, record in enumerate(islice(records, most), 1):
        reader.add(bytes(record), f"Record {number}")
    return reader.finish()


def _find_records(raw: bytes) -> list[msgspec.Raw]:
    """The one array of objects in an object, or the object itself as the only record."""
    fields = _decode(raw, msgspec.json.Decoder(dict[str, msgspec.Raw]))
    arrays: dict[str, bytes] = {}
    for key, value in fields.items():
        body = bytes(value)
        if body[:1] == b"[" and body[1:].lstrip()[:1] == b"{":
            arrays[key] = body
    if len(arrays) > 1:
        listed = ", ".join(key[:40] for key in list(arrays)[:5])
        raise ParseFailure(
            f"The file holds several arrays of records ({listed}); a data source holds one."
        )
    for body in arrays.values():
        return _decode_items(body, raw)
    return [msgspec.Raw(raw)]


def _decode_items(body: bytes, raw: bytes) -> list[msgspec.Raw]:
    return _decode(body, msgspec.json.Decoder(list[msgspec.Raw]), raw)


def _decode(body: bytes, decoder: "msgspec.json.Decoder[T]", raw: bytes | None = None) -> T:
    try:
        return decoder.decode(body)
    except RecursionError:
        raise refuse_depth("The file") from None
    except (msgspec.MsgspecError, ValueError) as error:
        found = _BYTE.search(str(error))
        position = int(found[1]) if found else len(body)
        half = find_half_surrogate(body[: position + 1])
        if half is not None:
            position = half.position
        if raw is not None and raw is not body:
            position += max(raw.find(body), 0)
        where = f"Line {count_line(raw or body, position)}"
        raise explain_json_error(error, where, half) from None
