"""The learner for values that repeat, or that stand in the row: experts, blend, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gridmill.operations.enrichment.learners import stack
from gridmill.operations.enrichment.learners.classifiers import (
    Classifier,
    ColumnClassifier,
    TextClassifier,
)
from gridmill.operations.enrichment.learners.exchange import Prediction, Row
from gridmill.operations.enrichment.learners.extracts import ExtractExpert
from gridmill.operations.enrichment.learners.keys import KeyExpert
from gridmill.operations.enrichment.learners.meaning import (
    FIT_TEXTS,
    TRIAL_TEXTS,
    MeaningExpert,
    choose_text_columns,
)
from gridmill.operations.enrichment.learners.neighbours import NeighbourExpert, Ranked, TextFeatures
from gridmill.operations.enrichment.learners.opinions import (
    Candidates,
    Opinions,
    build_candidates,
)
from gridmill.operations.enrichment.learners.samples import Samples, normalise
from gridmill.operations.enrichment.learners.stack import (
    FEW_VALUES,
    MIN_CALIBRATION,
    Blend,
    Calibration,
    Matrix,
)

_JUDGED_ROWS = 3_000
_GOOD_ENOUGH = 0.95
_WORTH_READING = 0.9
_MIN_READ_GAIN = 0.01
_UNSURE = 0.8
_MAX_SOURCES = 5
_KEY_SLACK = 0.1
_SURE_ENOUGH = 0.6
"""Where the rows are few or tell nothing, values are given from this confidence on, others not."""


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted blend with its calibration and the left-out answers that it was judged on."""

    blend: Blend
    calibration: Calibration
    answers: dict[int, tuple[str, float]]


class CategoryLearner:
    """Learns one column and predicts it, with the confidence of left-out rows."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples = samples
        self._seed = seed
        self._by_label: dict[str, list[int]] = {}
        for index, label in enumerate(samples.labels):
            rows = self._by_label.setdefault(label, [])
            if len(rows) <= _MAX_SOURCES:
                rows.append(index)
        self._keys = KeyExpert(samples)
        self._extracts = ExtractExpert(samples)
        features = TextFeatures(samples)
        has_text = features.matrix is not None
        self._neighbours = NeighbourExpert(samples, features, seed) if has_text else None
        self._text: Classifier | None = None
        self._trees: Classifier | None = None
        self._meaning: MeaningExpert | None = None
        order = np.random.default_rng(seed).permutation(len(samples))
        self._judged = sorted(order[:_JUDGED_ROWS].tolist())
        self._ranked = dict(zip(self._judged, self._rank_samples(self._judged), strict=True))
        self.surfaces = {normalise(o): o for o in samples.target.rules.options} | samples.surfaces
        self.head = self._fit_head(self._judged)
        if self.head.calibration.accuracy < _GOOD_ENOUGH and len(samples.counts) > 1:
            self._add_classifiers(features)
        self._rich = self._add_meaning()
        heads = [self.head] if self._rich is None else [self.head, self._rich]
        self._tells_something = any(self._beats_the_most_frequent(head) for head in heads)

    @property
    def accuracy(self) -> float:
        """The share of left-out rows whose best candidate was right."""
        return self.head.calibration.accuracy

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """Answers for rows; one that was learnt from gets the answer given without it."""
        known = [self.samples.index_of.get(row_id) for row_id in row_ids]
        new = [place for place, index in enumerate(known) if index is None]
        answers = dict(zip(new, self._answer([rows[place] for place in new]), strict=True))
        answers |= {
            place: self._answer_left_out(index)
            for place, index in enumerate(known)
            if index is not None
        }
        near = self._neighbours.rank(rows) if self._neighbours else [[]] * len(rows)
        predictions: list[Prediction] = []
        for place, (index, row) in enumerate(zip(known, rows, strict=True)):
            predictions.append(self._explain(row, answers[place], index, near[place]))
        return predictions

    def share_of_answers(self, floor: float) -> float:
        """The share of left-out rows whose best candidate reaches a confidence of `floor`."""
        reached = sum(confidence >= floor for _, confidence in self.head.answers.values())
        return reached / max(self.head.calibration.rows, 1)

    # --- fitting

    def _fit_head(self, indexes: Sequence[int], *, with_meaning: bool = False) -> Head:
        found = [self._gather_sample(index, with_meaning=with_meaning) for index in indexes]
        vectors = [candidates.vectors for candidates in found]
        right = [
            np.array([float(label == self.samples.labels[index]) for label in candidates.labels])
            for index, candidates in zip(indexes, found, strict=True)
        ]
        scores = stack.score_left_out(vectors, right, self._seed)
        best = [int(np.argmax(score)) if len(score) else -1 for score in scores]
        top = np.array([s[b] if b >= 0 else 0.0 for s, b in zip(scores, best, strict=True)])
        hits = np.array([r[b] if b >= 0 else 0.0 for r, b in zip(right, best, strict=True)])
        calibration = Calibration(top, hits, FEW_VALUES)
        confidences = calibration.apply(top).tolist()
        answers = {
            index: (candidates.labels[b], confidence)
            for index, candidates, b, confidence in zip(
                indexes, found, best, confidences, strict=True
            )
            if b >= 0
        }
        return Head(Blend.fit(*stack.gather(vectors, right)), calibration, answers)

    def _gather_sample(self, index: int, *, with_meaning: bool) -> Candidates:
        row, fold = self.samples.rows[index], self.samples.folds[index]
        meaning = self._meaning if with_meaning else None
        opinions = Opinions(
            keys=self._keys.propose(row, fold),
            extracts=self._extracts.propose(row, fold),
            neighbours=self._vote(self._ranked[index]),
            nearest=self._find_nearest(self._ranked[index]),
            text=self._text.get_left_out(index) if self._text else None,
            trees=self._trees.get_left_out(index) if self._trees else None,
            meaning=meaning.get_left_out(index) if meaning else None,
        )
        return build_candidates(opinions, self.samples, fold)

    def _add_classifiers(self, features: TextFeatures) -> None:
        if TextClassifier.suits(self.samples) and features.matrix is not None:
            self._text = TextClassifier(self.samples, features, self._seed)
        if ColumnClassifier.suits(self.samples):
            self._trees = ColumnClassifier(self.samples, self._seed)
        if self._text is not None or self._trees is not None:
            self.head = self._fit_head(self._judged)

    def _add_meaning(self) -> Head | None:
        """Read the texts where the rest is not sure enough; keep it only where that helps."""
        options = self.samples.target.rules.options
        enough = _GOOD_ENOUGH if len(self.samples) <= FIT_TEXTS else _WORTH_READING
        if self.accuracy >= enough or max(len(self.samples.counts), len(options)) < 2:
            return None
        columns = choose_text_columns(self.samples.rows, self.samples.inputs)
        if not columns or len(self.samples.counts) > 0.3 * len(self.samples) + 5:
            return None
        trial = MeaningExpert(self.samples, columns, options, self._seed, TRIAL_TEXTS)
        if not trial.tells_something():
            return None
        self._meaning = MeaningExpert(self.samples, columns, options, self._seed)
        shared = [index for index in self._meaning.taken if index in self.head.answers]
        plain = sum(self._is_right(self.head, index) for index in shared)
        rich = self._fit_head(shared, with_meaning=True)
        read = sum(self._is_right(rich, index) for index in shared)
        if read - plain < _MIN_READ_GAIN * len(shared):
            self._meaning = None
            return None
        return rich

    def _beats_the_most_frequent(self, head: Head) -> bool:
        """Whether the left-out rows show more than that some values are frequent."""
        count = head.calibration.rows
        if not count or len(self.samples.counts) < 2:
            return True
        most = self.samples.counts.most_common(1)[0][1] / len(self.samples)
        return head.calibration.accuracy > most + float(np.sqrt(most * (1 - most) / count))

    def _is_right(self, head: Head, index: int) -> bool:
        return index in head.answers and head.answers[index][0] == self.samples.labels[index]

    # --- predicting

    def _answer(self, rows: Sequence[Row]) -> list[tuple[str, float] | None]:
        if not rows:
            return []
        opinions = self._ask(rows)
        found = [self._choose(self.head, said) for said in opinions]
        if self._rich is not None and self._meaning is not None:
            unsure = [i for i, said in enumerate(found) if said is None or said[1] < _UNSURE]
            read = self._meaning.classify([rows[i] for i in unsure])
            for i, shares in zip(unsure, read, strict=True):
                if shares is None:
                    continue
                said = opinions[i]
                richer = replace(said, meaning=shares)
                found[i] = self._choose(self._rich, richer)
        return found

    def _answer_left_out(self, index: int) -> tuple[str, float] | None:
        """The answer for a sample that its own label, and those of its fold, took no part in."""
        if index in self._ranked:
            return self.head.answers.get(index)
        self._ranked |= dict(zip([index], self._rank_samples([index]), strict=True))
        candidates = self._gather_sample(index, with_meaning=False)
        del self._ranked[index]
        return _pick_best(self.head, candidates)

    def _ask(self, rows: Sequence[Row]) -> list[Opinions]:
        ranked = self._neighbours.rank(rows) if self._neighbours else [[]] * len(rows)
        text = self._text.classify(rows) if self._text else [None] * len(rows)
        trees = self._trees.classify(rows) if self._trees else [None] * len(rows)
        return [
            Opinions(
                keys=self._keys.propose(row, None),
                extracts=self._extracts.propose(row, None),
                neighbours=self._vote(near),
                nearest=self._find_nearest(near),
                text=by_text,
                trees=by_trees,
            )
            for row, near, by_text, by_trees in zip(rows, ranked, text, trees, strict=True)
        ]

    def _choose(self, head: Head, opinions: Opinions) -> tuple[str, float] | None:
        best = _pick_best(head, build_candidates(opinions, self.samples, None))
        return None if best is None else (self._spell(best[0], opinions), best[1])

    def _spell(self, label: str, opinions: Opinions) -> str:
        """A known label's usual spelling, else as it stands in the row."""
        if label in self.surfaces or label not in opinions.extracts:
            return self.surfaces.get(label, label)
        return opinions.extracts[label].text

    def _vote(self, ranked: Ranked) -> dict[str, float]:
        return self._neighbours.vote(ranked) if self._neighbours else {}

    def _find_nearest(self, ranked: Ranked) -> dict[str, float]:
        return self._neighbours.find_nearest(ranked) if self._neighbours else {}

    def _rank_samples(self, indexes: Sequence[int]) -> list[Ranked]:
        return self._neighbours.rank_samples(indexes) if self._neighbours else [[]] * len(indexes)

    # --- explaining

    def _explain(
        self, row: Row, found: tuple[str, float] | None, index: int | None, near: Ranked
    ) -> Prediction:
        factors: dict[str, object] = {
            "method": "learned",
            "learnedRows": len(self.samples),
            "heldOutAccuracy": round(self.accuracy, 3),
            "heldOutRows": self.head.calibration.rows,
            "calibrated": self.head.calibration.rows >= MIN_CALIBRATION,
        }
        doubtful = self.head.calibration.rows < MIN_CALIBRATION or not self._tells_something
        if found is None or (found[1] < _SURE_ENOUGH and doubtful):
            return Prediction(None, 0.0, factors)
        label = normalise(found[0])
        extract = self._extracts.propose(row, None).get(label)
        value = self.surfaces.get(label, found[0] if extract is None else extract.text)
        described = self._keys.describe(row, label)
        if described is not None:
            factors["determinedBy"] = described
        if extract is not None:
            factors["foundInRow"] = True
        sources = self._list_sources(row, label, index, near)
        return Prediction(value, found[1], factors, sources)

    def _list_sources(
        self, row: Row, label: str, index: int | None, near: Ranked
    ) -> tuple[str, ...]:
        """Up to five rows with this value: of the same telling key, the most alike, any."""
        labels = self.samples.labels
        rows = dict.fromkeys(self._keys.list_rows(row, label, self.accuracy - _KEY_SLACK))
        if not rows:
            rows.update((i, None) for i, _ in near if labels[i] == label)
            rows.update(dict.fromkeys(self._by_label.get(label, [])))
        chosen = [i for i in rows if i != index][:_MAX_SOURCES]
        return tuple(self.samples.row_ids[i] for i in chosen)


def _pick_best(head: Head, candidates: Candidates) -> tuple[str, float] | None:
    if not candidates.labels:
        return None
    scores: Matrix = head.blend.score(candidates.vectors)
    best = int(np.argmax(scores))
    return candidates.labels[best], float(head.calibration.apply(scores[best : best + 1])[0])
