"""Parquet to rows, by DuckDB: in memory, one thread, no extension, no network, no other file."""

from pathlib import Path

import duckdb

from gridmill.datasources.parsing.model import (
    CODE_ROW_LIMIT,
    MAX_ROWS,
    Parsed,
    ParsedColumn,
    ParseFailure,
)
from gridmill.datasources.parsing.names import check_width, make_names
from gridmill.datasources.parsing.spool import Spool
from gridmill.kit.values import DataType, write_float

_CHUNK = 2_000
_MEMORY = "1GB"
_FLOATS = frozenset({"FLOAT", "DOUBLE"})


def parse_parquet(path: Path, spool_path: Path, most: int | None = None) -> Parsed:
    """Read a Parquet file's rows; `most` leaves later ones out.

    Decimals and floats are written in plain digits, NaN and infinities are empty, moments with a
    time zone are in UTC with `Z`, lists and structs are JSON. Raises `ParseFailure`.
    """
    source = "read_parquet('" + str(path).replace("'", "''") + "')"
    try:
        with _connect(path) as database:
            # What stands in these texts is quoted, and the connection sees no other file.
            described = database.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608
            kinds = [str(row[1]) for row in described]
            check_width(len(described), "The file")
            names = make_names([str(row[0]) for row in described])
            counted = database.execute(f"SELECT count(*) FROM {source}").fetchone()  # noqa: S608
            if counted and counted[0] > MAX_ROWS:
                raise ParseFailure(
                    f"The file holds {counted[0]:,} rows; a data source holds at most "
                    f"{MAX_ROWS:,}.",
                    CODE_ROW_LIMIT,
                )
            fields = ", ".join(
                f"coalesce({_write_field(str(row[0]), kind)}, '')"
                for row, kind in zip(described, kinds, strict=True)
            )
            limit = "" if most is None else f" LIMIT {most}"
            result = database.execute(f"SELECT {fields} FROM {source}{limit}")  # noqa: S608
            return _spool(result, spool_path, names, kinds)
    except duckdb.Error as error:
        # Its first line says what is wrong; what follows are hints for writers of SQL.
        reason = str(error).partition("\n")[0].replace(str(path), "the file")[:300]
        raise ParseFailure(f"The Parquet file cannot be read: {reason}") from None


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        config={
            "threads": "1",
            "memory_limit": _MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    database.execute("SET allowed_paths = [?]", [str(path)])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


def _write_field(name: str, kind: str) -> str:
    """The SQL of a column's texts; an empty cell is NULL."""
    field = '"' + name.replace('"', '""') + '"'
    text = f"CAST({field} AS VARCHAR)"
    if kind == "BLOB" or kind.startswith("GEOMETRY"):
        raise ParseFailure(
            f"Column {name[:100]!r} holds binary data, which a table cannot show; leave it out."
        )
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
        return f"CAST(to_json({field}) AS VARCHAR)"
    if kind.startswith("DECIMAL"):
        return (
            f"CASE WHEN contains({text}, '.') THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
        )
    if kind in _FLOATS:
        plain = rf"regexp_replace({text}, '\.0$', '')"
        return f"CASE WHEN {field} = 0 THEN '0' WHEN isfinite({field}) THEN {plain} END"
    if kind == "TIMESTAMP WITH TIME ZONE":
        moment = f"CAST(make_timestamp(epoch_us({field})) AS VARCHAR)"
        return f"replace({moment}, ' ', 'T') || 'Z'"
    if kind.startswith("TIMESTAMP"):
        return f"replace({text}, ' ', 'T')"
    return text


def _spool(
    result: duckdb.DuckDBPyConnection, spool_path: Path, names: list[str], kinds: list[str]
) -> Parsed:
    floats = [place for place, kind in enumerate(kinds) if kind in _FLOATS]
    with Spool(spool_path, len(names)) as spool:
        while chunk := result.fetchmany(_CHUNK):
            columns: list[tuple[str, ...]] = list(zip(*chunk, strict=True))
            for place in floats:
                columns[place] = tuple(
                    write_float(float(text)) if "e" in text else text for text in columns[place]
                )
            if any("\0" in "".join(column) for column in columns):
                raise ParseFailure(
                    f"A row among the first {spool.rows + len(chunk):,} holds a NUL."
                )
            spool.write_texts(list(zip(*columns, strict=True)))
        types = [_settle(*pair) for pair in zip(kinds, spool.close(), strict=True)]
        return Parsed(tuple(map(ParsedColumn, names, types)), spool.rows)


def _settle(kind: str, inferred: DataType) -> DataType:
    """As with JSON: a text is never a number, but may be a date."""
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return inferred if inferred in {DataType.DATE, DataType.DATETIME} else DataType.TEXT
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
        return DataType.JSON
    return inferred
