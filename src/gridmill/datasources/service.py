"""Use cases of the data sources room.

An upload is received (`receive_upload`), judged by its type (`check_file`) and stored (`add_file`);
a job reads it. Other rooms enter here.
"""

import asyncio
from collections.abc import AsyncIterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gridmill.auth import service as auth
from gridmill.auth.model import Link, Principal
from gridmill.datasources import repository
from gridmill.datasources.documents import load_document
from gridmill.datasources.errors import (
    DatasourceInUse,
    DatasourceNotFound,
    MalformedFile,
    UnsupportedFormat,
)
from gridmill.datasources.locating import Box, Positioned, find_position_columns
from gridmill.datasources.model import (
    DataSource,
    LinkedDataset,
    SourceColumn,
    SourceError,
    SourceLimits,
    SourceStatus,
)
from gridmill.datasources.overrides import read_options
from gridmill.datasources.parsing.model import Format, Parsed, ParseOptions
from gridmill.datasources.parsing.sniff import HEAD_BYTES, Sniffed, sniff_format
from gridmill.datasources.passages import FoundPassage, prepare_passages, search_passages
from gridmill.datasources.upload import ReceivedFile, Upload, UploadForm, receive_upload
from gridmill.engine.port import Engine, Job
from gridmill.kit.clock import now
from gridmill.kit.errors import InsufficientScope, QuotaExceeded, ValidationFailed
from gridmill.kit.filters import parse_filter
from gridmill.kit.http import Download
from gridmill.kit.ids import new_uuid7, parse_uuid
from gridmill.kit.pages import PageQuery, Pagination, decode_cursor, encode_cursor
from gridmill.storage import grids
from gridmill.storage.database import Database, Tx
from gridmill.storage.files import repository as files
from gridmill.storage.quotas import hold_quota
from gridmill.webhooks import service as webhooks

__all__ = [
    "LINK_KIND",
    "FoundPassage",
    "ReceivedFile",
    "Upload",
    "UploadForm",
    "add_file",
    "check_file",
    "check_quota",
    "delete_datasource",
    "fail_datasource",
    "find_datasource",
    "find_datasources",
    "get_datasource",
    "list_datasources",
    "list_linked_datasets",
    "load_document",
    "open_download",
    "prepare_passages",
    "read_options",
    "read_page",
    "read_positions",
    "receive_upload",
    "search_passages",
    "sign_download",
]

PROCESS_JOB = "datasources.process"
LINK_KIND = "datasource"


# --- uploads --------------------------------------------------------------------------------


async def check_file(file: ReceivedFile, options: ParseOptions) -> Format:
    """What a received file is, judged by its content; needs no transaction.

    Raises:
        MalformedFile: it is empty.
        UnsupportedFormat: it is of a kind that is not read.
    """
    if file.size == 0:
        raise MalformedFile("The file is empty.")
    sniffed = await asyncio.to_thread(_sniff, file, options)
    if sniffed.format is None:
        raise UnsupportedFormat(sniffed.unsupported)
    return sniffed.format


def _sniff(file: ReceivedFile, options: ParseOptions) -> Sniffed:
    with file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    return sniff_format(
        head,
        whole=len(head) == file.size,
        file_name=file.file_name,
        declared_type=file.declared_type,
        options=options,
    )


async def check_quota(tx: Tx, workspace_id: UUID, more: int, limits: SourceLimits) -> None:
    """Hold `more` bytes of files against the workspace's limit, until the transaction ends.

    Raises:
        QuotaExceeded: with them it would hold more than the operator allows.
    """
    if limits.bytes is None:
        return
    await hold_quota(tx, "bytes", workspace_id)
    if await repository.sum_bytes(tx, workspace_id) + more > limits.bytes:
        raise QuotaExceeded(
            "bytes",
            limits.bytes,
            f"The workspace's files may take {limits.bytes} bytes; delete data sources first.",
        )


async def add_file(  # noqa: PLR0917 (what, as what, and how: each named by its type)
    tx: Tx,
    engine: Engine,
    principal: Principal,
    file: ReceivedFile,
    content_type: Format,
    options: ParseOptions,
    *,
    name: str | None = None,
    webhook_id: UUID | None = None,
) -> DataSource:
    """Store a file that `check_file` found good as a data source, and have a job read it."""
    source = DataSource(
        datasource_id=new_uuid7(),
        workspace_id=principal.workspace_id,
        file_name=name or file.file_name,
        content_type=content_type,
        file_size=file.size,
        file_id=await files.save_file(tx, file.path),
        options=options,
        status=SourceStatus.PROCESSING,
        error=None,
        grid_no=None,
        columns=(),
        page_count=None,
        uploaded_at=now(),
        processed_at=None,
        row_count=None,
    )
    await repository.insert_source(tx, source, webhook_id)
    await engine.enqueue(tx, [Job(PROCESS_JOB, {"datasourceId": str(source.datasource_id)})])
    return source


# --- what the job says ----------------------------------------------------------------------


async def find_unprocessed(tx: Tx, datasource_id: UUID) -> DataSource | None:
    """The source of any workspace, as long as it waits to be read."""
    return await repository.find_unprocessed(tx, datasource_id)


async def complete_datasource(
    tx: Tx, engine: Engine, datasource_id: UUID, parsed: Parsed, chunks: AsyncIterable[bytes]
) -> bool:
    """Make the grid of a source from its spooled rows; `False` when it was deleted or read before.

    All in the caller's transaction: a crash leaves nothing half-made.
    """
    if await repository.find_unprocessed(tx, datasource_id, for_update=True) is None:
        return False
    grid_no = await grids.create_grid(tx, parsed.width)
    await grids.copy_text(tx, grid_no, parsed.width, chunks)
    columns = [SourceColumn(column.name, column.data_type) for column in parsed.columns]
    await repository.complete_source(tx, datasource_id, grid_no, columns, parsed.pages)
    await _tell(tx, engine, datasource_id)
    return True


async def fail_datasource(
    tx: Tx, engine: Engine, datasource_id: UUID, code: str, message: str
) -> bool:
    """Say why a source cannot be read; `False` when it was deleted or read before."""
    if not await repository.fail_source(tx, datasource_id, SourceError(code, message)):
        return False
    await _tell(tx, engine, datasource_id)
    return True


async def _tell(tx: Tx, engine: Engine, datasource_id: UUID) -> None:
    """Tell webhooks what became of a source."""
    found = await repository.find_told(tx, datasource_id)
    if found is None:
        return
    source, webhook_id = found
    is_read = source.status is SourceStatus.COMPLETED
    error = source.error
    data = {
        "datasourceId": source.datasource_id,
        "fileName": source.file_name,
        "contentType": source.content_type.value,
        "fileSize": source.file_size,
        "status": source.status.value,
        "rowCount": source.row_count,
        "columnCount": len(source.columns) if is_read else None,
        "pageCount": source.page_count,
        "error": None if error is None else {"code": error.code, "message": error.message},
    }
    event = webhooks.Event.DATASOURCE_PROCESSED if is_read else webhooks.Event.DATASOURCE_FAILED
    await webhooks.tell(tx, engine, source.workspace_id, event, data, also=webhook_id)


# --- reading --------------------------------------------------------------------------------


async def get_datasource(tx: Tx, principal: Principal, datasource_id: str) -> DataSource:
    """A source of the principal's workspace.

    Raises:
        DatasourceNotFound: malformed, unknown, or another workspace's.
    """
    known = parse_uuid(datasource_id)
    found = (
        None if known is None else await repository.find_source(tx, principal.workspace_id, known)
    )
    if found is None:
        raise DatasourceNotFound
    return found


async def find_datasource(tx: Tx, workspace_id: UUID, datasource_id: UUID) -> DataSource | None:
    """A source of the workspace, for rooms that hold its id."""
    return await repository.find_source(tx, workspace_id, datasource_id)


async def read_positions(
    tx: Tx, source: DataSource, boxes: Sequence[Box], limit: int
) -> Positioned | None:
    """Up to `limit` records of a source inside boxes, of all the Earth with none.

    `None` when it is not read or has no columns named latitude and longitude.
    """
    columns = find_position_columns(source)
    if source.grid_no is None or columns is None:
        return None
    physicals = range(1, len(source.columns) + 1)
    rows = await grids.read_in_boxes(
        tx, source.grid_no, physicals, columns, boxes=boxes, limit=limit + 1
    )
    box = await grids.measure_box(tx, source.grid_no, columns)
    found = [(row.row_no, row.values) for row in rows[:limit]]
    return Positioned(found, box, is_cut=len(rows) > limit)


async def find_datasources(
    tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID]
) -> list[DataSource]:
    """Sources of the workspace in the order of the ids, those that are not there left out."""
    return await repository.find_sources(tx, workspace_id, datasource_ids)


async def list_linked_datasets(
    tx: Tx, principal: Principal, source: DataSource
) -> list[LinkedDataset]:
    """The datasets that take records from the source, as far as the key reaches them."""
    linked = await repository.list_linked_datasets(tx, source.datasource_id)
    return [one for one in linked if principal.reaches_dataset(one.dataset_id)]


async def list_datasources(
    tx: Tx,
    principal: Principal,
    paging: PageQuery,
    *,
    status: SourceStatus | None = None,
    content_type: str | None = None,
) -> tuple[list[DataSource], Pagination]:
    """A page of the workspace's sources, newest first."""
    before, offset = None, paging.offset
    if paging.cursor is not None:
        before, offset = parse_uuid(decode_cursor(paging.cursor, 1)[0]), 0
        if before is None:
            raise ValidationFailed.of("cursor", "This cursor is not one that a reply gave.")
    found = await repository.list_sources(
        tx,
        principal.workspace_id,
        status=status,
        content_type=content_type,
        before=before,
        offset=offset,
        limit=paging.limit + 1,
    )
    page = found[: paging.limit]
    more = encode_cursor(page[-1].datasource_id) if len(found) > paging.limit else None
    total = await repository.count_sources(
        tx, principal.workspace_id, status=status, content_type=content_type
    )
    return page, Pagination(paging.page, paging.limit, total, more)


async def read_page(
    tx: Tx,
    source: DataSource,
    paging: PageQuery,
    *,
    sort: str | None = None,
    descending: bool = False,
    filter_text: str | None = None,
) -> grids.GridPage:
    """A page of the source's rows, values in the order of its columns.

    Without `sort` the order is that of the file, or its reverse. A source that is not completed
    has no columns and no rows.

    Raises:
        ValidationFailed: an unknown column to sort by, or a bad cursor.
        InvalidFilter: a filter that does not parse or names an unknown column.
    """
    columns = {
        column.name: grids.GridColumn(physical, column.data_type)
        for physical, column in enumerate(source.columns, 1)
    }
    node = None if filter_text is None else parse_filter(filter_text)
    if source.grid_no is None:
        return grids.GridPage([], Pagination(paging.page, paging.limit, 0))
    if sort is not None and sort not in columns:
        raise ValidationFailed.of("sort", f"There is no column named {sort[:80]!r}.")
    by = None if sort is None else columns[sort]
    return await grids.read_page(
        tx,
        source.grid_no,
        list(range(1, len(columns) + 1)),
        paging,
        sort=grids.Sort(by, descending) if by is not None or descending else None,
        where=None if node is None else grids.compile_filter(node, columns),
        with_metadata=False,
    )


# --- downloads and deletion -----------------------------------------------------------------


async def sign_download(tx: Tx, source: DataSource, expires_in: int) -> tuple[str, datetime]:
    """A token that opens the source's file without a key for `expires_in` seconds, and its end."""
    expires_at = (now() + timedelta(seconds=expires_in)).replace(microsecond=0)
    token = await auth.sign_link(
        tx, LINK_KIND, source.datasource_id, source.workspace_id, expires_at
    )
    return token, expires_at


async def open_download(database: Database, link: Link) -> Download:
    """The file behind a verified link, streamed in chunks of 1 MiB.

    Raises:
        DatasourceNotFound: the source was deleted since.
    """
    async with database.transaction(read_only=True, workspace_id=link.workspace_id) as tx:
        source = await repository.find_source(tx, link.workspace_id, link.object_id)
    if source is None:
        raise DatasourceNotFound
    return Download(
        source.file_name,
        source.content_type.value,
        files.stream_file(database, source.file_id),
        source.file_size,
    )


async def delete_datasource(tx: Tx, principal: Principal, datasource_id: str) -> None:
    """Delete a source with its file, its rows and the links to it; datasets keep what they took.

    Raises:
        InsufficientScope: the key is limited to datasets; others may take records from the source.
        DatasourceNotFound: malformed, unknown, or another workspace's.
        DatasourceInUse: a dataset that a task holds, or that waits for its import, is linked to it.
    """
    if principal.dataset_ids is not None:
        raise InsufficientScope("This key is limited to datasets and deletes no data sources.")
    known = parse_uuid(datasource_id)
    source = (
        None if known is None else await repository.hold_source(tx, principal.workspace_id, known)
    )
    if source is None:
        raise DatasourceNotFound
    for linked in await repository.list_linked_datasets(tx, source.datasource_id, hold=True):
        if linked.is_importing or linked.active_task_id is not None:
            raise DatasourceInUse(linked.dataset_id, linked.active_task_id)
    await repository.delete_source(tx, source.datasource_id)
    await files.delete_file(tx, source.file_id)
    if source.grid_no is not None:
        await grids.drop_grid(tx, source.grid_no)
