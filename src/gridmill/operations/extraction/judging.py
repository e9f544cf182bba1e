"""Making a cell of what heuristics and a model found: which value, how sure, with which sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from gridmill.kit.values import DataType
from gridmill.operations.extraction import confidence
from gridmill.operations.extraction.confidence import Evidence
from gridmill.operations.extraction.grounding import cite
from gridmill.operations.extraction.model import Found, Method, Place, Scope
from gridmill.operations.extraction.replies import Said
from gridmill.operations.model import CellError, CellOutcome, CellStatus, ColumnSpec, RowInput
from gridmill.operations.outcomes import FLOOR, fail_cell, grade_cell

_ONLY_A_MODEL = frozenset([DataType.TEXT, DataType.ENUM, DataType.BOOLEAN, DataType.JSON])
MOST_HIDDEN = 2_000
"""Characters of hidden text that a cell's metadata shows."""


@dataclass(frozen=True, slots=True)
class ModelWord:
    """What a model said of a cell, and where it stands (`None`: nowhere)."""

    said: Said
    place: Place | None
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class _Opinion:
    """A value, how sure it is, and its place."""

    value: str
    confidence: float
    place: Place | None
    evidence: Evidence
    doubtful: bool = False


def judge_cell(
    row: RowInput,
    column: ColumnSpec,
    scope: Scope,
    found: Found | None,
    word: ModelWord | None,
    *,
    model_there: bool,
) -> CellOutcome:
    """The outcome of one cell; `model_there` says that a model could be asked for it."""
    own = None if found is None else _hold(found)
    told = None if word is None else _hear(word, own)
    opinions = [opinion for opinion in (told, own) if opinion is not None]
    if not opinions:
        return _leave_empty(row, column, model_there=model_there)
    best = max(opinions, key=lambda opinion: opinion.confidence)
    agreed = told is not None and told.evidence.agreement == "agrees"
    if agreed and own is not None:
        best = replace(best, place=own.place, doubtful=False)
    conflict = _list_conflict(best, opinions, found, agreed=agreed)
    factors = _list_factors(best, own, told, conflict)
    sources = _list_sources(row, scope, best, conflict)
    cell = grade_cell(row, column, best.value, best.confidence, factors=factors, sources=sources)
    if cell.status is CellStatus.OK and (conflict or best.doubtful or best.place is None):
        cell = replace(cell, status=CellStatus.NEEDS_REVIEW)
    if word is not None and told is not None and (best is told or agreed):
        cell = replace(cell, provider=word.provider, model=word.model)
    return cell


def _hold(found: Found) -> _Opinion:
    evidence = confidence.weigh(found)
    best = found.best
    return _Opinion(best.value, confidence.judge(evidence), best.place, evidence, best.doubtful)


def _hear(word: ModelWord, own: _Opinion | None) -> _Opinion | None:
    """The model's opinion; `None` when it found no value."""
    value = word.said.value
    if value is None:
        return None
    agreement = "alone" if own is None else "agrees" if same(value, own.value) else "differs"
    evidence = confidence.weigh_model(
        word.provider, word.model, agreement, grounded=word.place is not None
    )
    sure = confidence.judge(evidence)
    if agreement == "agrees" and own is not None:
        sure = max(sure, own.confidence)
    return _Opinion(value, sure, word.place, evidence)


def same(one: str, other: str) -> bool:
    """Whether two values are the same but for letter case, space and marks at the end."""
    return _fold(one) == _fold(other)


def _fold(value: str) -> str:
    return " ".join(value.casefold().replace(",", " ").split()).strip(" .;:")


def _list_conflict(
    best: _Opinion, opinions: Sequence[_Opinion], found: Found | None, *, agreed: bool
) -> list[Place]:
    """Places of another value that is about as likely: the model's or the heuristics', or a rival.

    Two labels alike with different values behind them are a conflict, two dates somewhere are not.
    """
    places = [
        other.place
        for other in opinions
        if other.place is not None
        and other.confidence >= FLOOR
        and not same(other.value, best.value)
    ]
    if found is not None and found.rival is not None and not agreed and not places:
        rival = found.rival
        named = {Method.FIELD, Method.LABEL, Method.SECTION}
        near = found.margin < confidence.CONTESTED_MARGIN
        if near and found.best.method in named and rival.method in named:
            places.append(rival.place)
    return places


def _list_factors(
    best: _Opinion, own: _Opinion | None, told: _Opinion | None, conflict: Sequence[Place]
) -> dict[str, object]:
    """The `confidenceFactors` of the cell's metadata."""
    evidence = best.evidence
    agreed = told is not None and told.evidence.agreement == "agrees"
    by_model = evidence.method is Method.MODEL
    factors: dict[str, object] = {
        "method": "heuristics and model" if agreed else "model" if by_model else "heuristics",
        "grounded": best.place is not None,
        "agreement": "alone" if told is None or own is None else told.evidence.agreement,
        "conflict": bool(conflict),
        "doubtful": best.doubtful,
        "calibrated": confidence.is_calibrated(evidence),
    }
    if own is not None and (agreed or not by_model):
        held = own.evidence
        factors |= {"finder": held.method.value, "fit": held.level, "contested": held.contested}
    return factors


def _list_sources(
    row: RowInput, scope: Scope, best: _Opinion, conflict: Sequence[Place]
) -> list[Mapping[str, Any]]:
    places = ([] if best.place is None else [best.place]) + list(conflict)
    datasource = row.origin.datasource_id if row.origin is not None else UUID(int=0)
    sources = cite(scope, datasource, places)
    return sources if best.place is not None else [{"kind": "model"}, *sources]


def _leave_empty(row: RowInput, column: ColumnSpec, *, model_there: bool) -> CellOutcome:
    if not model_there and column.rules.data_type in _ONLY_A_MODEL:
        message = (
            "The document does not name this value in a way that can be found without a model, and "
            "the smallest local one was measured to be wrong too often. Configure one "
            "(GRIDMILL_LLM_MODEL)."
        )
        return fail_cell(row, column, CellError("MODEL_REQUIRED", message))
    return fail_cell(row, column, CellError("NOT_CONFIDENT", "The document does not say it."))


def show_hidden(scope: Scope) -> str | None:
    """The document's text that no reader would see, cut; `None` when it has none."""
    hidden = "\n".join(page.hidden for page in scope.document.pages if page.hidden)
    return hidden[:MOST_HIDDEN] or None
