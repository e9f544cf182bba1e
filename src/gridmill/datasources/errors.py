"""The room's errors."""

from uuid import UUID

from gridmill.kit.errors import Conflict, GridmillError, NotFound, Unprocessable

_SUPPORTED = (
    *("CSV", "TSV", "JSON", "JSONL", "XLSX", "Parquet"),
    *("PDF", "PNG", "JPEG", "DOCX", "HTML", "Markdown", "XML", "EML", "text"),
)


class DatasourceNotFound(NotFound):
    """404: no such data source in this workspace."""

    code = "DATASOURCE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no data source with this id.")


class DatasourceInUse(Conflict):
    """409: a dataset that a task holds, or that waits for its import, uses this source."""

    code = "DATASOURCE_IN_USE"

    def __init__(self, dataset_id: UUID, task_id: UUID | None) -> None:
        message = "A dataset that uses this data source is still being imported."
        if task_id is not None:
            message = "A task is working on a dataset that uses this data source."
        task = None if task_id is None else str(task_id)
        super().__init__(message, details={"datasetId": str(dataset_id), "taskId": task})


class UnsupportedFormat(GridmillError):
    """415: a file of a kind that is not read."""

    code = "UNSUPPORTED_FORMAT"
    status = 415

    def __init__(self, found: str) -> None:
        super().__init__(
            f"This file is {found}. Supported are {', '.join(_SUPPORTED)}.",
            details={"supported": list(_SUPPORTED)},
        )


class FileTooLarge(GridmillError):
    """413: a file over the limit."""

    code = "FILE_TOO_LARGE"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A file holds at most {limit} bytes ({limit // 2**20} MB).",
            details={"limitBytes": limit},
        )


class TooManyRows(Unprocessable):
    """422: a file with more rows than a data source holds."""

    code = "ROW_LIMIT_EXCEEDED"


class MalformedFile(Unprocessable):
    """422: a file with nothing in it, or a preview of one that cannot be read.

    What is wrong inside an uploaded file becomes the source's `error`.
    """

    code = "MALFORMED_FILE"
