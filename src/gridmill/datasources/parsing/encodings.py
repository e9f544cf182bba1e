"""Which encoding a text file is in, and where it stops being that."""

import codecs
import re
from pathlib import Path
from typing import TextIO

from charset_normalizer import from_bytes

from gridmill.datasources.parsing.model import ParseFailure

__all__ = ["decode_head", "find_encoding", "locate_fault", "normalize_encoding", "open_text"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ALLOWED = re.compile(
    r"utf-?(?:8(?:-sig)?|16|16-?le|16-?be|32|32-?le|32-?be)|ascii|cp\d+|iso8859-\d+|"
    r"koi8-[rtu]|mac-\w+|shift_jis\w*|euc_\w+|iso2022_\w+|gb2312|gbk|gb18030|hz|big5\w*|tis-620|"
    r"johab|ptcp154|kz1048"
)
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_CHUNK = 1 << 20
_SAMPLE = 1 << 18
# Runs of three or more bytes beyond ASCII are what other scripts are made of; in the Latin
# alphabet such letters stand alone or in pairs.
_LONG_RUN = re.compile(rb"[\x80-\xff]{3,}")
# Bytes that are letters of Polish, Czech, Slovak, Slovene or Croatian in cp1250, and signs or
# rarities within words in cp1252.
_CENTRAL = re.compile(rb"[\xb3\xb9\xbf\x9c\x9f\x9a\x9e\x8a\x8c\x8e\xa3\xec](?=[A-Za-z\x80-\xff])")
_WESTERN = re.compile(rb"[\xe0\xea\xf1\xe5\xe3\xe6\xeb\xee\xfb]|\x9cu")
_TURKISH = re.compile(rb"[\xfd\xfe\xf0\xdd\xde\xd0]")
_NOT_TURKISH = re.compile(rb"[\xe1\xe9\xed\xf3\xfa\xe6]")
_OTHER_SCRIPTS = (
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
)


def normalize_encoding(name: str) -> str | None:
    """Python's own name of an encoding that text can be in, or `None`."""
    try:
        found = codecs.lookup(name.strip()[:40]).name
    except (LookupError, ValueError):
        return None
    if not _ALLOWED.fullmatch(found):
        return None
    return "utf-8-sig" if found == "utf-8" else found


def find_encoding(path: Path, override: str | None) -> str:
    """The encoding to read `path` with: the override, a BOM, UTF-8 when all of it is, a guess.

    Raises `ParseFailure` when most of it is UTF-8 and some of it is not: read as anything else,
    its letters would silently become others.
    """
    if override is not None:
        return override
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    marked = find_mark(head)
    if marked is not None:
        return marked
    fault = locate_fault(path, "utf-8")
    if fault is None:
        return "utf-8"
    return _guess(path, fault)


def find_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark or the pattern of zero bytes gives away."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    even, odd = head[0:4096:2], head[1:4096:2]
    if odd.count(0) > max(2, 0.6 * len(odd)) and even.count(0) < 0.05 * len(even):
        return "utf-16-le"
    if even.count(0) > max(2, 0.6 * len(even)) and odd.count(0) < 0.05 * len(odd):
        return "utf-16-be"
    return None


def decode_head(head: bytes, override: str | None, *, whole: bool) -> tuple[str, bool]:
    """The text of the file's start and whether it decoded cleanly, for a first judgement."""
    encoding = override or find_mark(head) or "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        return decoder.decode(head, whole).removeprefix("\ufeff"), True
    except UnicodeError:
        fallback = "cp1252" if override is None else encoding
        return head.decode(fallback, "replace").removeprefix("\ufeff"), False


def locate_fault(path: Path, encoding: str) -> int | None:
    """The 1-based line where `path` stops being `encoding`, or `None` when all of it is."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            state = decoder.getstate()
            try:
                text = decoder.decode(chunk, not chunk)
            except UnicodeError:
                return line + _count_good_lines(encoding, state, chunk)
            if not chunk:
                return None
            line += text.count("\n")


def _count_good_lines(encoding: str, state: tuple[bytes, int], chunk: bytes) -> int:
    """Lines of `chunk` before the byte that does not decode: halving finds it."""
    good, bad = 0, len(chunk)
    while good < bad:
        middle = (good + bad + 1) // 2
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        decoder.setstate(state)
        try:
            decoder.decode(chunk[:middle])
        except UnicodeError:
            bad = middle - 1
        else:
            good = middle
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    decoder.setstate(state)
    return decoder.decode(chunk[:good]).count("\n")


def _guess(path: Path, fault: int) -> str:
    sample = _collect_sample(path)
    high = len(_HIGH.findall(sample))
    in_utf8 = sum(len(match) for match in _MULTIBYTE.findall(sample))
    if in_utf8 * 2 > high:
        raise ParseFailure(
            f"Line {fault} is not UTF-8, while other lines are. "
            "Save the file in one encoding, or name the one to read it with (field encoding)."
        )
    for name in _list_guesses(sample, high):
        if locate_fault(path, name) is None:
            return name
    raise ParseFailure(
        f"Line {fault} is not UTF-8, and the file's encoding could not be recognised. "
        "Name it in the field encoding."
    )


def _list_guesses(sample: bytes, high: int) -> list[str]:
    in_runs = sum(len(match) for match in _LONG_RUN.findall(sample))
    if in_runs <= 0.2 * high:
        return [_guess_latin(sample), "cp1252", "latin-1"]
    matches = from_bytes(sample, cp_isolation=list(_OTHER_SCRIPTS), enable_fallback=False)
    return [*(match.encoding for match in matches), "cp1252"]


def _guess_latin(sample: bytes) -> str:
    turkish = len(_TURKISH.findall(sample))
    if turkish and not _NOT_TURKISH.search(sample):
        return "cp1254"
    if len(_CENTRAL.findall(sample)) > len(_WESTERN.findall(sample)):
        return "cp1250"
    return "cp1252"


def _collect_sample(path: Path) -> bytes:
    """Lines with bytes beyond ASCII, 256 KiB at most."""
    found = bytearray()
    with path.open("rb") as file:
        while len(found) < _SAMPLE:
            line = file.readline(_SAMPLE)
            if not line:
                break
            if not line.isascii():
                found += line
    return bytes(found[:_SAMPLE])


def open_text(path: Path, encoding: str, *, newline: str | None) -> TextIO:
    """`path` opened for strict reading, after a byte order mark if there is one."""
    file = path.open(encoding=encoding, errors="strict", newline=newline)
    if file.read(1) != "\ufeff":
        file.seek(0)
    return file
