"""The documents that a dataset is linked to, and which records of them are rows already."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.datasets.linking import load_links
from gridmill.datasets.model import Dataset
from gridmill.datasets.repository import sources
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class LinkedDocuments:
    """Documents in the order of their links: those that were read, and how many were not.

    `taken` says for a document which of its records rows were made of; 0 is all of it. A document
    of which none was made has no entry. `tables` is how many linked sources are no documents.
    """

    ready: Sequence[UUID]
    pending: int
    failed: int
    tables: int
    taken: Mapping[UUID, Sequence[range]]

    def list_left(self, datasource_id: UUID, records: Sequence[int]) -> list[int]:
        """Those of a document's records that can still be taken.

        A document that was taken as a whole has none left, and one that was taken by records is
        not taken as a whole as well.
        """
        taken = self.taken.get(datasource_id)
        if taken is None:
            return list(records)
        if _holds(taken, 0):
            return []
        return [record for record in records if record and not _holds(taken, record)]

    def is_finished(self, datasource_id: UUID) -> bool:
        """Whether the document was taken as a whole: nothing of it is left, whatever it lists."""
        return _holds(self.taken.get(datasource_id, ()), 0)


async def list_documents(tx: Tx, dataset: Dataset) -> LinkedDocuments:
    """The dataset's documents and what was taken of them."""
    linked = await load_links(tx, dataset)
    taken: dict[UUID, list[range]] = {}
    for datasource_id, first, last in await sources.list_taken(tx, dataset.dataset_id):
        taken.setdefault(datasource_id, []).append(range(first, last + 1))
    return LinkedDocuments(
        ready=[one.datasource_id for one in linked if one.is_document],
        pending=sum(one.is_pending and not one.may_be_table for one in linked),
        failed=sum(one.failure is not None and not one.may_be_table for one in linked),
        tables=sum(one.is_table for one in linked),
        taken=taken,
    )


def _holds(ranges: Sequence[Container[int]], record: int) -> bool:
    return any(record in one for one in ranges)
