"""What signed export links name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from gridmill.datasets.model import Dataset
from gridmill.storage.database import Tx


@dataclass(frozen=True, slots=True)
class Export:
    """A file that can be fetched."""

    dataset_id: UUID
    spec: Mapping[str, Any]
    file_name: str


async def insert_export(
    tx: Tx,
    export_id: UUID,
    dataset: Dataset,
    *,
    spec: Mapping[str, Any],
    file_name: str,
    expires_at: datetime,
) -> None:
    """Insert an export; those of the dataset that have expired go."""
    await tx.execute(
        "DELETE FROM exports WHERE dataset_id = %s AND expires_at < now()", [dataset.dataset_id]
    )
    await tx.execute(
        "INSERT INTO exports (export_id, workspace_id, dataset_id, spec, file_name, expires_at) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        [
            export_id,
            dataset.workspace_id,
            dataset.dataset_id,
            Jsonb(spec),
            file_name,
            expires_at,
        ],
    )


async def find_export(tx: Tx, workspace_id: UUID, export_id: UUID) -> Export | None:
    """An export of the workspace."""
    cursor = await tx.execute(
        "SELECT dataset_id, spec, file_name FROM exports WHERE workspace_id = %s AND export_id = %s",
        [workspace_id, export_id],
    )
    row = await cursor.fetchone()
    return Export(row[0], row[1], row[2]) if row else None
