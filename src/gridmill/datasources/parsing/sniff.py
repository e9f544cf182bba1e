"""What a file is, from its content. The name decides only where the content leaves it open."""

import re
from dataclasses import dataclass

import msgspec

from gridmill.datasources.parsing.dialect import find_hint, guess_delimiter
from gridmill.datasources.parsing.encodings import decode_head, find_mark
from gridmill.datasources.parsing.model import Format, ParseOptions

HEAD_BYTES = 1 << 18
"""How much of a file's start is looked at."""

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"SQLite format 3\x00", "GeoPackage or SQLite"),
    (b"fgb\x03fgb", "FlatGeobuf"),
    (_COMPOUND, "an old Microsoft Office format"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"{\\rtf", "RTF"),
    (b"ARROW1", "Arrow"),
    (b"Obj\x01", "Avro"),
)
_READ_BINARIES: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", Format.PARQUET),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
)
_PDF_WITHIN = 1024
"""Bytes that may stand before a PDF's first line, as its readers have always allowed."""

_ZIP_PARTS: tuple[tuple[bytes, Format | str], ...] = (
    (b"xl/", Format.XLSX),
    (b"word/", Format.DOCX),
    (b"ppt/", "PPTX"),
    (b"doc.kml", "KMZ"),
)
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_PART = re.compile(
    r"<(?:h[1-6]|p|div|span|table|ul|ol|dl|br|hr|meta|style|script|center|font|article|section)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,200}\?>", re.IGNORECASE)
_MARKUP = re.compile(r"\s*<(?:\?xml\b|!doctype\b|[a-z_][\w:.-]*(?:\s[^<>]*)?/?>)", re.IGNORECASE)
_MAIL_HEADER = re.compile(
    r"(?:from|to|subject|date|received|return-path|delivered-to|message-id|mime-version|"
    r"content-type|x-[\w-]+):\s",
    re.IGNORECASE,
)
_JSON_START = re.compile(r"\s*(?:\{\s*(?:[\"}]|$)|\[\s*(?:[\[{\"\]]|$))")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKUP_HEAD = 1 << 14
_TABLE_NAMES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_TABLE_TYPES = {"text/csv": ",", "text/tab-separated-values": "\t"}
_MARKDOWN_NAMES = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_LINES_NAMES = frozenset({".jsonl", ".ndjson"})
_LINES_TYPES = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A format that is read (`format`), or the name of one that is not (`unsupported`)."""

    format: Format | None
    unsupported: str = ""
    delimiter: str = ","


def sniff_format(
    head: bytes, *, whole: bool, file_name: str, declared_type: str, options: ParseOptions
) -> Sniffed:
    """Judge a file by `head`, its first `HEAD_BYTES`; `whole` when that is all of it.

    `file_name` and `declared_type` (the part's Content-Type) only tell a table from a text where
    both readings make sense, as with a list of one column.
    """
    if binary := _name_binary(head):
        return _judge(binary)
    text, clean = decode_head(head, options.encoding, whole=whole)
    controls = len(_CONTROL.findall(text))
    if controls > (0.2 if clean else 0.01) * len(text):
        return Sniffed(None, "binary data of an unknown kind")
    is_marked_down = _suffix(file_name) in _MARKDOWN_NAMES or declared_type == "text/markdown"
    if is_marked_down and options.delimiter is None and options.header is None:
        return Sniffed(Format.MARKDOWN)
    if markup := _name_markup(text):
        return _judge(markup)
    if options.delimiter is None and _JSON_START.match(text):
        is_named = _suffix(file_name) in _LINES_NAMES or declared_type in _LINES_TYPES
        if _has_json_lines(text, whole=whole) or (
            is_named and _is_object(text.strip().split("\n", 1)[0], complete=True)
        ):
            return Sniffed(Format.JSONL)
        return Sniffed(Format.JSON)
    if options.delimiter is None and whole and text.lstrip()[:1] == "[" and _is_json(text):
        return Sniffed(Format.JSON)
    return _sniff_table(text, file_name, declared_type, options, whole=whole)


def _judge(found: Format | str) -> Sniffed:
    return Sniffed(found) if isinstance(found, Format) else Sniffed(None, found)


def _name_binary(head: bytes) -> Format | str:
    for signature, known in _READ_BINARIES:
        if head.startswith(signature):
            return known
    if head.startswith(b"%PDF-") or (b"%PDF-" in head[:_PDF_WITHIN] and b"endobj" in head):
        return Format.PDF
    if head.startswith(_COMPOUND) and _ENCRYPTED in head:
        return "an encrypted Office file: save it without a password"
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head.startswith(b"PK\x03\x04"):
        found = [(head.find(part), name) for part, name in _ZIP_PARTS if part in head]
        return min(found, key=lambda pair: pair[0])[1] if found else "a ZIP archive"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:15] == b"\n\tOSMHeader":
        return "OSM PBF"
    if find_mark(head) is None and head[:512].count(0) > 0.3 * len(head[:512]):
        return "binary data of an unknown kind"
    return ""


def _skip_comments(text: str) -> int:
    """Where a text begins behind blanks and `<!-- comments -->`."""
    at = 0
    while True:
        at = len(text) - len(text[at:].lstrip())
        end = text.find("-->", at) if text.startswith("<!--", at) else -1
        if end < 0:
            return at
        at = end + 3


def _name_markup(text: str) -> Format | str:
    text = text[:_MARKUP_HEAD]
    declared = _DECLARATION.match(text)
    shown = text[declared.end() :] if declared else text
    start = _skip_comments(shown)
    if _HTML.match(shown, start) or (declared is None and _HTML_PART.match(shown, start)):
        return Format.HTML
    if _MARKUP.match(text):
        start = text[:4096].lower()
        return "KML" if "<kml" in start else Format.XML
    lines = text[:4096].splitlines()
    block = lines[: next((n for n, line in enumerate(lines) if not line.strip()), len(lines))]
    named = [
        match[0].split(":")[0].lower() for line in block if (match := _MAIL_HEADER.match(line))
    ]
    if block and _MAIL_HEADER.match(block[0]) and {"from", "subject"} <= set(named):
        return Format.MAIL
    return ""


def _has_json_lines(text: str, *, whole: bool) -> bool:
    """Whether the first line is an object by itself and another begins after it."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not lines[1].lstrip().startswith("{"):
        return False
    try:
        msgspec.json.decode(lines[0].strip(), type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # A first line that is broken: the second tells.
        return lines[0].lstrip().startswith("{") and _is_object(lines[1], whole or len(lines) > 2)
    return True


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text.strip(), type=list[msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _suffix(file_name: str) -> str:
    return file_name[file_name.rfind(".") :].lower() if "." in file_name else ""


def _is_object(line: str, complete: bool) -> bool:
    try:
        msgspec.json.decode(line.strip(), type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return complete


def _sniff_table(
    text: str, file_name: str, declared_type: str, options: ParseOptions, *, whole: bool
) -> Sniffed:
    named = _TABLE_NAMES.get(_suffix(file_name)) or _TABLE_TYPES.get(declared_type)
    hint = find_hint(text)
    delimiter = options.delimiter or (hint and hint.delimiter)
    guess = None if delimiter else guess_delimiter(text, whole=whole)
    if delimiter is None and guess is not None and (named or guess.is_table):
        delimiter = guess.delimiter
    if delimiter is None and (named or options.header is not None):
        delimiter = named or ","
    if delimiter is None:
        return Sniffed(Format.TEXT)
    return Sniffed(Format.TSV if delimiter == "\t" else Format.CSV, delimiter=delimiter)
