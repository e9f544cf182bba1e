"""Texts as tokens: runs of letters, runs of digits and what stands between them."""

import re
from collections.abc import Sequence

from gridmill.kit.canonical import DataType

_RUNS = re.compile(r"[^\W\d_]+|[0-9]+|[\W_]|\d")
_HOST = re.compile(r"\w+://[^/?#]+|www\.[^/?#\s]+", re.IGNORECASE)


def split(text: str, data_type: DataType) -> list[str]:
    """The tokens of a text, which joined are the text again.

    The domain of an email address and the host of a URL are one token: parts of two would be an
    address that belongs to someone else.
    """
    if data_type is DataType.EMAIL:
        local, sign, domain = text.rpartition("@")
        return [*_RUNS.findall(local), sign + domain] if sign else _RUNS.findall(text)
    if data_type is DataType.URL and (host := _HOST.match(text)):
        return [host[0], *_RUNS.findall(text[host.end() :])]
    return _RUNS.findall(text)


def describe(token: str) -> str:
    """The kind of a token: `a` for letters, `9` for digits, `@` for a domain or host, else itself."""
    if len(token) > 1 and (token[0] == "@" or "://" in token or token[:4].lower() == "www."):
        return "@"
    if token.isdecimal():
        return "9"
    return "a" if token.isalpha() else token


def sign(tokens: Sequence[str]) -> tuple[str, ...]:
    """The form of a text: the kinds of its tokens, separators as they are."""
    return tuple(map(describe, tokens))
