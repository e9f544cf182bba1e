"""Documents that were read, put into the database as reading them would."""

from collections.abc import Sequence
from uuid import UUID

from gridmill.datasources import repository
from gridmill.datasources.model import DataSource, SourceColumn, SourceStatus
from gridmill.datasources.parsing.model import Format, ParseOptions
from gridmill.kit.clock import now
from gridmill.kit.ids import new_uuid7
from gridmill.kit.values import DataType
from gridmill.providers.documents.layout import dump_layout
from gridmill.providers.documents.model import Document
from gridmill.storage import grids
from gridmill.storage.database import Tx

_COLUMNS = (SourceColumn("page", DataType.INTEGER), SourceColumn("text", DataType.TEXT))


async def store_source(tx: Tx, workspace_id: UUID, file_name: str) -> UUID:
    """A text that waits to be read; its file is empty."""
    file_id = new_uuid7()
    await tx.execute("INSERT INTO files (file_id, size) VALUES (%s, 0)", [file_id])
    source = DataSource(
        datasource_id=new_uuid7(),
        workspace_id=workspace_id,
        file_name=file_name,
        content_type=Format.TEXT,
        file_size=0,
        file_id=file_id,
        options=ParseOptions(),
        status=SourceStatus.PROCESSING,
        error=None,
        grid_no=None,
        columns=(),
        page_count=None,
        uploaded_at=now(),
        processed_at=None,
        row_count=None,
    )
    await repository.insert_source(tx, source, None)
    return source.datasource_id


async def store_text(tx: Tx, workspace_id: UUID, file_name: str, pages: Sequence[str]) -> UUID:
    """A text that was read, page by page."""
    datasource_id = await store_source(tx, workspace_id, file_name)
    grid_no = await grids.create_grid(tx, 2)
    rows = [[str(number), text] for number, text in enumerate(pages, 1)]
    await grids.insert_rows(tx, grid_no, (1, 2), rows)
    await repository.complete_source(tx, datasource_id, grid_no, _COLUMNS, len(pages))
    return datasource_id


async def store_document(tx: Tx, workspace_id: UUID, document: Document) -> UUID:
    """A document that was read, with its layout and its records."""
    datasource_id = await store_source(tx, workspace_id, document.file_name)
    grid_no = await grids.create_grid(tx, 3)
    rows = [
        [
            str(page.number),
            page.text,
            dump_layout(page, [one for one in document.records if one.page == page.number]),
        ]
        for page in document.pages
    ]
    await grids.insert_rows(tx, grid_no, (1, 2, 3), rows)
    await repository.complete_source(tx, datasource_id, grid_no, _COLUMNS, len(rows))
    return datasource_id
