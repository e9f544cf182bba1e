"""The room's jobs."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gridmill.datasets.importing import ImportFailed, fail_import, import_sources
from gridmill.datasets.lifecycle import CLEAN_JOB, IMPORT_JOB
from gridmill.datasets.model import DatasetLimits
from gridmill.datasets.repository.history import delete_history
from gridmill.engine.port import HandlerSpec, JobContext, Retry
from gridmill.storage.database import Database

_WAIT_SECONDS = 0.5
_CLEAN_ROWS = 50_000


def handlers(database: Database, limits: DatasetLimits | None = None) -> dict[str, HandlerSpec]:
    """The handlers of `datasets.import` and `datasets.clean`."""
    allowed = limits or DatasetLimits()

    async def run_import(payload: Mapping[str, Any], context: JobContext) -> None:
        del context
        dataset_id = UUID(payload["datasetId"])
        try:
            async with database.transaction() as tx:
                done = await import_sources(tx, dataset_id, allowed, wait=False)
        except ImportFailed as error:
            async with database.transaction() as tx:
                await fail_import(tx, dataset_id, error.code, error.message)
            return
        if not done:
            raise Retry(_WAIT_SECONDS)

    async def give_up_import(payload: Mapping[str, Any], error: str) -> None:
        del error
        async with database.transaction() as tx:
            await fail_import(
                tx,
                UUID(payload["datasetId"]),
                "INTERNAL_ERROR",
                "The import failed for a reason of ours; the server's log says more.",
            )

    async def clean(payload: Mapping[str, Any], context: JobContext) -> None:
        del context
        while True:
            async with database.transaction() as tx:
                gone = await delete_history(tx, UUID(payload["datasetId"]), _CLEAN_ROWS)
            if gone < _CLEAN_ROWS:
                return

    return {
        IMPORT_JOB: HandlerSpec(run_import, on_exhausted=give_up_import),
        CLEAN_JOB: HandlerSpec(clean),
    }
