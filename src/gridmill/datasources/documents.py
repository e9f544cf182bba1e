"""Documents as other rooms use them: the pages of a source with all that was found on them."""

from uuid import UUID

from gridmill.datasources import repository
from gridmill.providers.documents.layout import load_page
from gridmill.providers.documents.model import Document, Page, Record
from gridmill.storage import grids
from gridmill.storage.database import Tx

_PAGES_AT_ONCE = 200
_PAGE, _TEXT, _LAYOUT = 1, 2, 3
"""The physical columns of a document's grid; the third is not among the source's columns."""


async def load_document(tx: Tx, workspace_id: UUID, datasource_id: UUID) -> Document | None:
    """A document of the workspace as it was read; `None` for what is none, or is not read (yet).

    Of one that was uploaded before layouts were kept nothing is known but the text of its pages.
    """
    source = await repository.find_source(tx, workspace_id, datasource_id)
    if source is None or source.grid_no is None or not source.is_document:
        return None
    wanted = [_PAGE, _TEXT, _LAYOUT] if source.has_layout else [_PAGE, _TEXT]
    pages: list[Page] = []
    records: list[Record] = []
    first = 1
    while rows := await grids.read_rows(
        tx, source.grid_no, wanted, first=first, limit=_PAGES_AT_ONCE, with_metadata=False
    ):
        for row in rows:
            number, text, layout = (*row.values, None)[:3]
            page, listed = load_page(int(number or row.row_no), text or "", layout)
            pages.append(page)
            records += listed
        first = rows[-1].row_no + 1
    return Document(source.file_name, tuple(pages), tuple(records))
