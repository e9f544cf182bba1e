"""Turns of phrase that name things in prose: whose law governs, who agrees, for how long.

Contracts, letters and reports say these without a label, in words that change little from one
writer to the next.
"""

import re
from collections.abc import Iterator

from gridmill.operations.extraction.model import Typed
from gridmill.operations.extraction.names import list_words
from gridmill.operations.extraction.typed import tidy

_MOST_FOUND = 200
_COUNTS = {
    word: number
    for number, word in enumerate(
        [
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ],
        1,
    )
} | {"fifteen": 15, "eighteen": 18, "twenty": 20, "twenty-four": 24, "thirty": 30, "thirty-six": 36}
_LAW = re.compile(
    r"(?P<how>govern|constru|interpret|enforce|accordance|pursuant|according)[^;]{0,220}?"
    r"\blaws?\s+(?:[a-z&]+\s+){0,4}?(?:of|in)\s+(?:the\s+)?(?:laws\s+of\s+)?"
    r"(?:(?i:state|commonwealth|province|republic|kingdom)\s+of\s+(?:the\s+)?)?"
    r"(?P<value>[A-Z][A-Za-z]+(?:\s+(?:and\s+|of\s+)?[A-Z][A-Za-z]+){0,3})",
)
_PART = (
    r"(?:(?:[A-Z]\.){1,4}|(?:Inc|Ltd|Co|Corp|Cos|Mr|Mrs|Dr|St|Jr|Sr)\.|"
    r"[A-Z0-9][\w&'\u2019\u00a2-]{0,40}(?:\.[a-z]{2,4}\b)?|&)"
)
_JOIN = r"(?:(?:of|the|de|for|von|van|and(?=\s+(?:Co|Company|Sons|Associates|Partners)\b))\s+)?"
_NAME = (
    rf"{_PART}(?:\s+{_JOIN}{_PART}){{0,9}}"
    r"(?:,?\s+(?:Inc|LLC|L\.L\.C|Ltd|N\.A|LP|L\.P|Co|Corp|M\.D|PLC|S\.A)\b\.?){0,2}"
)
_BETWEEN = re.compile(
    rf"\b(?i:between|among)(?:\s+(?i:and\s+among))?[,:]?\s+(?:the\s+)?(?P<first>{_NAME})"
    rf"(?P<rest>[^;]{{0,400}}?\band\s+(?:the\s+)?(?P<second>{_NAME}))?"
)
# From a name to its role: what kind of company it is and where, but never another name.
_ROLE = re.compile(
    rf"(?P<value>{_NAME})(?:,?\s+(?:an?|as|the|its|whose|having|with|located)\s"
    r"(?:(?!\band\s+(?:the\s+)?[A-Z0-9])[^()\u201c\u201d\"]){0,200}?|,)?"
    r"\s*\((?:[^()\u201c\u201d\"]{0,120}[\s,])?[\u201c\"](?P<role>[A-Za-z ]{2,40})[\u201d\"]"
)
_ROLE_NAMES = re.compile(r"[\u201c\"](?P<role>[A-Z][A-Za-z ]{1,40}?)[,.]?[\u201d\"]")
_NO_NAMES = frozenset(
    [
        "party",
        "parties",
        "company",
        "employee",
        "employer",
        "executive",
        "contractor",
        "consultant",
        "recipient",
        "discloser",
        "buyer",
        "seller",
        "lender",
        "lenders",
        "borrower",
        "agent",
        "counterparty",
        "undersigned",
        "you",
        "we",
        "agreement",
        "client",
        "customer",
        "vendor",
        "affiliate",
        "affiliates",
    ]
)
_NEVER_IN_NAMES = re.compile(
    r"\b(?:agreement|act|period|information|date|section|states|ladies|gentlemen|dear|board|"
    r"transaction|exhibit|article|part(?:y|ies)|representatives?|material|purposes?|persons?|code|"
    r"january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_AS = re.compile(
    rf"(?P<value>{_NAME}),?\s+as\s+(?:the\s+|an?\s+)?(?P<role>[A-Z][a-z]+(?:\s+[A-Z][a-z]+){{0,3}})"
)
_SPELT = "|".join(sorted(_COUNTS, key=len, reverse=True))
_DURATION = re.compile(
    rf"(?:\b(?P<word>{_SPELT})\s*(?:\(\s*(?P<paren>[0-9]{{1,3}})\s*\))?|\b(?P<figure>[0-9]{{1,3}}))"
    r"[\s-]+(?P<unit>year|month|week|day)s?\b",
    re.IGNORECASE,
)
_LASTING = re.compile(
    r"\b(?:agreement|obligations?|terms?|terminat\w*|expir\w*|effect|continue|surviv\w*|cease)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\W{0,3}(?:from|after|following|anniversary)\b[^.]{0,60}?\b(?:date|hereof|effective|agreement)\b",
    re.IGNORECASE,
)
_IDENTIFIERS = re.compile(
    r"arXiv:\s?[0-9]{4}\.[0-9]{4,5}(?:v[0-9]+)?|\b10\.[0-9]{4,9}/[^\s,;]{2,80}[^\s,;.)]|"
    r"\bISBN(?:-1[03])?:?\s?[0-9][0-9X -]{8,16}[0-9X]"
)


def find_phrases(text: str, column: str) -> Iterator[tuple[Typed, float]]:
    """Values of a column named `column` that a turn of phrase gives, each with its strength (0-1)."""
    words = set(list_words(column))
    if "jurisdiction" in words or {"law"} == words:
        yield from _find_laws(text)
    if "party" in words:
        yield from _find_parties(text)
    elif words:
        yield from _find_roles(text, words)
    if "term" in words:
        yield from _find_durations(text)
    if words & {"identifier", "doi", "arxiv", "isbn"}:
        for match in _limit(_IDENTIFIERS, text):
            yield Typed(*match.span(), match[0]), 0.8


def has_phrases(column: str) -> bool:
    """Whether what the column asks for is a name or a few words that a turn of phrase gives."""
    return bool(set(list_words(column)) & {"jurisdiction", "party", "term"})


def _limit(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for number, match in enumerate(pattern.finditer(text)):
        if number >= _MOST_FOUND:
            return
        yield match


def _find_laws(text: str) -> Iterator[tuple[Typed, float]]:
    for match in _limit(_LAW, text):
        of_it = "agreement" in text[max(0, match.start() - 160) : match.start()].casefold()
        strength = 0.9 if of_it and match["how"] in {"govern", "constru", "interpret"} else 0.6
        yield Typed(*match.span("value"), tidy(match["value"])), strength


def _find_parties(text: str) -> Iterator[tuple[Typed, float]]:
    """Whom a document is between, else whom it gives a role; never a role's own name."""
    roles = _list_roles(text)
    for number, match in enumerate(_limit(_BETWEEN, text)):
        strength = 0.8 if number == 0 else 0.4
        for group, less in (("first", 0.0), ("second", 0.1)):
            if match[group] and _is_name(match[group], roles):
                yield Typed(*match.span(group), tidy(match[group])), strength - less
    for number, match in enumerate(_limit(_ROLE, text)):
        if _is_name(match["value"], roles) and not _NEVER_IN_NAMES.search(match["role"]):
            early = 0.1 / (1 + number)
            yield Typed(*match.span("value"), tidy(match["value"])), 0.55 + early


def _list_roles(text: str) -> set[str]:
    """What a document calls its parties, in quotes where it says so."""
    return {match["role"].casefold() for match in _limit(_ROLE_NAMES, text)} | _NO_NAMES


def _is_name(text: str, roles: set[str]) -> bool:
    folded = tidy(text).casefold().strip(" .,")
    if len(folded) <= 2 or folded in roles or folded.split()[-1] in _NO_NAMES:
        return False
    return not folded[0].isdigit() and not _NEVER_IN_NAMES.search(folded)


def _find_roles(text: str, words: set[str]) -> Iterator[tuple[Typed, float]]:
    """Names with the role that the document gives them: `Acme Inc. (the "Seller")`, `as Agent`."""
    roles = _list_roles(text)
    for pattern, strength in ((_ROLE, 0.8), (_AS, 0.75)):
        for match in _limit(pattern, text):
            role = set(list_words(match["role"]))
            fits = role == words or (len(words) > 1 and words < role)
            if role and fits and _is_name(match["value"], roles):
                yield Typed(*match.span("value"), tidy(match["value"])), strength


def find_durations(text: str) -> Iterator[Typed]:
    """The durations in `text` as figures and a unit: `two (2) years` is `2 years`."""
    for match in _limit(_DURATION, text):
        count = match["paren"] or match["figure"] or _COUNTS[match["word"].casefold()]
        unit = match["unit"].casefold() + ("" if int(count) == 1 else "s")
        yield Typed(*match.span(), f"{int(count)} {unit}")


def read_duration(text: str) -> str | None:
    """`text` as a duration; `None` when it is none, or more than one."""
    found = next(find_durations(text), None)
    whole = found is not None and (found.start, found.end) == (0, len(text.strip()))
    return found.canonical if found is not None and whole else None


def _find_durations(text: str) -> Iterator[tuple[Typed, float]]:
    """Durations, those of the agreement itself before others."""
    for found in find_durations(text):
        sentence = re.split(r"\.\s", text[max(0, found.start - 160) : found.start])[-1]
        lasting = set(map(str.casefold, _LASTING.findall(sentence)))
        strength = 0.15 * min(3, len(lasting)) + (0.5 if _AFTER.match(text, found.end) else 0.0)
        yield found, strength
