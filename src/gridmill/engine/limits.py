"""A provider's limits, shared by all workers through PostgreSQL.

A grant of concurrency is a row per worker that runs out unless it is renewed; the minute's
requests and tokens are buckets in one row per provider, taken in chunks. The provider's row is
locked for each decision, so decisions come one after another; a worker makes about one a second.
"""

from uuid import UUID

from psycopg.rows import TupleRow

from gridmill.providers.llm.ports import Claim, Share
from gridmill.providers.llm.sharing import (
    Buckets,
    Grant,
    return_unspent,
    share_out,
)
from gridmill.storage.database import Database, Tx

_NOW = "SELECT extract(epoch FROM clock_timestamp())::double precision"


class PostgresLimiter:
    """The `Limiter` on tables `provider_limits` and `provider_grants`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def renew(self, claim: Claim) -> Share:
        """See the port. Raises `Unavailable` when the database is away."""
        async with self._database.transaction() as tx:
            buckets, now = await _lock_buckets(tx, claim.scope)
            others = await _list_others(tx, claim, now)
            grant, buckets, share = share_out(claim, others, buckets, now)
            await tx.execute(
                "INSERT INTO provider_grants (provider, holder, granted, wanted, expires_at)"
                " VALUES (%s, %s, %s, %s, to_timestamp(%s))"
                " ON CONFLICT (provider, holder) DO UPDATE SET granted = excluded.granted,"
                " wanted = excluded.wanted, expires_at = excluded.expires_at",
                (claim.scope, claim.holder, grant.granted, grant.wanted, grant.expires_at),
            )
            await _write_buckets(tx, claim.scope, buckets)
        return share

    async def release(self, claim: Claim) -> None:
        """See the port. Raises `Unavailable` when the database is away."""
        async with self._database.transaction() as tx:
            buckets, now = await _lock_buckets(tx, claim.scope)
            await tx.execute(
                "DELETE FROM provider_grants WHERE provider = %s AND holder = %s",
                (claim.scope, claim.holder),
            )
            await _write_buckets(tx, claim.scope, return_unspent(claim, buckets, now))


async def _lock_buckets(tx: Tx, scope: str) -> tuple[Buckets, float]:
    """The provider's row, locked, and the database's time."""
    read = (
        "SELECT requests_left, tokens_left, extract(epoch FROM refilled_at)::double precision"
        " FROM provider_limits WHERE provider = %s FOR UPDATE"
    )
    row = await (await tx.execute(read, (scope,))).fetchone()
    if row is None:
        await tx.execute(
            "INSERT INTO provider_limits (provider) VALUES (%s) ON CONFLICT DO NOTHING", (scope,)
        )
        row = await (await tx.execute(read, (scope,))).fetchone()
    # Read after the lock was had: a clock taken before it may be older than the last refill.
    clock = await (await tx.execute(_NOW)).fetchone()
    assert row is not None and clock is not None  # noqa: S101, PT018 - rows are never deleted
    return Buckets(row[0], row[1], row[2]), clock[0]


async def _list_others(tx: Tx, claim: Claim, now: float) -> dict[UUID, Grant]:
    """The live grants of the others; those that ran out go."""
    await tx.execute(
        "DELETE FROM provider_grants WHERE provider = %s AND expires_at <= to_timestamp(%s)",
        (claim.scope, now),
    )
    cursor = await tx.execute(
        "SELECT holder, granted, wanted, extract(epoch FROM expires_at)::double precision"
        " FROM provider_grants WHERE provider = %s AND holder <> %s",
        (claim.scope, claim.holder),
    )
    rows: list[TupleRow] = await cursor.fetchall()
    return {row[0]: Grant(row[1], row[2], row[3]) for row in rows}


async def _write_buckets(tx: Tx, scope: str, buckets: Buckets) -> None:
    await tx.execute(
        "UPDATE provider_limits SET requests_left = %s, tokens_left = %s,"
        " refilled_at = to_timestamp(%s) WHERE provider = %s",
        (buckets.requests, buckets.tokens, buckets.refilled_at, scope),
    )
