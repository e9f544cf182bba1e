"""The routes of `/datasources`."""

from starlette.responses import Response

from gridmill.auth.model import Scope
from gridmill.auth.service import principal_of
from gridmill.datasources import service
from gridmill.datasources.errors import (
    DatasourceInUse,
    DatasourceNotFound,
    FileTooLarge,
    MalformedFile,
    TooManyRows,
    UnsupportedFormat,
)
from gridmill.datasources.model import SourceLimits, SourceStatus
from gridmill.datasources.parsing.model import ParseOptions
from gridmill.datasources.previewing import Previewer
from gridmill.datasources.schemas import (
    PREVIEW_FORM,
    UPLOAD_FORM,
    DownloadCreate,
    DownloadReply,
    PreviewReply,
    SourceDataQuery,
    SourceDataReply,
    SourceListQuery,
    SourceListReply,
    SourceReply,
    write_data,
    write_item,
    write_preview,
    write_source,
)
from gridmill.engine.port import Engine
from gridmill.kit import clock
from gridmill.kit.errors import FieldError, InvalidFilter, QuotaExceeded, ValidationFailed
from gridmill.kit.http import Call, CallDep, make_router, no_content, operation, reply
from gridmill.webhooks import service as webhooks
from gridmill.webhooks.errors import WebhookNotFound

router = make_router()

_TAG = "Data sources"
_FORM = service.UploadForm(
    fields=frozenset({"name", "webhookId", "encoding", "delimiter", "header", "sheet"}),
    file_fields=frozenset({"file"}),
)
_PREVIEW_FORM = service.UploadForm(_FORM.fields - {"name", "webhookId"}, _FORM.file_fields)
_UPLOAD_ERRORS = (WebhookNotFound, UnsupportedFormat, FileTooLarge, MalformedFile, QuotaExceeded)


@router.post(
    "/datasources",
    **operation(
        "createDatasource",
        _TAG,
        scope=Scope.WRITE,
        multipart=UPLOAD_FORM,
        reply=SourceReply,
        status=201,
        errors=_UPLOAD_ERRORS,
        reply_headers={"Location": "The data source"},
    ),
)
async def create_datasource(call: CallDep) -> Response:
    """Upload a file. Its type and size are judged now, its content by a job: see `status`."""
    return await _receive(call)


@router.post(
    "/datasources/upload",
    **operation(
        "uploadDatasource",
        _TAG,
        scope=Scope.WRITE,
        multipart=UPLOAD_FORM,
        reply=SourceReply,
        status=201,
        errors=_UPLOAD_ERRORS,
        reply_headers={"Location": "The data source"},
    ),
)
async def upload_datasource(call: CallDep) -> Response:
    """Upload a file: the same as `POST /datasources`."""
    return await _receive(call)


@router.post(
    "/datasources/preview",
    **operation(
        "previewDatasource",
        _TAG,
        scope=Scope.WRITE,
        multipart=PREVIEW_FORM,
        reply=PreviewReply,
        errors=(UnsupportedFormat, FileTooLarge, MalformedFile, TooManyRows),
    ),
)
async def preview_datasource(call: CallDep) -> Response:
    """See how a file would be read, by its first 20 rows. Nothing is stored."""
    async with service.receive_upload(call.request, _PREVIEW_FORM) as upload:
        call.note_payload(upload.digest)
        file, options = upload.files[0], _read_options(upload)
        content_type, preview = await call.service(Previewer).preview(file, options)
    return reply(write_preview(file.file_name, content_type, preview))


def _read_options(upload: service.Upload) -> ParseOptions:
    fields = upload.fields
    return service.read_options(
        fields.get("encoding"), fields.get("delimiter"), fields.get("header"), fields.get("sheet")
    )


async def _receive(call: Call) -> Response:
    principal = principal_of(call)
    async with service.receive_upload(call.request, _FORM) as upload:
        call.note_payload(upload.digest)
        fields = upload.fields
        name = fields.get("name")
        if name is not None and not 1 <= len(name.strip()) <= 255:
            raise ValidationFailed([FieldError("name", "This must have 1 to 255 characters.")])
        options = _read_options(upload)
        content_type = await service.check_file(upload.files[0], options)
        tx = await call.tx()
        webhook_id = await webhooks.check_webhook(
            tx, principal.workspace_id, fields.get("webhookId")
        )
        await service.check_quota(
            tx, principal.workspace_id, upload.files[0].size, call.service(SourceLimits)
        )
        source = await service.add_file(
            tx,
            call.service(Engine),
            principal,
            upload.files[0],
            content_type,
            options,
            name=name,
            webhook_id=webhook_id,
        )
    location = f"/api/v2/datasources/{source.datasource_id}"
    return reply(write_source(source, ()), 201, {"Location": location})


@router.get(
    "/datasources",
    **operation(
        "listDatasources", _TAG, scope=Scope.READ, query=SourceListQuery, reply=SourceListReply
    ),
)
async def list_datasources(call: CallDep) -> Response:
    """List data sources, newest first."""
    query = call.query(SourceListQuery)
    sources, pagination = await service.list_datasources(
        await call.tx(),
        principal_of(call),
        query.paging,
        status=None if query.status is None else SourceStatus(query.status),
        content_type=query.content_type,
    )
    items = [write_item(source) for source in sources]
    return reply({"dataSources": items, "pagination": pagination.to_wire()})


@router.get(
    "/datasources/{datasource_id}",
    **operation(
        "getDatasource", _TAG, scope=Scope.READ, reply=SourceReply, errors=(DatasourceNotFound,)
    ),
)
async def get_datasource(call: CallDep, datasource_id: str) -> Response:
    """Read what is known of a data source, with its columns and the datasets linked to it."""
    tx, principal = await call.tx(), principal_of(call)
    source = await service.get_datasource(tx, principal, datasource_id)
    return reply(write_source(source, await service.list_linked_datasets(tx, principal, source)))


@router.get(
    "/datasources/{datasource_id}/data",
    **operation(
        "readDatasource",
        _TAG,
        scope=Scope.READ,
        query=SourceDataQuery,
        reply=SourceDataReply,
        errors=(DatasourceNotFound, InvalidFilter),
    ),
)
async def read_datasource(call: CallDep, datasource_id: str) -> Response:
    """Read rows of a data source; of a document, its pages. No rows before it is completed."""
    tx = await call.tx()
    source = await service.get_datasource(tx, principal_of(call), datasource_id)
    query = call.query(SourceDataQuery)
    page = await service.read_page(
        tx,
        source,
        query.paging,
        sort=query.sort,
        descending=query.order == "desc",
        filter_text=query.filter,
    )
    return reply(write_data(source, page))


@router.delete(
    "/datasources/{datasource_id}",
    **operation(
        "deleteDatasource",
        _TAG,
        scope=Scope.WRITE,
        status=204,
        errors=(DatasourceNotFound, DatasourceInUse),
    ),
)
async def delete_datasource(call: CallDep, datasource_id: str) -> Response:
    """Delete a data source, its file and the links to it. Datasets keep the rows they took."""
    await service.delete_datasource(await call.tx(), principal_of(call), datasource_id)
    return no_content()


@router.post(
    "/datasources/{datasource_id}/download",
    **operation(
        "downloadDatasource",
        _TAG,
        scope=Scope.READ,
        body=DownloadCreate,
        body_required=False,
        reply=DownloadReply,
        errors=(DatasourceNotFound,),
    ),
)
async def download_datasource(call: CallDep, datasource_id: str) -> Response:
    """Sign a link to the file that works without a key until it expires."""
    tx = await call.tx()
    source = await service.get_datasource(tx, principal_of(call), datasource_id)
    body = await call.body(DownloadCreate, optional=True)
    token, expires_at = await service.sign_download(tx, source, body.expires_in)
    return reply(
        {
            "downloadUrl": call.absolute_url(f"/downloads/{token}"),
            "expiresAt": clock.to_wire(expires_at),
            "fileName": source.file_name,
        }
    )
