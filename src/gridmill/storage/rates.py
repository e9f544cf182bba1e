"""Requests of a key in its present minute, counted once for all API processes."""

from uuid import UUID

from gridmill.storage.database import Tx

WINDOW_SECONDS = 60


async def count_request(tx: Tx, key_id: UUID, limit: int) -> tuple[int, float]:
    """Count one request; how many the window now holds and when it ends (seconds of the epoch).

    The window of 60 s starts with the first request after the one before it ended. Over `limit`
    the count stands still at `limit + 1`. The row is the key's own and held for this short
    transaction, so requests of other keys wait for nothing.
    """
    cursor = await tx.execute(
        """INSERT INTO rate_windows AS w (key_id, used) VALUES (%(key)s, 1)
           ON CONFLICT (key_id) DO UPDATE SET
             used = CASE WHEN w.started_at > clock_timestamp() - %(window)s * interval '1 second'
                         THEN least(w.used + 1, %(limit)s + 1) ELSE 1 END,
             started_at = CASE WHEN w.started_at > clock_timestamp() - %(window)s * interval '1 second'
                               THEN w.started_at ELSE clock_timestamp() END
           RETURNING used, extract(epoch FROM started_at)::float8 + %(window)s""",
        {"key": key_id, "window": WINDOW_SECONDS, "limit": limit},
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("counting a request returned no row")
    return int(row[0]), float(row[1])
