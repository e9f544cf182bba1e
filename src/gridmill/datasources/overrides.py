"""The text fields of an upload that say how its file is to be read."""

from gridmill.datasources.parsing.dialect import is_delimiter
from gridmill.datasources.parsing.encodings import normalize_encoding
from gridmill.datasources.parsing.model import ParseOptions
from gridmill.kit.errors import FieldError, ValidationFailed

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_BOOLEANS = {"true": True, "false": False}
_NO_ENCODING = (
    "This is not the name of a text encoding, such as utf-8, utf-16, windows-1252, iso-8859-2, "
    "koi8-r, shift_jis, euc-kr, gb18030 or big5 (any that Python knows)."
)
_NO_DELIMITER = (
    "This must be one character that is no letter, digit, quote, backslash or line break, or one "
    "of the words comma, semicolon, tab, pipe and space."
)


def read_options(
    encoding: str | None, delimiter: str | None, header: str | None, sheet: str | None = None
) -> ParseOptions:
    """The overrides of an upload's text fields.

    Raises:
        ValidationFailed: an unknown encoding, no single delimiter, a header other than true/false, a
            sheet name longer than Excel allows.
    """
    faults: list[FieldError] = []
    known = None if encoding is None else normalize_encoding(encoding)
    if encoding is not None and known is None:
        faults.append(FieldError("encoding", _NO_ENCODING))
    if delimiter is not None:
        delimiter = _DELIMITERS.get(delimiter.lower(), delimiter)
        if not is_delimiter(delimiter):
            faults.append(FieldError("delimiter", _NO_DELIMITER))
    header = None if header is None else header.lower()
    if header is not None and header not in _BOOLEANS:
        faults.append(FieldError("header", "This must be true or false."))
    if sheet is not None and not 1 <= len(sheet) <= 255:
        faults.append(FieldError("sheet", "This must have 1 to 255 characters."))
    if faults:
        raise ValidationFailed(faults)
    return ParseOptions(known, delimiter, None if header is None else _BOOLEANS[header], sheet)
