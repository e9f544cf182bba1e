"""Claims on idempotency keys, and the replies kept for repeats: `kit.http.idempotency` on PostgreSQL.

A claim is an advisory lock of the effect's own transaction: it needs no row that could be left
behind, and it ends with the transaction, however that ends.
"""

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from gridmill.kit.errors import IdempotencyInProgress, IdempotencyKeyReused
from gridmill.kit.http.idempotency import Claim, KeptReply
from gridmill.storage.database import Tx

# How many replies over their time one call clears away: a few more than it adds.
_CLEARED = 4


class PostgresClaims:
    """Implements `kit.http.idempotency.Claims`."""

    async def take(self, tx: Tx, claim: Claim) -> KeptReply | None:
        """Claim the key until the transaction ends; the reply to repeat if the call was made before.

        Raises:
            IdempotencyInProgress: another transaction holds the claim.
            IdempotencyKeyReused: the key came with another call in the last 24 hours.
        """
        cursor = tx.cursor(row_factory=dict_row)
        await cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS taken",
            (f"idempotency {claim.holder} {claim.key}",),
        )
        row = await cursor.fetchone()
        if row is None or not row["taken"]:
            raise IdempotencyInProgress
        # A statement of its own: its snapshot has to be younger than the lock, else it could miss
        # what the lock's last holder kept.
        await cursor.execute(
            """SELECT fingerprint, status, headers, body FROM kept_replies
               WHERE holder = %s AND key = %s
                 AND kept_at > clock_timestamp() - interval '24 hours'""",
            (claim.holder, claim.key),
        )
        found = await cursor.fetchone()
        if found is None:
            return None
        if bytes(found["fingerprint"]) != claim.fingerprint:
            raise IdempotencyKeyReused
        body = None if found["body"] is None else bytes(found["body"])
        return KeptReply(found["status"], found["headers"], body)

    async def keep(self, tx: Tx, claim: Claim, reply: KeptReply) -> None:
        """Keep the reply to a call that was claimed in this transaction."""
        await tx.execute(
            """INSERT INTO kept_replies (holder, key, fingerprint, status, headers, body)
               VALUES (%s, %s, %s, %s, %s, %b)
               ON CONFLICT (holder, key) DO UPDATE
               SET fingerprint = excluded.fingerprint, status = excluded.status,
                   headers = excluded.headers, body = excluded.body,
                   kept_at = excluded.kept_at""",
            (
                claim.holder,
                claim.key,
                claim.fingerprint,
                reply.status,
                Jsonb(dict(reply.headers)),
                reply.body,
            ),
        )
        await tx.execute(
            """DELETE FROM kept_replies WHERE (holder, key) IN (
                   SELECT holder, key FROM kept_replies
                   WHERE kept_at < clock_timestamp() - interval '24 hours'
                   ORDER BY kept_at LIMIT %s FOR UPDATE SKIP LOCKED)""",
            (_CLEARED,),
        )
