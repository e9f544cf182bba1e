"""Choosing how a column is learnt, and saying why it cannot be."""

from collections.abc import Sequence

from gridmill.kit.values import DataType
from gridmill.operations.enrichment.learners.categories import CategoryLearner
from gridmill.operations.enrichment.learners.exchange import Learner, Prediction, Row, Table, Target
from gridmill.operations.enrichment.learners.lookups import LookupLearner, ReferredLearner
from gridmill.operations.enrichment.learners.meaning import OptionMatcher, choose_text_columns
from gridmill.operations.enrichment.learners.numbers import NumberLearner
from gridmill.operations.enrichment.learners.samples import Samples
from gridmill.operations.enrichment.learners.verdicts import JudgedLearner
from gridmill.operations.outcomes import FLOOR

MAX_SAMPLES = 20_000
_MIN_USEFUL = 0.02
_MANY = 30
_CLOSE_BONUS = 0.2
"""By how much a close number has to be surer than an exact one to be preferred."""

_ADVICE = "Configure a model, or fill in some rows to learn from."


def fit(table: Table, target: Target, seed: int) -> Learner | str:
    """A learner for the target column, or a sentence for people: why there is none."""
    learner = _fit(table, target, seed)
    verdicts = [said for said in table.verdicts if said.column == target.name]
    if isinstance(learner, str) or not verdicts:
        return learner
    return JudgedLearner(learner, verdicts)


def _fit(table: Table, target: Target, seed: int) -> Learner | str:
    lookup = LookupLearner.make(table, target)
    learnt = _fit_rows(table, target, seed)
    if lookup is None or lookup.is_refuted():
        return learnt
    return lookup if isinstance(learnt, str) else ReferredLearner(lookup, learnt)


def _fit_rows(table: Table, target: Target, seed: int) -> Learner | str:
    """What the filled rows alone teach."""
    samples = Samples(table, target, MAX_SAMPLES, seed)
    if not len(samples):
        return _fit_options(table, target)
    categories = CategoryLearner(samples, seed)
    if NumberLearner.suits(samples):
        return AmountLearner(categories, NumberLearner(samples, seed))
    if len(samples) >= _MANY and categories.share_of_answers(FLOOR) < _MIN_USEFUL:
        return (
            f"The {len(samples)} filled values hardly repeat and do not follow from the other "
            "columns, so there is nothing to learn from them. Configure a model for this column."
        )
    return categories


def _fit_options(table: Table, target: Target) -> Learner | str:
    options = target.rules.options
    if target.rules.data_type is not DataType.ENUM or len(options) < 2:
        return f"This column has no filled rows and no options to choose from. {_ADVICE}"
    inputs = [i for i, name in enumerate(table.columns) if name != target.name]
    return ZeroLearner(options, target, inputs)


class ZeroLearner:
    """Proposes options by their names alone, while no row is filled."""

    def __init__(self, options: Sequence[str], target: Target, inputs: Sequence[int]) -> None:
        self._options = options
        self._target = target
        self._inputs = list(inputs)
        self._matcher: OptionMatcher | None = None

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:  # noqa: ARG002 (the protocol's)
        """See `Learner`."""
        if self._matcher is None:
            columns = choose_text_columns(rows, self._inputs) or self._inputs
            self._matcher = OptionMatcher(self._options, self._target.name, columns)
        factors: dict[str, object] = {"method": "options", "learnedRows": 0, "calibrated": False}
        return [
            Prediction(None, 0.0, factors)
            if found is None
            else Prediction(found[0], found[1], factors)
            for found in self._matcher.match(rows)
        ]


class AmountLearner:
    """Numbers: a value that repeats or stands in the row where that is surer, else a regression."""

    def __init__(self, categories: CategoryLearner, numbers: NumberLearner) -> None:
        self._categories = categories
        self._numbers = numbers

    def predict(self, row_ids: Sequence[str], rows: Sequence[Row]) -> list[Prediction]:
        """See `Learner`."""
        exact = self._categories.predict(row_ids, rows)
        close = self._numbers.predict(row_ids, rows)
        return [
            first
            if first.value is not None and first.confidence + _CLOSE_BONUS >= second.confidence
            else second
            for first, second in zip(exact, close, strict=True)
        ]
