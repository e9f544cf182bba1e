"""Kinds of places in plain words: which tags make one, and what it is called in many languages."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from gridmill.providers.places.archive import read_archive
from gridmill.providers.places.model import fold

_ENDINGS = ("", "s", "es", "e", "n", "en")
_SIMPLE_TAG_SIGN = "="
_SPLIT = re.compile(r"[/(),]")


class Preset(msgspec.Struct, frozen=True):
    """A kind of place: `names` by language (English always), `terms` other words for it."""

    tags: dict[str, str]
    names: dict[str, str]
    terms: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Category:
    """What a word asked for: any of these sets of tags; `*` stands for any value.

    `names` is what the kind is called in any language, as `fold` writes it.
    """

    word: str
    any_of: tuple[tuple[tuple[str, str], ...], ...]
    names: frozenset[str] = frozenset()

    def fits(self, tags: Mapping[str, str]) -> bool:
        """Whether a place is of this kind; a tag with several values has them apart by `;`."""
        return any(
            all(key in tags and _has_value(tags[key], value) for key, value in wanted)
            for wanted in self.any_of
        )

    def is_named(self, said: str) -> bool:
        """Whether a folded text, as of a category column, is the word or one of its names."""
        wanted = {*_list_stems(fold(self.word)), *self.names}
        return any(stem in wanted for stem in _list_stems(said))


def _has_value(held: str, wanted: str) -> bool:
    if held == wanted or (wanted == "*" and held != "no"):
        return True
    return ";" in held and wanted in [part.strip() for part in held.split(";")]


class _Register:
    """The presets by their words, and by their tags."""

    def __init__(self, presets: Sequence[Preset]) -> None:
        self.keys = {key for preset in presets for key in preset.tags}
        self.by_tag: dict[tuple[str, str], list[Preset]] = {}
        self.english: dict[str, list[Preset]] = {}
        values: dict[str, list[Preset]] = {}
        others: dict[str, list[Preset]] = {}
        english_terms: dict[str, list[Preset]] = {}
        other_terms: dict[str, list[Preset]] = {}
        for preset in presets:
            for tag in preset.tags.items():
                self.by_tag.setdefault(tag, []).append(preset)
            if len(preset.tags) == 1:
                _add(values, next(iter(preset.tags.values())), preset)
            for language, name in preset.names.items():
                for part in (name, *_SPLIT.split(name)):
                    _add(self.english if language == "en" else others, part, preset)
            for language, terms in preset.terms.items():
                for term in terms:
                    _add(english_terms if language == "en" else other_terms, term, preset)
        # A word of several languages means what it means in English, else what most call it.
        self._ladder = (self.english, values, others, english_terms, other_terms)

    def find(self, word: str) -> list[Preset]:
        """Presets of that name, else those that a term names; plurals by their usual endings."""
        stems = _list_stems(fold(word))
        for known in self._ladder:
            for stem in stems:
                if stem in known:
                    return known[stem]
        return []

    def describe(self, tags: Mapping[str, str]) -> Preset | None:
        """The most telling preset of a place's tags."""
        fitting = [
            preset
            for tag in tags.items()
            for preset in self.by_tag.get(tag, ())
            if all(tags.get(key) == value for key, value in preset.tags.items())
        ]
        # Of several the plain one: a pharmacy, not a pharmacy's counter.
        return max(
            fitting, key=lambda preset: (len(preset.tags), -len(preset.names["en"])), default=None
        )


def _add(known: dict[str, list[Preset]], word: str, preset: Preset) -> None:
    folded = fold(word)
    if folded and preset not in known.setdefault(folded, []):
        known[folded].append(preset)


def _list_stems(word: str) -> list[str]:
    stems = [word.removesuffix(ending) for ending in _ENDINGS]
    if word.endswith("ies"):
        stems.append(word[:-3] + "y")
    return [stem for stem in dict.fromkeys([*stems, word + "s", word + "e"]) if stem]


@cache
def _load() -> _Register:
    return _Register(read_archive("categories.json.xz", list[Preset]))


def read_category(word: str) -> Category | str:
    """What a word, `key=value` or `key=*` means, or a sentence that says what to write instead."""
    register = _load()
    if _SIMPLE_TAG_SIGN in word:
        key, _, value = word.partition("=")
        return Category(word, (((key.strip(), value.strip() or "*"),),))
    for stem in _list_stems(fold(word)):
        if stem.replace(" ", "_") in register.keys:
            return Category(word, (((stem.replace(" ", "_"), "*"),),))
    presets = register.find(word)
    if presets:
        names = {fold(name) for preset in presets for name in preset.names.values()}
        names |= {fold(value) for preset in presets for value in preset.tags.values()}
        tags = tuple(tuple(sorted(preset.tags.items())) for preset in presets)
        return Category(word, tags, frozenset(names))
    near = difflib.get_close_matches(fold(word), register.english, n=3, cutoff=0.75)
    known = [register.english[name][0].names["en"] for name in near]
    hint = f" Did you mean {' or '.join(dict.fromkeys(known))}?" if known else ""
    return f"{word[:80]!r} is no known kind of place.{hint} A tag works too: amenity=cafe."


def name_category(tags: Mapping[str, str]) -> str | None:
    """What a place is, in English; `None` when its tags say nothing known."""
    preset = _load().describe(tags)
    return None if preset is None else preset.names["en"]
