"""Parquet: every type as its one canonical text."""

from pathlib import Path

import duckdb
import pytest

from gridmill.datasources.parsing.model import Format
from tests.support.reading import fail, read


def write_parquet(folder: Path, select: str) -> bytes:
    path = folder / "made.parquet"
    with duckdb.connect() as database:
        database.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        ("'00123'", "00123", "text"),
        ("'12'", "12", "text"),
        ("12345678901234567::BIGINT", "12345678901234567", "integer"),
        ("3.0::DOUBLE", "3", "integer"),
        ("-0.0::DOUBLE", "0", "integer"),
        ("1e22::DOUBLE", "1" + "0" * 22, "integer"),
        ("1e-7::DOUBLE", "0.0000001", "number"),
        ("0.1::FLOAT", "0.1", "number"),
        ("'NaN'::DOUBLE", None, "text"),
        ("'-inf'::DOUBLE", None, "text"),
        ("1.50::DECIMAL(10,2)", "1.5", "number"),
        ("100::DECIMAL(10,0)", "100", "integer"),
        ("true", "true", "boolean"),
        ("DATE '2024-01-31'", "2024-01-31", "date"),
        ("TIMESTAMP '2024-01-31 12:30:00.5'", "2024-01-31T12:30:00.5", "datetime"),
        ("TIMESTAMPTZ '2024-01-31 12:30:00+00'", "2024-01-31T12:30:00Z", "datetime"),
        ("[1, 2]", "[1,2]", "json"),
        ("{'a': 'x'}", '{"a":"x"}', "json"),
        ("E'a\\tb\\\\'", "a\tb\\", "text"),
    ],
)
def test_values_have_one_text(tmp_path: Path, value: str, text: str | None, kind: str) -> None:
    reading = read(tmp_path, write_parquet(tmp_path, f'SELECT {value} AS "a b"'), Format.PARQUET)
    assert (reading.names, reading.rows, reading.types) == (["a b"], [[text]], [kind])


def test_rows_beyond_the_limit_are_refused_before_they_are_read(tmp_path: Path) -> None:
    raw = write_parquet(tmp_path, "SELECT 1 AS a FROM range(1000001)")
    failure = fail(tmp_path, raw, Format.PARQUET)
    assert (failure.code, "1,000,001 rows" in failure.message) == ("ROW_LIMIT_EXCEEDED", True)


def test_a_file_cut_in_half_says_so_without_its_path(tmp_path: Path) -> None:
    raw = write_parquet(tmp_path, "SELECT range AS a FROM range(1000)")
    failure = fail(tmp_path, raw[: len(raw) // 2], Format.PARQUET)
    assert "The Parquet file cannot be read" in failure.message
    assert str(tmp_path) not in failure.message


def test_binary_columns_are_named(tmp_path: Path) -> None:
    raw = write_parquet(tmp_path, "SELECT '\\xAA'::BLOB AS picture")
    assert "'picture'" in fail(tmp_path, raw, Format.PARQUET).message
