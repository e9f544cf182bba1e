"""New texts from parts of known ones: words and numbers in other combinations, never made up.

A donor's text is mixed with those of other donors from the same leaf, so that what goes together
in the table (a name and its country, a title and its category) still does.
"""

import string
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from gridmill.kit.canonical import DataType
from gridmill.kit.json import dump_json_text
from gridmill.providers.synthesizer.arrays import Floats, Ints
from gridmill.providers.synthesizer.invented import is_valid
from gridmill.providers.synthesizer.model import ColumnShape
from gridmill.providers.synthesizer.tokens import describe, sign, split

_DISTINCT = 0.5
_DISTINCT_LONG = 0.2
_LONG = 60
_MAX_TOKENS = 400
_MAX_WORDS = 30
_TRIES = 6
_MIN_STEM = 2

_RECOMBINED = frozenset(
    {DataType.TEXT, DataType.URL, DataType.EMAIL, DataType.PHONE, DataType.JSON}
)

Mixer = Callable[[Sequence[str], np.random.Generator], str | None]


def is_free_text(shape: ColumnShape, texts: Sequence[str]) -> bool:
    """Whether values are mostly of one row each, so that a value drawn as it is would be a copy."""
    if shape.data_type not in _RECOMBINED or shape.options:
        return False
    share = len(set(texts)) / max(1, len(texts))
    is_long = sum(map(len, texts)) > _LONG * len(texts)
    return share > (_DISTINCT_LONG if is_long else _DISTINCT)


class TextColumn:
    """A column whose texts are recombined. Trees choose donors for it, and learn nothing from it."""

    is_category = False

    def __init__(self, shape: ColumnShape, texts: Sequence[str | None]) -> None:
        self._shape = shape
        self._data_type = shape.data_type
        self._texts = list(texts)
        self._known = frozenset(text for text in texts if text is not None)
        self.known: Floats = np.full((len(texts), 1), np.nan)
        self._mixers = self._list_mixers()

    def _list_mixers(self) -> list[Mixer]:
        if self._data_type is DataType.JSON:
            return [_mix_objects, self._renew_digits, _keep]
        if self._data_type is DataType.PHONE:
            return [_renew_tail]
        return [
            self._mix_slots,
            _cross_words,
            self._renew_digits,
            _cross_letters,
            self._append_number,
        ]

    @property
    def targets(self) -> Floats:
        """Which of the most frequent words each text has, and whether it is empty."""
        words = [frozenset(split(text or "", self._data_type)) for text in self._texts]
        counts = Counter(word for parts in words for word in parts if len(word) > 1)
        common = sorted(counts, key=lambda word: (-counts[word], word))[:_MAX_WORDS]
        table = [
            [*(word in parts for word in common), text is None]
            for parts, text in zip(words, self._texts, strict=True)
        ]
        return np.array(table, dtype=np.float64)

    def draw(self, donors: Ints, random: np.random.Generator) -> Floats:  # noqa: ARG002 (as the protocol says)
        """Nothing that a tree could use."""
        return np.full((len(donors), 1), np.nan)

    def write(self, state: Floats) -> list[str | None]:
        """Nothing: texts are made of several donors each, by `mix`."""
        return [None] * len(state)

    def mix(self, donors: Ints, random: np.random.Generator) -> list[str | None]:
        """A new text for each row of donors (rows x sources); empty where the first one is."""
        made: list[str | None] = []
        for row in donors:
            texts = [self._texts[donor] for donor in row]
            sources = [text for text in texts if text is not None]
            made.append(None if texts[0] is None else self._mix(sources, random))
        return made

    def _mix(self, sources: Sequence[str], random: np.random.Generator) -> str | None:
        """A new text, the first source's form before others'; `None` when there is no valid one."""
        for mix in self._mixers:
            for _ in range(_TRIES):
                text = mix(sources, random)
                if text is None:
                    break
                is_new = text not in self._known or mix is _keep
                if is_new and is_valid(text, self._shape):
                    return text
        return None

    def _mix_slots(self, sources: Sequence[str], random: np.random.Generator) -> str | None:
        """Each word and number from one of the sources that have the first one's form."""
        tokens = [split(text, self._data_type) for text in sources]
        form = sign(tokens[0])
        mates = [parts for parts in tokens if sign(parts) == form]
        if len(mates) < 2 or len(form) > _MAX_TOKENS:
            return None
        picks = random.integers(0, len(mates), len(form))
        return "".join(mates[pick][slot] for slot, pick in enumerate(picks))

    def _renew_digits(self, sources: Sequence[str], random: np.random.Generator) -> str | None:
        """The first source with other digits in the places of its own."""
        tokens = split(sources[0], self._data_type)
        if "9" not in map(describe, tokens):
            return None
        return "".join(
            _draw_digits(token, random) if describe(token) == "9" else token for token in tokens
        )

    def _append_number(self, sources: Sequence[str], random: np.random.Generator) -> str | None:
        """The first source and a number."""
        number = str(random.integers(2, 10_000))
        text = sources[0]
        if self._data_type is DataType.EMAIL:
            local, _, domain = text.rpartition("@")
            return f"{local}{number}@{domain}"
        joint = "-" if self._data_type is DataType.URL else " "
        return f"{text.rstrip()}{joint}{number}"


def _keep(sources: Sequence[str], random: np.random.Generator) -> str | None:  # noqa: ARG001 (a mixer)
    """The first source as it is, where nothing else is valid."""
    return sources[0]


def _draw_digits(token: str, random: np.random.Generator) -> str:
    digits = "".join(str(digit) for digit in random.integers(0, 10, len(token)))
    first = token[0] if token[0] == "0" else str(random.integers(1, 10))
    return first + digits[1:]


def _renew_tail(sources: Sequence[str], random: np.random.Generator) -> str | None:
    """A phone number with other digits in its second half."""
    text = sources[0]
    places = [place for place, letter in enumerate(text) if letter in string.digits]
    letters = list(text)
    for place in places[len(places) // 2 :]:
        letters[place] = str(random.integers(0, 10))
    return "".join(letters)


def _cross_words(sources: Sequence[str], random: np.random.Generator) -> str | None:
    """The beginning of one source and the end of another, joined at a word that both have."""
    first = sources[0].split(" ")[:_MAX_TOKENS]
    others = [words for text in sources[1:] if len(words := text.split(" ")[:_MAX_TOKENS]) > 2]
    if len(first) <= 2 or not others:
        return None
    second = others[int(random.integers(0, len(others)))]
    places = {word: place for place, word in enumerate(second) if place}
    shared = [place for place, word in enumerate(first) if place and word in places]
    if shared:
        place = shared[int(random.integers(0, len(shared)))]
        return " ".join(first[:place] + second[places[first[place]] :])
    share = random.uniform(0.3, 0.7)
    return " ".join(first[: max(1, int(len(first) * share))] + second[int(len(second) * share) :])


def _cross_letters(sources: Sequence[str], random: np.random.Generator) -> str | None:
    """The beginning of one word and the end of another, joined at a letter that both have."""
    first = sources[0]
    others = [text for text in sources[1:] if len(text) > _MIN_STEM and text != first]
    if len(first) <= _MIN_STEM or not others or " " in first:
        return None
    second = others[int(random.integers(0, len(others)))]
    joints = [
        (left, right)
        for left in range(_MIN_STEM, len(first))
        for right in range(1, len(second) - 1)
        if first[left] == second[right] and first[left].isalpha()
    ][:_MAX_TOKENS]
    if not joints:
        return None
    left, right = joints[int(random.integers(0, len(joints)))]
    return first[:left] + second[right:]


def _mix_objects(sources: Sequence[str], random: np.random.Generator) -> str | None:
    """An object with each member from one of the sources that have the same members."""
    objects: list[dict[str, object]] = []
    for text in sources:
        value: object = msgspec.json.decode(text)
        if isinstance(value, dict) and (not objects or value.keys() == objects[0].keys()):
            objects.append(value)
    if len(objects) < 2:
        return None
    picks = random.integers(0, len(objects), len(objects[0]))
    return dump_json_text(
        {name: objects[pick][name] for name, pick in zip(objects[0], picks, strict=True)}
    )
