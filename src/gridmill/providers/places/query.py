"""What a map dataset's config asks for, checked word by word."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from gridmill.kit.errors import ValidationFailed
from gridmill.kit.ids import parse_uuid
from gridmill.providers.places.areas import find_area
from gridmill.providers.places.boundaries import Boundary, read_boundary
from gridmill.providers.places.categories import Category, read_category
from gridmill.providers.places.model import Place, fold

EMBEDDED = "embedded"
DATASOURCE = "datasource:"
_SOURCES = f'Give "{EMBEDDED}" or "{DATASOURCE}ID"; live sources are not configured here.'
_MAX_CATEGORIES = 100
_MAX_TEXT = 1_000
_SEARCHED = ("name", "alt_name", "old_name", "short_name", "official_name", "brand", "operator")


@dataclass(frozen=True)
class PlaceQuery:
    """Where and what places are looked for; `datasource_id` is the source unless it is embedded."""

    boundary: Boundary
    categories: tuple[Category, ...] = ()
    words: tuple[str, ...] = ()
    datasource_id: UUID | None = None
    max_results: int | None = None
    include_unnamed: bool = False

    def admits(self, place: Place) -> bool:
        """Whether a place inside the boundary is one that is asked for, categories apart."""
        if place.name is None and not self.include_unnamed:
            return False
        if not self.words:
            return True
        texts = [value for key, value in place.tags.items() if key.startswith(("name:", "cuisine"))]
        texts += [place.tags[key] for key in _SEARCHED if key in place.tags]
        known = fold(" ".join(texts))
        return all(word in known for word in self.words)


def read_query(config: Mapping[str, Any]) -> PlaceQuery | None:
    """The query of a dataset's config; `None` without a boundary.

    Raises:
        ValidationFailed: naming the place of the fault under `config`.
    """
    datasource_id = read_source(config.get("source"))
    categories = _read_categories(config.get("categories"), any_word=datasource_id is not None)
    words = _read_words(config.get("query"))
    if config.get("boundary") is None:
        return None
    boundary = read_boundary(
        config["boundary"], find_area=find_area, repair=bool(config.get("repair"))
    )
    return PlaceQuery(
        boundary,
        categories,
        words,
        datasource_id,
        config.get("maxResults"),
        bool(config.get("includeUnnamed")),
    )


def read_source(source: str | None) -> UUID | None:
    """The data source that `config.source` names, `None` for the embedded one."""
    if source is None or source == EMBEDDED:
        return None
    known = parse_uuid(source.removeprefix(DATASOURCE)) if source.startswith(DATASOURCE) else None
    if known is None:
        raise ValidationFailed.of("config.source", _SOURCES)
    return known


def _read_categories(raw: object, *, any_word: bool) -> tuple[Category, ...]:
    """The categories; of a data source any word may be one, for it may have its own."""
    words = cast("list[object]", raw or [])
    if len(words) > _MAX_CATEGORIES:
        raise ValidationFailed.of("config.categories", f"Give at most {_MAX_CATEGORIES}.")
    found: list[Category] = []
    for index, word in enumerate(words):
        field = f"config.categories.{index}"
        if not isinstance(word, str) or not fold(word) or len(word) > _MAX_TEXT:
            raise ValidationFailed.of(field, "Give a kind of place in words, as cafe.")
        category = read_category(word)
        if isinstance(category, str):
            if not any_word:
                raise ValidationFailed.of(field, category)
            category = Category(word, ())
        found.append(category)
    return tuple(found)


def _read_words(raw: object) -> tuple[str, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, str) or len(raw) > _MAX_TEXT:
        raise ValidationFailed.of("config.query", "Give words that names hold, as a string.")
    return tuple(fold(raw).split())
