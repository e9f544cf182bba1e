"""What operations may read of data sources: documents, and passages that answer a question."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from gridmill.datasources import service as datasources
from gridmill.kit.ids import parse_uuid
from gridmill.operations.model import Library, Passage
from gridmill.providers.documents.model import Document
from gridmill.storage.database import Database

_DOCUMENTS = 4
_QUESTION_CHARACTERS = 4_000
_KEPT_PAGES = 400
"""A page of a scan is about 400 words with their boxes: some 100 kB in memory."""


class Librarian:
    """Opens libraries for one worker. The last few documents are kept, of up to 400 pages together.

    What is asked for by many at once is read once; a document never changes after it was read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[UUID, UUID], Document] = OrderedDict()
        self._reading: dict[tuple[UUID, UUID], asyncio.Lock] = {}

    def open(self, workspace_id: UUID) -> Library:
        """What the workspace has."""

        async def load(datasource_id: UUID) -> Document | None:
            return await self._load(workspace_id, datasource_id)

        async def search(names: Sequence[str], question: str, limit: int) -> Sequence[Passage]:
            return await self._search(workspace_id, names, question, limit)

        return Library(load, search)

    async def _load(self, workspace_id: UUID, datasource_id: UUID) -> Document | None:
        key = (workspace_id, datasource_id)
        lock = self._reading.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._kept.move_to_end(key)
                    return kept
                async with self._database.transaction(
                    read_only=True, workspace_id=workspace_id
                ) as tx:
                    found = await datasources.load_document(tx, workspace_id, datasource_id)
                if found is not None:
                    self._keep(key, found)
                return found
        finally:
            if not lock.locked():
                self._reading.pop(key, None)

    def _keep(self, key: tuple[UUID, UUID], document: Document) -> None:
        self._kept[key] = document
        while len(self._kept) > 1 and (
            len(self._kept) > _DOCUMENTS
            or sum(len(one.pages) for one in self._kept.values()) > _KEPT_PAGES
        ):
            self._kept.popitem(last=False)

    async def _search(
        self, workspace_id: UUID, names: Sequence[str], question: str, limit: int
    ) -> Sequence[Passage]:
        ids = [one for one in map(parse_uuid, names) if one is not None]
        if not ids or not question.strip():
            return ()
        async with self._database.transaction(read_only=True, workspace_id=workspace_id) as tx:
            found = await datasources.search_passages(
                tx, workspace_id, ids, question[:_QUESTION_CHARACTERS], limit
            )
        return [
            Passage(one.datasource_id, one.file_name, one.page, one.start, one.text, one.score)
            for one in found
        ]
