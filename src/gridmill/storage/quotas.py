"""One writer at a time against a quota: what is counted stays so until the transaction ends."""

from uuid import UUID

from gridmill.storage.database import Tx


async def hold_quota(tx: Tx, quota: str, workspace_id: UUID) -> None:
    """Keep others from counting `quota` of the workspace until the transaction ends.

    Count in a later statement: it then sees what the last holder wrote. Waits as long as for any
    lock (`Unavailable` after that). Only where a limit is set: without one nobody asks.
    """
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
        (f"quota {quota} {workspace_id}",),
    )
