"""Numbers in the usual writings of a text: separators, currencies, units, words of scale."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from gridmill.kit.canonical import write_decimal
from gridmill.operations.extraction.model import Typed

_SPACES = "\u00a0\u202f\u2009 "
_CURRENCY = (
    r"(?:US\$|C\$|A\$|S\$|HK\$|R\$|[$€£¥₹₽₩]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|MYR|SGD|AUD|CAD|RM|"
    r"Rs\.?|kr\.?|zł)(?![A-Za-z]))"
)
_DIGITS = (
    rf"[0-9]{{1,3}}(?:[{_SPACES}'’][0-9]{{3}})+(?:[.,][0-9]{{1,9}})?(?![0-9])|[0-9][0-9.,]{{0,38}}"
)
_SCALES = {
    "thousand": 3,
    "million": 6,
    "millions": 6,
    "mio": 6,
    "mn": 6,
    "billion": 9,
    "billions": 9,
    "bn": 9,
    "trillion": 12,
}
_NUMBER = re.compile(
    rf"(?<![\w.,/:-])(?P<open>\()?(?P<sign>[-−–+])?\s?(?P<before>{_CURRENCY})?\s{{0,2}}"
    rf"(?P<late>[-−])?(?P<digits>{_DIGITS})(?P<percent>\s?%)?"
    rf"(?:\s{{1,2}}(?P<scale>{'|'.join(_SCALES)})\b)?(?:\s{{0,2}}(?P<after>{_CURRENCY}))?"
    r"(?P<close>\))?(?![\w/])",
    re.IGNORECASE,
)
_POINT_DECIMAL = re.compile(r"[0-9]\.[0-9]{1,2}(?![0-9.,])")
_COMMA_DECIMAL = re.compile(r"[0-9],[0-9]{1,2}(?![0-9.,])")


@dataclass(frozen=True, slots=True)
class Amount(Typed):
    """A number and how it is written: with a currency, with decimals, as a percentage."""

    money: bool = False
    decimals: bool = False
    percent: bool = False


def uses_comma(texts: Iterable[str]) -> bool:
    """Whether the document's decimals stand behind a comma."""
    points = commas = 0
    for text in texts:
        points += len(_POINT_DECIMAL.findall(text))
        commas += len(_COMMA_DECIMAL.findall(text))
    return commas > 2 * points


def find_numbers(text: str, *, comma: bool = False) -> Iterator[Amount]:
    """The numbers in `text` in canonical form; the place takes in sign, currency and scale.

    `comma` says how to read 1,234 and 1.234; in a doubtful one the mark has another meaning than
    in most of the document's numbers.
    """
    for match in _NUMBER.finditer(text):
        read = _read_digits(match["digits"].rstrip(".,"), comma=comma)
        if read is None:
            continue
        value, doubtful, decimals = read
        # A mark that ends a sentence is no part of the number, nor is what stands behind it.
        cut = len(match["digits"]) - len(match["digits"].rstrip(".,"))
        end = match.end("digits") - cut if cut else match.end()
        if match["scale"] and not cut:
            value = value.scaleb(_SCALES[match["scale"].casefold()])
        bracketed = bool(match["open"] and match["close"]) and not cut
        if match["sign"] in {"-", "−", "–"} or match["late"] or (bracketed and decimals):
            value = -value
        start = match.start() if bracketed or not match["open"] else match.start() + 1
        if match["close"] and not bracketed and not cut:
            end -= 1
        yield Amount(
            start + (len(text[start:end]) - len(text[start:end].lstrip())),
            end,
            _write(value),
            doubtful,
            money=bool(match["before"] or match["after"]),
            decimals=decimals,
            percent=bool(match["percent"]),
        )


def _write(value: Decimal) -> str:
    text = write_decimal(format(value, "f"))
    return "0" if text == "-0" else text


def _read_digits(digits: str, *, comma: bool) -> tuple[Decimal, bool, bool] | None:
    """The number, whether it is doubtful, and whether it has exactly two decimals."""
    plain = re.sub(rf"[{_SPACES}'’]", "", digits)
    points, commas = plain.count("."), plain.count(",")
    doubtful = False
    if points and commas:
        decimal = "." if plain.rfind(".") > plain.rfind(",") else ","
    elif points + commas > 1:
        decimal = ""
    elif points + commas == 1:
        mark = "." if points else ","
        whole, _, rest = plain.partition(mark)
        grouping = len(rest) == 3 and 1 <= len(whole) <= 3 and whole != "0"
        decimal_mark = "," if comma else "."
        decimal = mark if not grouping or mark == decimal_mark else ""
        doubtful = grouping and mark == decimal_mark
    else:
        decimal = ""
    for mark in ",.":
        if mark != decimal and mark in plain:
            whole = plain.partition(decimal)[0] if decimal else plain
            if not _is_grouped(whole, mark):
                return None
    clean = "".join("." if c == decimal else c for c in plain if c.isdigit() or c == decimal)
    decimals = bool(decimal) and len(plain) - plain.rfind(decimal) == 3
    return Decimal(clean), doubtful, decimals


def _is_grouped(whole: str, mark: str) -> bool:
    """Groups of three; of two before the last as in India."""
    first, *groups = whole.split(mark)
    return (
        1 <= len(first) <= 3
        and bool(groups)
        and len(groups[-1]) == 3
        and all(len(group) in {2, 3} for group in groups)
    )
