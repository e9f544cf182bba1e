"""One row's opinions of all experts, turned into candidate vectors for the blend."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gridmill.operations.enrichment.learners.extracts import Extract
from gridmill.operations.enrichment.learners.keys import KeyOpinion
from gridmill.operations.enrichment.learners.samples import Samples
from gridmill.operations.enrichment.learners.stack import FEATURES, Matrix, log_odds

_EACH = 6
_PLACE = {name: place for place, name in enumerate(FEATURES)}
_LEADS = (
    ("key_best", "key_lead"),
    ("text", "text_lead"),
    ("trees", "trees_lead"),
    ("extract", "extract_lead"),
    ("meaning", "meaning_lead"),
)


@dataclass(frozen=True, slots=True)
class Opinions:
    """What each expert says of a row, by label; `None`: it was not asked.

    `nearest` is the similarity (0-1) of the most similar row with the label.
    """

    keys: Mapping[str, KeyOpinion]
    extracts: Mapping[str, Extract]
    neighbours: Mapping[str, float]
    nearest: Mapping[str, float]
    text: Mapping[str, float] | None = None
    trees: Mapping[str, float] | None = None
    meaning: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The labels that come into question, and a vector (`stack.FEATURES`) for each."""

    labels: tuple[str, ...]
    vectors: Matrix


def build_candidates(opinions: Opinions, samples: Samples, fold: int | None) -> Candidates:
    """Gather the likely labels; `fold`: rows left out."""
    labels = _list_labels(opinions, samples, fold)
    vectors = np.zeros((len(labels), len(FEATURES)))
    for place, label in enumerate(labels):
        vectors[place] = _describe(label, opinions, samples, fold)
    for feature, lead in _LEADS:
        column = vectors[:, _PLACE[feature]]
        vectors[:, _PLACE[lead]] = _measure_leads(column)
    return Candidates(tuple(labels), vectors)


def _list_labels(opinions: Opinions, samples: Samples, fold: int | None) -> list[str]:
    keys = sorted(opinions.keys, key=lambda label: (-opinions.keys[label].best, label))
    extracts = sorted(
        opinions.extracts, key=lambda label: (-opinions.extracts[label].reliability, label)
    )
    labels = dict.fromkeys([*keys[:_EACH], *extracts[:_EACH]])
    for shares in (opinions.neighbours, opinions.text, opinions.trees, opinions.meaning):
        if shares:
            ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
            labels.update((label, None) for label, _ in ranked[:2])
    for label, _ in samples.counts.most_common(2):
        if samples.count(label, fold) > 0:
            labels[label] = None
            break
    return list(labels)


def _describe(label: str, opinions: Opinions, samples: Samples, fold: int | None) -> Matrix:
    prior = samples.prior(label, fold)
    base = log_odds(prior)
    key = opinions.keys.get(label)
    extract = opinions.extracts.get(label)
    values = {
        "bias": 1.0,
        "key_best": log_odds(key.best) if key else base,
        "key_mean": log_odds(key.mean) if key else base,
        "key_support": key.support if key else 0.0,
        "key_agreeing": key.agreeing if key else 0.0,
        "neighbours": log_odds(opinions.neighbours.get(label, 0.0)) / 2,
        "nearest": log_odds(opinions.nearest.get(label, 0.0)) / 2,
        "text": _read(opinions.text, label, base),
        "trees": _read(opinions.trees, label, base),
        "extract": log_odds(extract.reliability) if extract else -4.0,
        "extract_agreeing": float(min(extract.agreeing, 6)) if extract else 0.0,
        "mentioned": extract.mentioned if extract else 0.0,
        "meaning": _read(opinions.meaning, label, base),
        "prior": base,
        "known": 1.0 if samples.count(label, fold) > 0 else 0.0,
    }
    line = np.zeros(len(FEATURES))
    for name, value in values.items():
        line[_PLACE[name]] = value
    return line


def _read(shares: Mapping[str, float] | None, label: str, base: float) -> float:
    """A share as log-odds; the prior's when the expert was not asked."""
    return base if shares is None else log_odds(shares.get(label, 0.0))


def _measure_leads(column: Matrix) -> Matrix:
    """How far each candidate is ahead of the best other one (negative: behind)."""
    if len(column) < 2:
        return np.full(len(column), 2.0)
    order = np.sort(column)
    best_other: Matrix = np.where(column == order[-1], order[-2], order[-1])
    return np.clip(column - best_other, -6.0, 6.0)
