"""Data sources: what is known of an uploaded file."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from gridmill.datasources.parsing.model import DOCUMENTS, Format, ParseOptions
from gridmill.kit.values import DataType

MAX_FILE_BYTES = 100 * 2**20
"""Bytes of one file: the contract's 100 MB."""


class SourceStatus(StrEnum):
    """Where a data source is in its short life."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of the source's table; the n-th one (from 1) is physical column n of its grid."""

    name: str
    data_type: DataType


@dataclass(frozen=True, slots=True)
class SourceError:
    """Why a file could not be read: a code of the contract and a sentence naming the place."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DataSource:
    """A stored file and, when it was read, the grid of its rows.

    `file_size` is in bytes. `row_count`, `columns` and `grid_no` are there once it is completed;
    `page_count` for documents only. `has_layout`: behind the grid's columns stands one more that
    users do not see, the layout of each page.
    """

    datasource_id: UUID
    workspace_id: UUID
    file_name: str
    content_type: Format
    file_size: int
    file_id: UUID
    options: ParseOptions
    status: SourceStatus
    error: SourceError | None
    grid_no: int | None
    columns: tuple[SourceColumn, ...]
    page_count: int | None
    uploaded_at: datetime
    processed_at: datetime | None
    row_count: int | None
    has_layout: bool = False

    @property
    def is_document(self) -> bool:
        """Whether its rows are pages of a text rather than records."""
        return self.content_type in DOCUMENTS


@dataclass(frozen=True, slots=True)
class LinkedDataset:
    """A dataset that takes records from a source."""

    dataset_id: UUID
    name: str
    active_task_id: UUID | None
    is_importing: bool


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What an operator allows; `None` is no limit. `bytes`: of all files of a workspace's sources."""

    bytes: int | None = None
