"""Delimited files: what is read, and what is refused with its place."""

import csv
import io
import re
from encodings.aliases import aliases
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gridmill.datasources.parsing.encodings import find_encoding, normalize_encoding
from gridmill.datasources.parsing.model import Format, ParseFailure, ParseOptions
from tests.support.reading import NO_OPTIONS, fail, read


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        ("a,b\n1,2\n", [["1", "2"]]),
        ("a,b\n1,2", [["1", "2"]]),
        ("a;b\n1,5;x\n", [["1,5", "x"]]),
        ("a\tb\n1\t2\n", [["1", "2"]]),
        ("a|b\n1|2\n", [["1", "2"]]),
        ("a,b\r\n1,2\n3,4\r5,6", [["1", "2"], ["3", "4"], ["5", "6"]]),
        ('a,b\n"x\ny","say ""hi"""\n', [["x\ny", 'say "hi"']]),
        ('a,b\n"x\r\ny",\\N\n', [["x\r\ny", "\\N"]]),
        ('a,b\n"\\.",tab\there\n\\.,\\\n', [["\\.", "tab\there"], ["\\.", "\\"]]),
        ("a,b\n1,tab\there\n", [["1", "tab\there"]]),
        ("a,b\n1\n3,4\n", [["1", None], ["3", "4"]]),
        ("a,b\n1,2,,\n3,4\n", [["1", "2"], ["3", "4"]]),
        ("a,b\n\n1,2\n   \n3,4\n\n\n", [["1", "2"], ["3", "4"]]),
        ("a,b\n,\n 1 ,\n", [[None, None], [" 1 ", None]]),
        ("\n\na,b\n1,2\n", [["1", "2"]]),
        ("a,b\n00123,12345678901234567\n", [["00123", "12345678901234567"]]),
        ('a\tb\n"open\t5" pipe\n', [['"open', '5" pipe']]),
        ("a,b\n", []),
    ],
)
def test_rows_are_read_as_they_are_written(
    tmp_path: Path, raw: str, rows: list[list[str | None]]
) -> None:
    reading = read(tmp_path, raw, options=ParseOptions(header=True))
    assert reading.names == ["a", "b"]
    assert reading.rows == rows


def test_a_list_of_one_column_keeps_its_holes(tmp_path: Path) -> None:
    reading = read(tmp_path, "name\nfoo\n\nbar\n\n\n")
    assert reading.names == ["name"]
    assert reading.rows == [["foo"], [None], ["bar"]]


@pytest.mark.parametrize(
    ("raw", "options", "place"),
    [
        ("a,b\n1,2\n3,4,5\n", NO_OPTIONS, "Line 3 has 3 fields, the header has 2"),
        ('a,b\n"x\ny",1\n1,2,3\n', NO_OPTIONS, "Line 4 has 3 fields"),
        ('a,b\n1,"2\n3,4\n', NO_OPTIONS, "Line 2: a quote is opened and never closed"),
        ('a,b\n1,2\n"x"y,4\n', NO_OPTIONS, "Line 3: a quoted field goes on"),
        ("a,b\n1,\x002\n", NO_OPTIONS, "Line 2 holds a NUL"),
        ("a\n1\n\x002\n", NO_OPTIONS, "Line 3 holds a NUL"),
        ("a,\x00\n1,2\n", NO_OPTIONS, "Line 1 holds a NUL"),
        ("  \n\n", NO_OPTIONS, "blank"),
        (b"a,b\n\xc3\xa9,1\n\xff,2\n", NO_OPTIONS, "Line 3 is not UTF-8"),
        (b"a,b\n1,\xe9\n", ParseOptions(encoding="utf-8-sig"), "Line 2 is not UTF-8"),
        (b"a,b\n1,2\n", ParseOptions(encoding="utf-16"), "Line 1 is not UTF-16"),
        (b"\xff\xfea\x00,\x00b\x00\n\x001\x00", NO_OPTIONS, None),
        (b"\xff\xfea\x00,\x00b\x00\n\x00\x00\xd8", NO_OPTIONS, "Line 2 is not UTF-16"),
        ("a,b\n" + "1,2\n" * 3 + "x" * 10 + ",1,2\n", NO_OPTIONS, "Line 5 has 3 fields"),
    ],
)
def test_a_malformed_table_names_its_line(
    tmp_path: Path, raw: bytes | str, options: ParseOptions, place: str | None
) -> None:
    if place is None:
        read(tmp_path, raw, options=options)
        return
    failure = fail(tmp_path, raw, options=options)
    assert failure.code == "MALFORMED_FILE"
    assert place in failure.message


def test_a_hundred_thousand_columns_are_refused(tmp_path: Path) -> None:
    wide = ",".join(f"c{number}" for number in range(100_000))
    failure = fail(tmp_path, f"{wide}\n{wide}\n")
    assert "100,000 columns; a data source holds at most 300" in failure.message


def test_more_than_a_million_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridmill.datasources.parsing.spool.MAX_ROWS", 2_500)
    read(tmp_path, "a,b\n" + "1,2\n" * 2_500)
    failure = fail(tmp_path, "a,b\n" + "1,2\n" * 2_501)
    assert failure.code == "ROW_LIMIT_EXCEEDED"
    lines = '{"a": 1}\n' * 2_501
    assert fail(tmp_path, lines, Format.JSONL).code == "ROW_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,b,c", ["a", "b", "c"]),
        ("a,a,a", ["a", "a_2", "a_3"]),
        ("a,a_2,a", ["a", "a_2", "a_3"]),
        ("a,,column_2", ["a", "column_2_2", "column_2"]),
        (",,", ["column_1", "column_2", "column_3"]),
        (' x ,"y\nz",ä', ["x", "y z", "ä"]),
        ("A,a,x" + "y" * 300, ["A", "a", "x" + "y" * 199]),
    ],
)
def test_names_are_unique_and_never_empty(tmp_path: Path, header: str, names: list[str]) -> None:
    raw = f"{header}\n1,2,3\n"
    if header == ",,":
        raw = f'"","",""\n{header}\n1,2,3\n'
        assert read(tmp_path, "1,2,3\n", options=ParseOptions(header=False)).names == names
        return
    assert read(tmp_path, raw, options=ParseOptions(header=True)).names == names


@given(st.lists(st.sampled_from(["", "a", "a_2", "a_3", "column_1", "column_2", " "]), max_size=9))
def test_any_header_gives_as_many_different_names(raw: list[str]) -> None:
    from gridmill.datasources.parsing.names import make_names

    names = make_names(raw)
    assert len(set(names)) == len(raw)
    assert all(names)
    assert names == make_names(raw)


@pytest.mark.parametrize(
    ("raw", "has_header"),
    [
        ("name,age\nAnn,5\nBob,6\n", True),
        ("name,city\nAnn,Oslo\n", True),
        ("1,2\n3,4\n", False),
        ("Ann,5\nBob,6\n", False),
        ("Ann,a@example.com\nBob,b@example.com\n", False),
        ("country,2019,2020\nFI,1,2\nSE,3,4\n", True),
        ("2024-01-01,x\n2024-01-02,y\n", False),
        ("id,name\n", True),
    ],
)
def test_a_header_is_told_from_a_first_row(tmp_path: Path, raw: str, has_header: bool) -> None:
    reading = read(tmp_path, raw)
    assert (reading.names[0] != "column_1") is has_header
    assert len(reading.rows) == raw.count("\n") - has_header
    for override in (True, False):
        forced = read(tmp_path, raw, options=ParseOptions(header=override))
        assert len(forced.rows) == raw.count("\n") - override


def test_types_are_inferred_per_column_and_empty_cells_say_nothing(tmp_path: Path) -> None:
    raw = "id,zip,price,ok,day,note\n1,00100,1.5,true,2024-01-31,\n2,00200,,false,2024-02-29,x\n"
    reading = read(tmp_path, raw)
    assert reading.types == ["integer", "text", "number", "boolean", "date", "text"]


def test_the_delimiter_can_be_said(tmp_path: Path) -> None:
    reading = read(tmp_path, "a,b~c\n1,2~3\n", options=ParseOptions(delimiter="~"))
    assert reading.names == ["a,b", "c"]
    assert reading.rows == [["1,2", "3"]]


# --- any table, any dialect, any encoding ---------------------------------------------------

_ENCODINGS = sorted({name for one in aliases.values() if (name := normalize_encoding(one))})
_CELL = st.text(
    st.one_of(
        st.sampled_from(" ,;\t|\"'\\\n\r\N{BULLET}N.=é€Жあ한中\x1c\x85\u2028"),
        st.characters(codec="utf-8", exclude_characters="\0\ufeff"),
    ),
    max_size=8,
)


@st.composite
def _tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(2, 5))
    return draw(st.lists(st.lists(_CELL, min_size=width, max_size=width), max_size=6))


def _keep_encodable(text: str, encoding: str) -> str:
    """What the encoding can say of a text."""
    return text.encode(encoding, "ignore").decode(encoding, "ignore")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=200,
)
@given(
    table=_tables(),
    delimiter=st.sampled_from(",;\t|:^~ \x1f"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quote_all=st.booleans(),
    hinted=st.booleans(),
    encoding=st.one_of(
        st.sampled_from(_ENCODINGS).map(lambda name: (name, name)),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]).map(lambda name: (name, None)),
    ),
)
def test_any_table_is_read_back_unaltered_when_its_dialect_and_encoding_are_said(  # noqa: PLR0917 (drawn by name)
    tmp_path: Path,
    table: list[list[str]],
    delimiter: str,
    end: str,
    quote_all: bool,
    hinted: bool,
    encoding: tuple[str, str | None],
) -> None:
    written, said = encoding
    width = len(table[0]) if table else 2
    names = [f"name{position}" for position in range(width)]
    table = [[_keep_encodable(cell, written) for cell in row] for row in table]
    if not quote_all:
        # Python's writer quotes no line end but its own, and then the other one ends the line.
        table = [[re.sub(r"[\r\n]", "", cell) for cell in row] for row in table]
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    buffer = io.StringIO(newline="")
    if hinted:
        buffer.write(f"sep=;{end}")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([names, *table])
    text = buffer.getvalue()
    raw = text.encode(written, "ignore")
    # Some East Asian encodings have no way to write some neighbours, or a sign of the dialect.
    assume(raw.decode(written, "ignore") == text)
    options = ParseOptions(encoding=said, delimiter=delimiter, header=True)
    reading = read(tmp_path, raw, options=options)
    assert reading.names == names
    assert reading.rows == [[cell or None for cell in row] for row in table]


@pytest.mark.parametrize(
    ("raw", "delimiter", "rows"),
    [
        ("sep=;\na;b\n1,5;2\n", None, [["1,5", "2"]]),
        ('"sep=;"\r\na;b\r\n1,5;2\r\n', None, [["1,5", "2"]]),
        ("\ufeffSEP=\t\ra\tb\r1,5\t2\r", None, [["1,5", "2"]]),
        ("sep=^\na^b\n1,5^2", None, [["1,5", "2"]]),
        ("sep=;\na,b\n1;5,2\n", ",", [["1;5", "2"]]),
    ],
)
def test_a_first_line_that_hints_at_the_delimiter_is_heeded_and_no_row(
    tmp_path: Path, raw: str, delimiter: str | None, rows: list[list[str]]
) -> None:
    reading = read(tmp_path, raw, options=ParseOptions(delimiter=delimiter))
    assert reading.names == ["a", "b"]
    assert reading.rows == rows


@pytest.mark.parametrize("raw", ["sep=x,b\n1,2\n", "sep=a\n1\n", "sep=;;\n1;2;3\n"])
def test_a_header_that_resembles_a_hint_stays_a_header(tmp_path: Path, raw: str) -> None:
    assert read(tmp_path, raw, options=ParseOptions(header=True)).names[0].startswith("sep=")


def test_lines_are_counted_from_the_hint(tmp_path: Path) -> None:
    assert "Line 4 has 3" in fail(tmp_path, "sep=;\na;b\n1;2\n1;2;3\n").message
    assert "Line 3: a quote is" in fail(tmp_path, 'sep=;\na;b\n1;"2\n').message
    assert "blank" in fail(tmp_path, "sep=;\n").message


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(
    raw=st.one_of(
        st.binary(max_size=80), st.text(alphabet='a1,;\t|"\n\r\0 \\é', max_size=40).map(str.encode)
    ),
    kind=st.sampled_from(Format),
    options=st.builds(
        ParseOptions,
        st.sampled_from([None, "utf-16", "cp1252", "shift_jis"]),
        st.sampled_from([None, ";"]),
        st.sampled_from([None, True, False]),
    ),
)
def test_any_bytes_are_rows_or_a_failure(
    tmp_path: Path, raw: bytes, kind: Format, options: ParseOptions
) -> None:
    try:
        read(tmp_path, raw, kind, options)
    except ParseFailure as failure:
        message = failure.message
    else:
        message = "read"
    assert message


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "prénom,ville\nÉlodie,Besançon\nHélène,Nîmes où ça\n"),
        ("cp1252", "Name,Straße\nMüller,Königstraße\nGroß,Überallee\n"),
        ("cp1252", "navn,by\nSøren,København\nJørgen,Århus\n"),
        ("cp1252", "price,x\n5 €,2\n"),
        ("cp1250", "jméno,město\nPříliš žluťoučký,kůň úpěl\nŘehoř,Brno\n"),
        ("cp1251", "имя,город\nИван,Москва\nПётр,Казань\n"),
        ("cp1253", "όνομα,πόλη\nΓιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n"),
        ("cp1254", "ad,şehir\nAyşe,Iğdır\nÇağrı,Şanlıurfa\n"),
        ("shift_jis", "名前,都市\n太郎,東京\n花子,大阪\n"),
        ("gb18030", "姓名,城市\n张伟,北京\n李娜,广州市天河区\n"),
        ("big5", "姓名,城市\n張偉,臺北\n李娜,臺中市\n"),
        ("euc_kr", "이름,도시\n김철수,서울\n이영희,부산광역시\n"),
        ("utf-16-le", "a,b\né,ü\n"),
        ("utf-16-be", "a,b\né,ü\n"),
    ],
)
def test_old_encodings_are_recognised(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(text.encode(encoding))
    assert text.encode(encoding).decode(find_encoding(path, None)) == text


def _threes(*fields: str, ends: str) -> st.SearchStrategy[str]:
    """Lines of three fields parted by commas."""
    field = st.sampled_from([*fields, "", "a", "1", "é\u2028"])
    line = st.builds("{},{},{}{}".format, field, field, field, st.sampled_from(ends.split("|")))
    return st.lists(line, min_size=2, max_size=8).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(alphabet='a1,"\n\r\0 \t\\', max_size=40),
        _threes(ends="\n"),
        _threes('"b;,c"', '""', '"b""c"', 'b"', ends="\n|\r\n"),
        _threes('"b\n,c"', '"b\tc"', "\\N", "b\tc", ends="\n|\r\n|\r|\n\n"),
        _threes('"b"c', '"', "b,", "\0", ends="\n|"),
    ),
    st.sampled_from(",;\t"),
    st.builds(dict, header=st.booleans(), quoting=st.booleans()),
    st.integers(1, 30),
)
# Two fields that look like three once the quotes are gone, or beside tabs for commas.
@example('a,b,c\n"b,c",a\n', "\t", {"header": True, "quoting": True}, 30)
@example("a,b,c\nb\tc,a\n", ",", {"header": True, "quoting": True}, 30)
def test_a_regular_reading_gives_what_the_exact_one_gives(
    tmp_path: Path, table: str, delimiter: str, layout: dict[str, bool], block: int
) -> None:
    from gridmill.datasources.parsing import blocks
    from gridmill.datasources.parsing import csv as reading

    path, spool = tmp_path / "file", tmp_path / "rows"
    path.write_bytes(table.replace(",", delimiter).encode())
    reader = reading._Reader(path, "utf-8", delimiter, **layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK", block)
        try:
            quick = reader._read(spool, exactly=False), spool.read_bytes()
        except (blocks.Irregular, reading._BrokenQuotes, ParseFailure):
            return
    assert (reader._read(spool, exactly=True), spool.read_bytes()) == quick
