"""Documents that were read, as operations see them."""

from uuid import UUID

from gridmill.datasources import repository
from gridmill.datasources.model import SourceStatus
from gridmill.providers.documents.layout import load_page
from gridmill.providers.documents.model import Document, Page, Record
from gridmill.storage import grids
from gridmill.storage.database import Tx

_PAGE, _TEXT, _LAYOUT = 1, 2, 3


async def load_document(tx: Tx, workspace_id: UUID, datasource_id: UUID) -> Document | None:
    """A document of the workspace with all its pages.

    `None` when there is no such source, when it is a table, and when it was not read.
    """
    source = await repository.find_source(tx, workspace_id, datasource_id)
    if source is None or not source.is_document or source.status is not SourceStatus.COMPLETED:
        return None
    if source.grid_no is None:
        return None
    # Documents that were read before layouts were kept have no third column.
    has_layout = await grids.has_column(tx, source.grid_no, _LAYOUT)
    physicals = (_PAGE, _TEXT, _LAYOUT) if has_layout else (_PAGE, _TEXT)
    pages: list[Page] = []
    records: list[Record] = []
    for row in await grids.read_rows(tx, source.grid_no, physicals, with_metadata=False):
        layout = row.values[2] if has_layout else None
        page, found = load_page(row.row_no, row.values[1] or "", layout)
        pages.append(page)
        records += found
    return Document(source.file_name, pages, records)
