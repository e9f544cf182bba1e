"""Values that stand in the row itself: the first words of a name, what follows a comma, a number.

A rule says where in which column the value stands. Rules are found by looking where the known
values stand, kept when they hold on the rows at hand, and known labels that occur in a text are
proposals too, so that a row may be given a value seen in other rows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gridmill.kit.values import DataType
from gridmill.operations.enrichment.learners.exchange import Row
from gridmill.operations.enrichment.learners.samples import (
    MAX_CELL_CHARACTERS,
    Samples,
    accept,
    normalise,
)

_TOKENS = re.compile(r"\S+")
_NUMBERS = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_PUNCTUATION = " \t,;:.()[]{}\"'|/-–—"
_DELIMITERS = (" - ", ",", ";", ":", "|", "/", "(", ")", "@", "#", "=", "?", " at ", " in ", " by ")
_MAX_RULES = 14
_MAX_LABEL_WORDS = 6
_LEARNT_ROWS = 2_000
_MIN_HITS = 2
_MIN_PRECISION = 0.1


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a value stands in column `position`.

    kind "words": `size` words from word `start` (negative: from the end); "part": piece `start`
    of the text split at `delimiter`; "number": its number `start`; "whole": all of it.
    """

    position: int
    kind: str
    start: int = 0
    size: int = 1
    delimiter: str = ""

    def read(self, row: Row) -> str | None:
        """What stands there, `None` when nothing does."""
        text = row[self.position]
        if text is None:
            return None
        text = text[:MAX_CELL_CHARACTERS]
        if self.kind == "words":
            found = _read_words(text, self.start, self.size)
        elif self.kind == "part":
            found = (
                _pick(text.split(self.delimiter), self.start) if self.delimiter in text else None
            )
        elif self.kind == "number":
            found = _pick(_NUMBERS.findall(text), self.start)
        else:
            found = text
        return None if found is None else found.strip(_PUNCTUATION) or None


def _read_words(text: str, start: int, size: int) -> str | None:
    words = list(_TOKENS.finditer(text))
    first = start if start >= 0 else len(words) + start
    if first < 0 or first + size > len(words):
        return None
    return text[words[first].start() : words[first + size - 1].end()]


def _pick(items: Sequence[str], index: int) -> str | None:
    return items[index] if -len(items) <= index < len(items) else None


@dataclass(slots=True)
class Record:
    """How often a place was right, in all and by fold; values seen in other rows apart."""

    hits: int = 0
    tries: int = 0
    parts: dict[tuple[bool, int | None], tuple[int, int]] = field(
        default_factory=dict[tuple[bool, int | None], tuple[int, int]]
    )

    def add(self, fold: int, *, known: bool, hit: bool) -> None:
        """Count one row; `known`: other rows have the value that stands there."""
        self.hits += hit
        self.tries += 1
        for part in ((known, fold), (known, None)):
            hits, tries = self.parts.get(part, (0, 0))
            self.parts[part] = (hits + hit, tries + 1)

    def rate(self, fold: int | None, *, known: bool) -> float:
        """The share of such rows that it was right in, those of `fold` left out.

        Smoothed by three rows of the place's overall share.
        """
        hits, tries = self.parts.get((known, None), (0, 0))
        if fold is not None:
            left = self.parts.get((known, fold), (0, 0))
            hits, tries = hits - left[0], tries - left[1]
        overall = self.hits / (self.tries + 1.0)
        return (hits + 3.0 * overall) / (tries + 3.0)

    @property
    def is_useful(self) -> bool:
        """Right in two rows at least, and not just now and then."""
        return self.hits >= max(_MIN_HITS, _MIN_PRECISION * self.tries)


@dataclass(frozen=True, slots=True)
class Extract:
    """A value found in the row: how reliable the best place is, and how many places agree.

    `text` is as it stands there, `mentioned` is over 0 when it is a known label, 1 for the first.
    """

    text: str
    reliability: float
    agreeing: int
    mentioned: float


class ExtractExpert:
    """Learns where in the row the value stands."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._rules = samples.target.rules
        learnt = list(range(min(len(samples), _LEARNT_ROWS)))
        self.rules = _learn_rules(samples, learnt)
        self._labels = _index_labels(samples)
        self._mentions = self._learn_mentions(learnt)

    def propose(self, row: Row, fold: int | None) -> dict[str, Extract]:
        """What stands in the row, by label; judged without the rows of `fold`."""
        found: dict[str, Extract] = {}
        for rule, record in self.rules:
            text = self._read(rule, row)
            if text is not None:
                label = normalise(text)
                known = self._samples.count(label, fold) > 0
                self._note(found, label, text, record.rate(fold, known=known))
        for position, record in self._mentions.items():
            for rank, label in enumerate(self._find_mentions(position, row, fold)):
                text = self._samples.surfaces[label]
                weight = 0.8**rank
                self._note(
                    found, label, text, record.rate(fold, known=True) * weight, mentioned=weight
                )
        return found

    @staticmethod
    def _note(
        found: dict[str, Extract],
        label: str,
        text: str,
        reliability: float,
        mentioned: float = 0.0,
    ) -> None:
        before = found.get(label)
        if before is None:
            found[label] = Extract(text, reliability, 1, mentioned)
        else:
            found[label] = Extract(
                before.text,
                max(before.reliability, reliability),
                before.agreeing + 1,
                max(before.mentioned, mentioned),
            )

    def _read(self, rule: Rule, row: Row) -> str | None:
        text = rule.read(row)
        return None if text is None else accept(text, self._rules)

    def _find_mentions(self, position: int, row: Row, fold: int | None) -> list[str]:
        """Known labels that stand in a text, the earliest and longest first."""
        text = row[position]
        if text is None or not self._labels:
            return []
        words = [word.strip(_PUNCTUATION) for word in normalise(text[:MAX_CELL_CHARACTERS]).split()]
        found: dict[str, int] = {}
        for start, word in enumerate(words):
            for label in self._labels.get(word, ()):
                size = label.count(" ") + 1
                stands = " ".join(words[start : start + size]) == label
                if stands and self._samples.count(label, fold) > 0:
                    found.setdefault(label, start * 10 - size)
        return sorted(found, key=lambda label: found[label])[:3]

    def _learn_mentions(self, learnt: Sequence[int]) -> dict[int, Record]:
        """By column: in how many of the rows with a mention the first one is right."""
        judged: dict[int, Record] = {}
        if not self._labels:
            return judged
        samples = self._samples
        for position in samples.inputs:
            record = Record()
            for index in learnt:
                fold = samples.folds[index]
                found = self._find_mentions(position, samples.rows[index], fold)
                if found:
                    record.add(fold, known=True, hit=found[0] == samples.labels[index])
            if record.is_useful:
                judged[position] = record
        return judged


def _index_labels(samples: Samples) -> dict[str, list[str]]:
    """Labels of words by their first word; single digits and letters are no names."""
    index: dict[str, list[str]] = {}
    if samples.target.rules.data_type in {DataType.BOOLEAN, DataType.INTEGER, DataType.NUMBER}:
        return index
    if len(samples.counts) > 0.7 * len(samples) + 5:
        return index  # values that hardly repeat are no vocabulary
    for label in samples.counts:
        words = label.split()
        if len(label) > 1 and 0 < len(words) <= _MAX_LABEL_WORDS:
            index.setdefault(words[0], []).append(label)
    return index


def _learn_rules(samples: Samples, learnt: Sequence[int]) -> list[tuple[Rule, Record]]:
    """Rules with their hits and tries on the learnt rows, the best first."""
    seen: Counter[Rule] = Counter()
    for index in learnt[:400]:
        seen.update(set(_suggest(samples, index)))
    judged: list[tuple[Rule, Record]] = []
    for rule, hits in seen.most_common(60):
        if hits < _MIN_HITS:
            break
        judged.append((rule, _judge(rule, samples, learnt)))
    kept = [item for item in judged if item[1].is_useful]
    kept.sort(key=lambda item: -(item[1].hits ** 1.5) / (item[1].tries + 1))
    return kept[:_MAX_RULES]


def _judge(rule: Rule, samples: Samples, learnt: Sequence[int]) -> Record:
    record = Record()
    for index in learnt:
        text = rule.read(samples.rows[index])
        if text is not None:
            value = accept(text, samples.target.rules)
            label = None if value is None else normalise(value)
            fold = samples.folds[index]
            known = label is not None and samples.count(label, fold) > 0
            record.add(fold, known=known, hit=label == samples.labels[index])
    return record


def _suggest(samples: Samples, index: int) -> Iterable[Rule]:
    """The rules that would give this row's value."""
    row, label = samples.rows[index], samples.labels[index]
    for position in samples.inputs:
        text = row[position]
        if text is None:
            continue
        text = text[:MAX_CELL_CHARACTERS]
        if normalise(text).strip(_PUNCTUATION) == label:
            yield Rule(position, "whole")
        elif label in normalise(text):
            yield from _suggest_words(position, text, label)
            yield from _suggest_parts(position, text, label)
        if samples.target.rules.data_type in {DataType.INTEGER, DataType.NUMBER}:
            yield from _suggest_numbers(position, text, label, samples)


def _suggest_words(position: int, text: str, label: str) -> Iterable[Rule]:
    words = [normalise(word).strip(_PUNCTUATION) for word in _TOKENS.findall(text)]
    size = label.count(" ") + 1
    for start in range(len(words) - size + 1):
        if " ".join(words[start : start + size]).strip(_PUNCTUATION) == label:
            if start < 4:
                yield Rule(position, "words", start, size)
            if start + size > len(words) - 3:
                yield Rule(position, "words", start - len(words), size)


def _suggest_parts(position: int, text: str, label: str) -> Iterable[Rule]:
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            continue
        parts = [normalise(part).strip(_PUNCTUATION) for part in text.split(delimiter)]
        for start in dict.fromkeys((0, 1, len(parts) - 1)):
            if parts[start] == label:
                yield Rule(position, "part", start, delimiter=delimiter)
                if start == len(parts) - 1:
                    yield Rule(position, "part", -1, delimiter=delimiter)


def _suggest_numbers(position: int, text: str, label: str, samples: Samples) -> Iterable[Rule]:
    for start, number in enumerate(_NUMBERS.findall(text)[:4]):
        value = accept(number, samples.target.rules)
        if value is not None and normalise(value) == label:
            yield Rule(position, "number", start)
