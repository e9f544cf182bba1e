"""What a dataset needs to know of its data sources: the one door to the room below."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gridmill.auth.model import Principal
from gridmill.datasets.model import Dataset
from gridmill.datasources import service as datasources
from gridmill.datasources.errors import DatasourceNotFound
from gridmill.datasources.model import DataSource, SourceColumn, SourceStatus
from gridmill.kit.ids import parse_uuid
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class LinkedSource:
    """A data source as a dataset sees it; `failure` says why one could not be read."""

    datasource_id: UUID
    file_name: str
    is_pending: bool
    may_be_table: bool
    failure: str | None
    grid_no: int
    columns: Sequence[SourceColumn]
    row_count: int

    @property
    def is_table(self) -> bool:
        """Whether it is a table whose records can be taken."""
        return self.may_be_table and not self.is_pending and self.failure is None

    @property
    def is_document(self) -> bool:
        """Whether it is a document that was read."""
        return not self.may_be_table and not self.is_pending and self.failure is None


async def find_sources(
    tx: Tx, principal: Principal, datasource_ids: Sequence[str]
) -> list[LinkedSource]:
    """Data sources of the workspace by id, in order.

    Raises:
        DatasourceNotFound: one is malformed, unknown or of another workspace.
    """
    known = [parse_uuid(text) for text in datasource_ids]
    wanted = [one for one in known if one is not None]
    if len(wanted) < len(known):
        raise DatasourceNotFound
    found = await _load(tx, principal.workspace_id, wanted)
    if len(found) < len(wanted):
        raise DatasourceNotFound
    return found


async def load_links(tx: Tx, dataset: Dataset) -> list[LinkedSource]:
    """The dataset's sources in the order of their links."""
    return await _load(tx, dataset.workspace_id, dataset.datasource_ids)


async def _load(tx: Tx, workspace_id: UUID, datasource_ids: Sequence[UUID]) -> list[LinkedSource]:
    found = await datasources.find_datasources(tx, workspace_id, datasource_ids)
    return [_to_linked(source) for source in found]


def _to_linked(source: DataSource) -> LinkedSource:
    return LinkedSource(
        datasource_id=source.datasource_id,
        file_name=source.file_name,
        is_pending=source.status is SourceStatus.PROCESSING,
        may_be_table=not source.is_document,
        failure=source.error.message if source.error else None,
        grid_no=source.grid_no or 0,
        columns=source.columns,
        row_count=source.row_count or 0,
    )
