"""Places and what is known of the sources that they come from."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridmill.providers.places.boundaries import Box

_BETWEEN_WORDS = re.compile(r"[^\w]+|_")


def fold(text: str) -> str:
    """A text as names are compared: no case, no accents, words apart by one space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(_BETWEEN_WORDS.sub(" ", plain.replace("ß", "ss").replace("ø", "o")).split())


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a place's record stands: a source of the contract's `map` kind."""

    feature_id: str
    license: str
    url: str | None = None
    file_name: str | None = None
    datasource_id: str | None = None
    day: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """The entry of a cell's `sources`; what is not known is left out."""
        said = {
            "kind": "map",
            "featureId": self.feature_id,
            "license": self.license,
            "url": self.url,
            "fileName": self.file_name,
            "datasourceId": self.datasource_id,
            "quote": None if self.day is None else f"as of {self.day}",
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Place:
    """A place: OpenStreetMap's `tags` say what is known of it; degrees on WGS 84.

    `country` is the two-letter code where the source knows it for all its places. `sources` are all
    records that it was merged from, the first one its own.
    """

    feature_id: str
    lat: float
    lon: float
    tags: Mapping[str, str]
    sources: tuple[Provenance, ...]
    country: str | None = None

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return self.tags.get("name")


@dataclass(frozen=True, slots=True)
class Caps:
    """What a source can do.

    `boxes` are what it covers (`None`: all the Earth), `most` how many places one answer holds
    (`None`: all), `is_remote` whether asking it leaves this machine.
    """

    boxes: Sequence[Box] | None
    most: int | None = None
    is_remote: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Places inside a boundary. `covered` is the share of the boundary's area that the source knows.

    `message` says what a person should know of the answer.
    """

    places: Sequence[Place] = field(default_factory=list[Place])
    covered: float = 1.0
    message: str | None = None

    @property
    def coverage(self) -> str:
        """The contract's word: `full`, `partial` or `none`."""
        if self.covered <= 0:
            return "none"
        return "full" if self.covered >= 0.9999 else "partial"


@dataclass(frozen=True, slots=True)
class Located:
    """A position found for an address, or an address for a position; `metres` between the two."""

    lat: float
    lon: float
    address: Mapping[str, str]
    source: Provenance
    is_exact: bool
    metres: float = 0.0
