"""Values that occur once: streams of new ones, each known by its place.

A `Space` numbers all values of a form; a `Stream` gives the value at each place of an endless (or
ending) order in which none comes twice and none that is taken comes at all. So any two batches of
the same stream agree without having seen each other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

from gridmill.providers.synthesizer.scales import Scale

_ROUNDS = 4


class Space(Protocol):
    """All values of a form, numbered from 0 to `size` - 1."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def decode(self, number: int) -> str:
        """The value with this number."""
        ...

    def encode(self, text: str) -> int | None:
        """The number of a value, `None` when it is not one of them."""
        ...


class ChoiceSpace:
    """A list of values."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = list(dict.fromkeys(values))
        self._numbers = {text: number for number, text in enumerate(self._values)}

    @property
    def size(self) -> int:
        """The length of the list."""
        return len(self._values)

    def decode(self, number: int) -> str:
        """The value at this place."""
        return self._values[number]

    def encode(self, text: str) -> int | None:
        """The place of a value."""
        return self._numbers.get(text)


class StepSpace:
    """Amounts from `first` on, `step` apart, on a scale; within a text where there is a frame.

    `prefix`, `suffix` and `width` (zeros before the digits) frame the digits of codes such as
    INV-0042.
    """

    def __init__(
        self,
        scale: Scale,
        first: int,
        step: int,
        size: int,
        frame: tuple[str, int, str] = ("", 0, ""),
    ) -> None:
        self._scale, self._first, self._step = scale, first, step
        self._prefix, self._width, self._suffix = frame
        self._size = max(0, size)

    @property
    def size(self) -> int:
        """How many steps there are."""
        return self._size

    def decode(self, number: int) -> str:
        """The text of a step."""
        digits = self._scale.write(self._first + number * self._step)
        return f"{self._prefix}{digits.zfill(self._width)}{self._suffix}"

    def encode(self, text: str) -> int | None:
        """The number of a text."""
        inner = text.removeprefix(self._prefix).removesuffix(self._suffix)
        try:
            number, rest = divmod(self._scale.read(inner) - self._first, self._step)
        except (ValueError, OverflowError):
            return None
        return (
            number
            if not rest and 0 <= number < self._size and self.decode(number) == text
            else None
        )


class TemplateSpace:
    """Texts put together from parts: one alternative of each slot, in order.

    No two choices give the same text: a slot's alternatives all have one length, or a separator
    that occurs in none of them follows (`patterns.find_template` sees to that).
    """

    def __init__(self, slots: Sequence[Sequence[str]]) -> None:
        self._slots = [tuple(dict.fromkeys(slot)) for slot in slots]
        self._numbers = [{part: n for n, part in enumerate(slot)} for slot in self._slots]
        self._size = 1
        for slot in self._slots:
            self._size *= len(slot)

    @property
    def size(self) -> int:
        """The product of the slots' sizes."""
        return self._size

    def decode(self, number: int) -> str:
        """The text whose choices, read as digits of mixed bases, are this number."""
        parts: list[str] = []
        for slot in reversed(self._slots):
            number, place = divmod(number, len(slot))
            parts.append(slot[place])
        return "".join(reversed(parts))

    def encode(self, text: str) -> int | None:
        """The number of a text."""
        places = {0: 0}
        for slot, numbers in zip(self._slots, self._numbers, strict=True):
            lengths = {len(part) for part in slot}
            following: dict[int, int] = {}
            for at, number in places.items():
                for length in lengths:
                    found = numbers.get(text[at : at + length])
                    if found is not None and at + length <= len(text):
                        following[at + length] = number * len(slot) + found
            places = following
        return places.get(len(text))


class Stream:
    """The values of a space that are not taken, in a shuffled order or in their own.

    Shuffling is a Feistel network over the numbers, walked until it falls inside the space (Black
    and Rogaway 2002, "Ciphers with arbitrary finite domains"): a permutation that needs no memory.
    """

    def __init__(self, space: Space, taken: Iterable[str], seed: str | None) -> None:
        self._space = space
        self._seed = seed
        self._half = max(1, ((max(1, space.size - 1)).bit_length() + 1) // 2)
        numbers = {number for text in taken if (number := space.encode(text)) is not None}
        self._skipped = sorted(self._place_of(number) for number in numbers)
        # A place moves up by one for each taken one at or before it.
        self._gaps = [place - before for before, place in enumerate(self._skipped)]
        self.capacity = space.size - len(numbers)

    def give(self, place: int) -> str:
        """The value at `place`, from 0; raises `IndexError` at `capacity` and beyond."""
        if not 0 <= place < self.capacity:
            raise IndexError(place)
        return self._space.decode(self._number_at(place + bisect_right(self._gaps, place)))

    def _number_at(self, place: int) -> int:
        number = self._mix(place, range(_ROUNDS))
        while number >= self._space.size:
            number = self._mix(number, range(_ROUNDS))
        return number

    def _place_of(self, number: int) -> int:
        place = self._mix(number, reversed(range(_ROUNDS)))
        while place >= self._space.size:
            place = self._mix(place, reversed(range(_ROUNDS)))
        return place

    def _mix(self, number: int, rounds: Iterable[int]) -> int:
        if self._seed is None:
            return number
        mask = (1 << self._half) - 1
        left, right = number >> self._half, number & mask
        for turn in rounds:
            # Each round undoes itself when its half is masked with the same digest again.
            if turn % 2:
                left ^= self._digest(turn, right) & mask
            else:
                right ^= self._digest(turn, left) & mask
        return left << self._half | right

    def _digest(self, turn: int, half: int) -> int:
        data = f"{self._seed}/{turn}/{half}".encode()
        return int.from_bytes(blake2b(data, digest_size=40).digest(), "big")
