"""One writer at a time against a quota: what is counted stays so until the transaction ends."""

from uuid import UUID

from gridmill.storage.database import Tx


async def hold_quota(tx: Tx, quota: str, workspace_id: UUID) -> None:
    """Keep others from counting `quota` of the workspace until the transaction ends.

    Count in a later statement: it then sees what the last holder wrote. Waits as long as for any
    lock (`Unavailable` after that). Only where a limit is set: without one nobody asks.
    """
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (_name(quota, workspace_id),)
    )


async def try_to_hold_quota(tx: Tx, quota: str, workspace_id: UUID) -> bool:
    """As `hold_quota`, but without waiting; whether it is held now."""
    cursor = await tx.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (_name(quota, workspace_id),)
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


def _name(quota: str, workspace_id: UUID) -> str:
    return f"quota {quota} {workspace_id}"
