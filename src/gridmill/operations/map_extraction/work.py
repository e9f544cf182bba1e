"""What is computed in a child process: places chosen for new rows, and matched to rows.

Pure functions of what they are given and of the data that comes with Gridmill.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridmill.operations.map_extraction.columns import match_columns
from gridmill.operations.map_extraction.matching import RowMatcher
from gridmill.operations.map_extraction.outcomes import answer_cell, leave_empty, to_outcomes
from gridmill.operations.map_extraction.sources import TableSource
from gridmill.operations.model import (
    CellOutcome,
    ColumnSpec,
    MadeRows,
    NewRow,
    RowInput,
    SourceRecords,
)
from gridmill.providers.places.boundaries import Box
from gridmill.providers.places.conflation import PlaceIndex, merge_places
from gridmill.providers.places.embedded import EmbeddedSource
from gridmill.providers.places.model import Found, Place
from gridmill.providers.places.query import PlaceQuery, read_query, read_source

_MOST_BOXES = 50


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is given: the dataset's columns and config, and what was loaded for it."""

    columns: Sequence[ColumnSpec]
    config: Mapping[str, Any]
    rows: Sequence[RowInput] = field(default_factory=list[RowInput])
    records: SourceRecords | None = None
    wanted: Sequence[int] = ()
    count: int = 0


def find_boxes(config: Mapping[str, Any]) -> list[Box]:
    """Where a query's places may lie; few boxes, which may be larger than the boundary."""
    query = read_query(config)
    if query is None:
        return []
    boxes = query.boundary.boxes
    if len(boxes) <= _MOST_BOXES:
        return boxes
    return [(min(b[0] for b in boxes), min(b[1] for b in boxes),
             max(b[2] for b in boxes), max(b[3] for b in boxes))]  # fmt: skip


def make_rows(job: Job) -> MadeRows:
    """Up to `count` places of the query that are not among the dataset's rows yet."""
    query = read_query(job.config)
    if query is None:
        return MadeRows((), message="The dataset's config names no boundary.")
    found = _open_source(job, query).search(query.boundary, query.categories)
    places = merge_places(place for place in found.places if query.admits(place))
    if query.max_results is not None:
        places = places[: query.max_results]
    fresh = list(_leave_known(places, job))
    made = [_make_row(job, place) for place in fresh[: job.count]]
    held = len(places) - len(fresh) + len(made)
    return MadeRows(
        made,
        message=_tell(found, len(places), len(made), job.count),
        measured=_measure(found, held, len(places)),
    )


def _tell(found: Found, places: int, made: int, count: int) -> str | None:
    if made >= count:
        return found.message
    rest = None
    if found.coverage != "none":
        rest = (
            f"All {places:,} places that the source knows inside the boundary are in the dataset."
        )
    return " ".join(filter(None, (found.message, rest))) or None


def _measure(found: Found, held: int, places: int) -> dict[str, Any]:
    """The contract's coverage, and its completeness.

    Completeness is the share of the area that the source knows, times the share of its places there
    that the dataset holds now.
    """
    share = held / places if places else 1.0
    completeness = None if found.coverage == "none" else round(found.covered * share, 4)
    return {"coverage": found.coverage, "completeness": completeness}


def _leave_known(places: Iterable[Place], job: Job) -> Iterable[Place]:
    """The places that no row is: by feature id, else (rows without one) by name and position."""
    ids = {one for row in job.rows for one in row.feature_ids}
    matcher = RowMatcher(job.columns)
    index = PlaceIndex()
    for row in job.rows:
        stated = matcher.read_feature_id(row)
        if stated is not None:
            ids.add(stated)
        elif not row.feature_ids and (place := matcher.to_place(row)) is not None:
            index.add(row.row_no, place)
    for place in places:
        if ids.isdisjoint(source.feature_id for source in place.sources) and (
            index.find_same(place) is None
        ):
            yield place


def _make_row(job: Job, place: Place) -> NewRow:
    attributes = match_columns(job.columns)
    return NewRow(
        [
            answer_cell(0, column, attributes.get(column.number), place)
            for column in job.columns
            if column.number in job.wanted
        ]
    )


def _open_source(job: Job, query: PlaceQuery | None) -> EmbeddedSource | TableSource:
    datasource_id = query.datasource_id if query else read_source(job.config.get("source"))
    if datasource_id is None or job.records is None:
        return EmbeddedSource()
    return TableSource(datasource_id, job.records)


def refresh_rows(job: Job) -> list[CellOutcome]:
    """An outcome for every wanted cell of the rows."""
    source = _open_source(job, None)
    matcher = RowMatcher(job.columns)
    attributes = match_columns(job.columns)
    by_number = {column.number: column for column in job.columns}
    matches = matcher.match(job.rows, source)
    cells: list[CellOutcome] = []
    for row in job.rows:
        columns = [by_number[number] for number in row.wanted]
        match = matches.get(row.row_no)
        if match is None:
            cells += [
                leave_empty(row.row_no, column, matcher.explain(row, source)) for column in columns
            ]
        else:
            cells += to_outcomes(row, columns, attributes, match)
    return cells
