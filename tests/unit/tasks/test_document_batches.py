"""How the records of documents are shared out, and what of a document is left."""

from itertools import chain
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gridmill.datasets.documents import LinkedDocuments
from gridmill.datasources.passages import PASSAGE_CHARACTERS, cut_page
from gridmill.operations.model import RecordRef
from gridmill.tasks.documents import BATCH_DOCUMENTS, BATCH_ROWS, cut_batches
from gridmill.tasks.making import dump_items, load_items

DOCUMENT = UUID(int=7)
RANGES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), min_size=1, max_size=4)


@given(st.lists(st.integers(1, 60), max_size=30))
def test_batches_hold_all_records_in_order_within_both_limits(sizes: list[int]) -> None:
    records = [
        RecordRef(UUID(int=document), record)
        for document, size in enumerate(sizes)
        for record in range(1, size + 1)
    ]
    batches = list(cut_batches(records))
    assert list(chain.from_iterable(batches)) == records
    for batch in batches:
        assert 1 <= len(batch) <= BATCH_ROWS
        assert len({one.datasource_id for one in batch}) <= BATCH_DOCUMENTS
    assert [load_items(dump_items(batch)) for batch in batches] == [list(b) for b in batches]


@given(RANGES, st.lists(st.integers(1, 40), unique=True))
def test_what_is_left_of_a_document_is_what_no_row_was_made_of(
    ranges: list[tuple[int, int]], records: list[int]
) -> None:
    taken = [range(first, first + more + 1) for first, more in ranges]
    found = LinkedDocuments([DOCUMENT], 0, 0, 0, {DOCUMENT: taken})
    gone = set(chain.from_iterable(taken))
    assert found.list_left(DOCUMENT, records) == [one for one in records if one not in gone]
    assert found.list_left(DOCUMENT, [0]) == []
    whole = LinkedDocuments([DOCUMENT], 0, 0, 0, {DOCUMENT: [range(1)]})
    assert whole.is_finished(DOCUMENT)
    assert whole.list_left(DOCUMENT, [0, *records]) == []
    fresh = LinkedDocuments([DOCUMENT], 0, 0, 0, {})
    assert fresh.list_left(DOCUMENT, [0, *records]) == [0, *records]


@given(st.text(st.sampled_from("ab \n."), max_size=4_000))
def test_passages_stand_where_they_say_and_hold_all_of_a_page_but_its_blanks(text: str) -> None:
    end = 0
    for start, passage in cut_page(text):
        assert 0 < len(passage) <= PASSAGE_CHARACTERS
        assert text[start : start + len(passage)] == passage
        assert not text[end:start].strip()
        end = start + len(passage)
    assert not text[end:].strip()
