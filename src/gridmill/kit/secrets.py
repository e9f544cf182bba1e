"""Takes secrets out of what is about to be shown: by name, by shape, and those made known here.

No list of shapes is complete, so three nets hang below one another. Names catch what is logged as
what it is, shapes what stands in the middle of a sentence, and the exact texts of this process's
own secrets whatever an error of a library quotes.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, cast

MASK = "[masked]"

_DEEPEST = 8
_LONGEST = 20_000
_SHORTEST = 8
_NAMES = re.compile(
    r"(?:authorization|cookie|api_?key|password|passwd|secret|token|credentials?|signature"
    r"|database_?url|download_?url)$"
)
_COUNTS = re.compile(r"(?:prompt|completion|max|total)_?tokens?$")
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Keys and signing secrets as we make them, and as the well-known providers do.
    (re.compile(r"\b(?:gm|whsec|sk|pk|rk|xox[a-z])[-_][A-Za-z0-9+/=_-]{8,}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    # `name: value` and `name=value`, quoted or not, wherever a text repeats a header or a query.
    (
        re.compile(
            r"(?i)\b((?:[a-z]+[-_ ])*(?:authorization|api[-_]?key|password|passwd|secret|token"
            r"|signature))(['\"]?\s*[:=]\s*)(?:(['\"])(?:(?!\3).)+\3|(?!\[masked\])[^\s'\",;&)}\]]+"
            r"(?:\s+\[masked\])?)"
        ),
        rf"\1\2{MASK}",
    ),
    # The login of any URL, the token of a signed link.
    (re.compile(r"(://)[^\s/?#@'\"]*:[^\s/?#'\"]*@"), rf"\1{MASK}@"),
    (re.compile(r"(/downloads/)[^\s/?#'\"]+"), rf"\1{MASK}"),
    # PostgreSQL repeats the row or key that a constraint refused: values of a tenant.
    (re.compile(r"(?s)(Failing row contains )\(.*?\)\.(?=\s*(?:\n|$))"), rf"\1({MASK})."),
    (re.compile(r"(?m)(Key \([^)\n]*\)=)\(.*\)(?= )"), rf"\1({MASK})"),
)


class Secrets:
    """The texts that this process must never show, and the masking of everything else."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def learn(self, texts: Iterable[str | None]) -> None:
        """Mask these texts wherever they stand from now on; the shortest are no secrets."""
        new = {text for text in texts if text is not None and len(text) >= _SHORTEST}
        # The longest first: a secret may be a part of another one.
        self._known = tuple(sorted({*self._known, *new}, key=len, reverse=True))

    def mask_text(self, text: str) -> str:
        """`text` without secrets, and no longer than 20,000 characters."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}…"
        for shape, mask in _SHAPES:
            text = shape.sub(mask, text)
        return text

    def mask(self, value: object, depth: int = 0) -> object:
        """`value` as plain JSON values, masked at every depth; an unknown object is its `repr`."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            # JSON writers know 64 bits; a log line must not fail for what it is about.
            return value if abs(value) < 2**63 else str(value)
        if isinstance(value, str):
            return self.mask_text(value)
        if depth >= _DEEPEST:
            return "…"
        if isinstance(value, Mapping):
            pairs = cast("Mapping[object, object]", value)
            return {
                self.mask_text(str(name)): self.mask_named(str(name), inner, depth + 1)
                for name, inner in pairs.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            items = cast("Iterable[object]", value)
            return [self.mask(item, depth + 1) for item in items]
        return self.mask_text(_describe(value))

    def mask_named(self, name: str, value: object, depth: int = 0) -> object:
        """`value` masked, as a whole when its name says that it is a secret."""
        plain = name.lower().replace("-", "_")
        if value is not None and _NAMES.search(plain) and not _COUNTS.search(plain):
            return MASK
        return self.mask(value, depth)


SECRETS = Secrets()
"""Those of this process; logs are global to it, and so is what they must not say."""


def mask_event(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: every value of the line masked."""
    return {
        SECRETS.mask_text(name): SECRETS.mask_named(name, value) for name, value in event.items()
    }


def _describe(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a log line must not fail for what it is about
        return f"<{type(value).__name__}>"
