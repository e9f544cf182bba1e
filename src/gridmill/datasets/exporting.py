"""Exports: a signed link now, the file streamed when it is fetched.

The file is read page by page in the order of row numbers, each page in a short transaction of
its own, so that an export holds no lock and no snapshot however slowly it is fetched. Rows are
each whole; cells that change while the file streams may be in it as they were or as they are,
and rows appended meanwhile may be at its end. When the dataset is deleted meanwhile the transfer
breaks off, so that no client takes a part for the whole.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from gridmill.auth import service as auth
from gridmill.auth.model import Link
from gridmill.datasets.errors import DatasetNotFound, RowLimitExceeded
from gridmill.datasets.export_pages import (
    Encode,
    Extract,
    read_csv_pages,
    read_jsonl_pages,
    read_row_pages,
)
from gridmill.datasets.geojson import check_columns, stream_geojson
from gridmill.datasets.model import Column, Dataset, Row
from gridmill.datasets.repository import datasets as repository
from gridmill.datasets.repository import exports
from gridmill.datasets.tabular_files import (
    XLSX_ROWS,
    Extras,
    ParquetMaker,
    XlsxMaker,
    quote_rows,
    stream_file,
    too_many_for_xlsx,
)
from gridmill.datasets.views import choose_columns, compile_where
from gridmill.datasets.wire import metadata_to_wire, value_writer
from gridmill.kit.clock import now
from gridmill.kit.http import Download
from gridmill.kit.ids import encode_row, new_uuid7
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx

LINK_KIND = "export"
_PAGE_ROWS = 1_000
_PLAIN_NUMBER = re.compile(grids.PLAIN_NUMBER)
_CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What a file holds: `columns` by number (`None`: those that there are when it is fetched)."""

    format: str
    columns: tuple[int, ...] | None = None
    filter: str | None = None
    include_metadata: bool = False


async def create_export(
    tx: Tx,
    dataset: Dataset,
    *,
    file_format: str,
    column_ids: Sequence[str] | None,
    filter_text: str | None,
    include_metadata: bool,
    expires_in: int,
) -> tuple[str, str, datetime]:
    """Sign a link to an export; its token, file name and end.

    Raises:
        InvalidSelection, InvalidFilter.
        RowLimitExceeded: more rows than a sheet holds.
        ValidationFailed: GeoJSON of columns that do not say where a row is.
    """
    if file_format == "xlsx" and filter_text is None and dataset.row_count > XLSX_ROWS:
        raise RowLimitExceeded(too_many_for_xlsx())
    columns = await repository.list_columns(tx, dataset.dataset_id)
    chosen = choose_columns(dataset, columns, column_ids)
    compile_where(columns, filter_text)
    if file_format == "geojson":
        check_columns(chosen)
    spec = ExportSpec(
        file_format,
        None if column_ids is None else tuple(column.column_no for column in chosen),
        filter_text,
        include_metadata,
    )
    export_id, expires_at = new_uuid7(), now() + timedelta(seconds=expires_in)
    file_name = f"{_to_file_name(dataset.name)}.{file_format}"
    await exports.insert_export(
        tx, export_id, dataset, spec=_to_json(spec), file_name=file_name, expires_at=expires_at
    )
    token = await auth.sign_link(tx, LINK_KIND, export_id, dataset.workspace_id, expires_at)
    return token, file_name, expires_at


async def open_export(database: Database, link: Link) -> Download:
    """The file behind a verified link, streamed.

    Raises:
        DatasetNotFound: the dataset was deleted since.
        InvalidFilter: a column that the filter names is gone.
    """
    async with database.transaction(read_only=True, workspace_id=link.workspace_id) as tx:
        found = await exports.find_export(tx, link.workspace_id, link.object_id)
        if found is None:
            raise DatasetNotFound
        dataset = await repository.find_dataset(tx, link.workspace_id, found.dataset_id)
        if dataset is None:
            raise DatasetNotFound
        columns = await repository.list_columns(tx, dataset.dataset_id)
    spec = _from_json(found.spec)
    compile_where(columns, spec.filter)
    chosen = columns
    if spec.columns is not None:
        by_number = {column.column_no: column for column in columns}
        chosen = [by_number[number] for number in spec.columns if number in by_number]
    return Download(
        found.file_name, _CONTENT_TYPES[spec.format], _write_file(database, dataset, chosen, spec)
    )


def _write_file(
    database: Database, dataset: Dataset, chosen: Sequence[Column], spec: ExportSpec
) -> AsyncIterator[bytes]:
    extract = Extract(database, dataset, chosen, spec.filter)
    names = [*(column.name for column in chosen), *_name_extras(chosen, spec)]
    extras = _make_extras(chosen, spec)
    rows = read_row_pages(extract, with_metadata=spec.include_metadata)
    plain = not spec.include_metadata
    match spec.format:
        case "csv" if plain and len(chosen) > 1:
            lines = (page.text async for page in read_csv_pages(extract))
            return _join(_write_csv([map(escape_formula, names)]), lines)
        case "csv":
            head = _write_csv([map(escape_formula, names)])
            return _join(head, _encode(rows, _make_csv(chosen, extras)))
        case "jsonl":
            encode = _make_jsonl(dataset, chosen, spec)
            return read_jsonl_pages(extract, encode) if plain else _encode(rows, encode)
        case "parquet":
            pages = read_csv_pages(extract, quoted=True)
            if not plain:
                pages = (quote_rows(page, chosen, extras) async for page in rows)
            return stream_file(pages, lambda folder: ParquetMaker(folder, chosen, names))
        case "geojson":
            return stream_geojson(rows, dataset.key, chosen, with_metadata=spec.include_metadata)
        case _:
            return stream_file(rows, lambda folder: XlsxMaker(folder, chosen, names, extras))


async def _join(head: bytes, pages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for page in pages:
        yield page


async def _encode(pages: AsyncIterator[Sequence[Row]], encode: Encode) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield encode(rows)


def escape_formula(text: str) -> str:
    """A text that no spreadsheet runs: an apostrophe before what could start a formula.

    A plain number with a sign runs nothing and must stay a number.
    """
    if not text.startswith(grids.FORMULA_STARTS) or _PLAIN_NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def _make_csv(columns: Sequence[Column], extras: Extras) -> Encode:
    def encode(rows: Sequence[Row]) -> bytes:
        return _write_csv(
            [
                *(escape_formula(row.values[column.column_no] or "") for column in columns),
                *extras(row),
            ]
            for row in rows
        )

    return encode


def _name_extras(columns: Sequence[Column], spec: ExportSpec) -> list[str]:
    if not spec.include_metadata:
        return []
    parts = ("status", "confidence", "sources")
    return [f"{column.name} ({part})" for column in columns for part in parts]


def _make_extras(columns: Sequence[Column], spec: ExportSpec) -> Extras:
    """A row's metadata as texts, under the names of `_name_extras`."""

    def extras(row: Row) -> list[str]:
        if not spec.include_metadata:
            return []
        found = (_write_csv_metadata(row.metadata.get(column.column_no)) for column in columns)
        return [text for texts in found for text in texts]

    return extras


def _write_csv_metadata(metadata: Mapping[str, Any] | None) -> list[str]:
    if metadata is None:
        return ["", "", ""]
    confidence = metadata.get("confidence")
    sources = metadata.get("sources")
    return [
        str(metadata.get("status") or ""),
        "" if confidence is None else str(confidence),
        orjson.dumps(sources).decode() if sources else "",
    ]


def _write_csv(rows: Iterable[Iterable[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _make_jsonl(dataset: Dataset, columns: Sequence[Column], spec: ExportSpec) -> Encode:
    writers = [
        (column.column_no, column.name, value_writer(column.data_type)) for column in columns
    ]
    key = dataset.key

    def to_object(row: Row) -> dict[str, Any]:
        values = {name: write(row.values[number]) for number, name, write in writers}
        if not spec.include_metadata:
            return values
        metadata = {
            name: metadata_to_wire(row.metadata[number])
            for number, name, _ in writers
            if number in row.metadata
        }
        return {"rowId": encode_row(key, row.row_no), "values": values, "metadata": metadata}

    def encode(rows: Sequence[Row]) -> bytes:
        return b"".join(
            orjson.dumps(to_object(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows
        )

    return encode


def _to_file_name(name: str) -> str:
    kept = "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else "_" for c in name)
    return kept.strip(" .")[:100] or "export"


def _to_json(spec: ExportSpec) -> dict[str, Any]:
    return {
        "format": spec.format,
        "columns": None if spec.columns is None else list(spec.columns),
        "filter": spec.filter,
        "includeMetadata": spec.include_metadata,
    }


def _from_json(kept: Mapping[str, Any]) -> ExportSpec:
    columns = kept["columns"]
    return ExportSpec(
        kept["format"],
        None if columns is None else tuple(columns),
        kept["filter"],
        kept["includeMetadata"],
    )
