"""What a preview shows, held against the whole reading of the same file."""

import asyncio
import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmill.datasources.errors import MalformedFile, TooManyRows
from gridmill.datasources.parsing import files
from gridmill.datasources.parsing.files import PREVIEW_ROWS, SAMPLE_ROWS, preview_file
from gridmill.datasources.parsing.model import (
    CODE_ROW_LIMIT,
    Format,
    ParseFailure,
    ParseOptions,
    Preview,
)
from gridmill.datasources.previewing import MOST_AT_ONCE, Previewer
from gridmill.datasources.upload import ReceivedFile
from gridmill.kit.errors import Unavailable
from gridmill.kit.processes import ProcessDied, ProcessPool, ProcessTimedOut
from tests.support.reading import NO_OPTIONS, read
from tests.unit.datasources.test_reading_parquet import write_parquet
from tests.unit.datasources.test_reading_workbooks import write_book


def preview(
    folder: Path, raw: bytes | str, kind: Format = Format.CSV, options: ParseOptions = NO_OPTIONS
) -> Preview:
    path = folder / "previewed"
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return preview_file(str(path), str(folder / "rows"), kind.value, options)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    raw=st.one_of(
        st.text(alphabet='a1,;\t\n\r" \\é{}[]:', max_size=60).map(str.encode),
        st.lists(st.sampled_from(["1,x", '"a\n\tb",', "", "\\N,é", '{"a": 1}']), max_size=40).map(
            lambda lines: "\n".join(lines).encode()
        ),
    ),
    kind=st.sampled_from([Format.CSV, Format.TSV, Format.JSON, Format.JSONL, Format.TEXT]),
)
def test_a_small_file_is_shown_as_it_would_be_read_and_its_dialect_may_be_sent_back(
    tmp_path: Path, raw: bytes, kind: Format
) -> None:
    try:
        shown = preview(tmp_path, raw, kind)
    except ParseFailure as failure:
        with pytest.raises(ParseFailure) as caught:
            read(tmp_path, raw, kind)
        assert (caught.value.message, caught.value.code) == (failure.message, failure.code)
        return
    whole = read(tmp_path, raw, kind)
    assert [list(row) for row in shown.rows] == whole.rows[:PREVIEW_ROWS]
    assert shown.columns == whole.parsed.columns
    found = shown.dialect
    said = ParseOptions(found.encoding, found.delimiter, found.header, found.sheet)
    assert preview(tmp_path, raw, kind, said) == shown


def _end_badly(good: int) -> dict[Format, bytes]:
    """Files of `good` rows that can be read and something that cannot."""
    lines = "".join(f'{{"a": {n}, "b": "x"}}\n' for n in range(good))
    return {
        Format.CSV: b"a,b\n" + b"1,x\n" * good + b"1,2,3\n",
        Format.TSV: b"a\tb\n" + b"1\tx\n" * good + b"1\t\0\n",
        Format.JSONL: lines.encode() + b"{",
        Format.TEXT: b"page\f" * good + b"\0",
        Format.JSON: f"[{lines.strip().replace(chr(10), ',')},1]".encode(),
    }


@pytest.mark.parametrize(
    "kind", [Format.CSV, Format.TSV, Format.JSONL, Format.TEXT, Format.JSON], ids=lambda kind: kind
)
def test_a_file_is_not_read_beyond_its_sample(tmp_path: Path, kind: Format) -> None:
    raw = _end_badly(SAMPLE_ROWS + 1)[kind]
    assert len(preview(tmp_path, raw, kind).rows) == PREVIEW_ROWS
    with pytest.raises(ParseFailure):
        read(tmp_path, raw, kind)
    with pytest.raises(ParseFailure):
        preview(tmp_path, _end_badly(SAMPLE_ROWS - 1)[kind], kind)


def test_a_ragged_file_is_not_read_beyond_its_sample(tmp_path: Path) -> None:
    raw = "a,b\n\n1\n" + "1,x\n" * SAMPLE_ROWS + "1,2,3\n"
    shown = preview(tmp_path, raw)
    assert shown.rows[:2] == (("1", None), ("1", "x"))


def test_every_sheet_is_sampled(tmp_path: Path) -> None:
    rows = [["n"], *([n] for n in range(SAMPLE_ROWS)), ["text"]]
    book = write_book({"first": rows, "second": [["m"], ["x"]], "no": []}, hidden=["no"])
    shown = preview(tmp_path, book, Format.XLSX)
    names = [(column.name, column.data_type.value) for column in shown.columns]
    assert names == [("sheet", "text"), ("n", "integer"), ("m", "text")]
    assert len(shown.rows) == PREVIEW_ROWS
    assert shown.dialect.sheet is None
    assert shown.dialect.sheets == ("first", "second", "no")
    assert shown.dialect.header is True
    named = preview(tmp_path, book, Format.XLSX, ParseOptions(sheet="second", header=False))
    assert (named.dialect.sheet, named.dialect.header) == ("second", False)
    assert named.rows == (("m",), ("x",))


def test_sheets_that_differ_in_having_a_header_say_none(tmp_path: Path) -> None:
    book = write_book({"with": [["a"], [1]], "without": [[1], [2]]})
    assert preview(tmp_path, book, Format.XLSX).dialect.header is None


def test_a_parquet_file_is_sampled(tmp_path: Path) -> None:
    raw = write_parquet(tmp_path, "SELECT range AS n FROM range(5000)")
    shown = preview(tmp_path, raw, Format.PARQUET)
    assert shown.rows == tuple((str(n),) for n in range(PREVIEW_ROWS))
    assert (tmp_path / "rows").read_bytes().count(b"\n") == SAMPLE_ROWS


def test_long_cells_are_cut_where_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PREVIEW_CHARACTERS", 5)
    assert preview(tmp_path, "a,b\n12345,abcdef\n").rows == (("12345", "abcde…"),)


# --- ends of the process --------------------------------------------------------------------


class _Pool:
    """A pool whose calls end as a test wants them to: a child that dies so takes too long."""

    def __init__(self, end: Callable[[], Any]) -> None:
        self.run = lambda *_, **__: end()


def _receive(folder: Path) -> ReceivedFile:
    path = folder / "file"
    path.write_bytes(b"a,b\n1,2\n")
    return ReceivedFile("a.csv", "", path, 8)


@pytest.mark.parametrize(
    ("end", "error", "words"),
    [
        (ProcessTimedOut("f", 1), MalformedFile, "processor time"),
        (ProcessDied("f", -signal.SIGXCPU), MalformedFile, "processor time"),
        (ProcessDied("f", -signal.SIGABRT), MalformedFile, "more memory"),
        (ProcessDied("f", -signal.SIGKILL), Unavailable, "try again"),
        (ParseFailure("Too many.", CODE_ROW_LIMIT), TooManyRows, "Too many"),
    ],
)
async def test_a_process_that_ends_says_whether_it_was_the_file(
    tmp_path: Path, end: Exception, error: type[Exception], words: str
) -> None:
    async def fail() -> None:
        raise end

    previewer = Previewer(cast("ProcessPool", _Pool(fail)))
    with pytest.raises(error, match=words):
        await previewer.preview(_receive(tmp_path), NO_OPTIONS)


async def test_more_previews_at_once_than_can_wait_are_refused_and_room_comes_back(
    tmp_path: Path,
) -> None:
    go = asyncio.Event()
    made = preview(tmp_path, "a,b\n1,2\n")

    async def wait() -> Preview:
        await go.wait()
        return made

    previewer = Previewer(cast("ProcessPool", _Pool(wait)))
    file = _receive(tmp_path)
    calls = [
        asyncio.create_task(previewer.preview(file, NO_OPTIONS)) for _ in range(MOST_AT_ONCE + 2)
    ]
    for refused in itertools.islice(asyncio.as_completed(calls), 2):
        with pytest.raises(Unavailable):
            await refused
    go.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in ended) == 2
    assert (await previewer.preview(file, NO_OPTIONS))[0] is Format.CSV
