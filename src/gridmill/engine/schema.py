"""Puts procrastinate's own tables and functions into our database, and keeps them up to date.

The SQL comes from the installed package: on an empty database its whole schema, later the
migrations that a newer package brings. `install_engine_schema` is a `SchemaStep` of
`storage.migrate`: it runs under the migrations' lock, in a transaction, and finds out itself
what is missing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

from procrastinate.schema import SchemaManager

from gridmill.storage.database import Tx

# What our claim looks for, found at once in any backlog: a queue's first job, a lock's first job.
_INDEXES: Mapping[str, LiteralString] = {
    "engine_jobs_queue": (
        "CREATE INDEX engine_jobs_queue ON procrastinate_jobs"
        " (queue_name, priority DESC, id) WHERE status = 'todo'"
    ),
    "engine_jobs_lock": (
        "CREATE INDEX engine_jobs_lock ON procrastinate_jobs"
        " (lock, priority DESC, id) WHERE status = 'todo' AND lock IS NOT NULL"
    ),
}
_MIGRATIONS = Path(SchemaManager.get_migrations_path())


async def install_engine_schema(tx: Tx) -> None:
    """Create the engine's schema, or bring it up to the installed package; safe to repeat."""
    available = _load_migrations()
    await tx.execute(
        "CREATE TABLE IF NOT EXISTS engine_migrations ("
        " name text PRIMARY KEY,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    cursor = await tx.execute("SELECT name FROM engine_migrations")
    applied = {str(row[0]) for row in await cursor.fetchall()}
    if not applied:
        await tx.execute(SchemaManager.get_schema().encode())
    missing = [name for name in available if name not in applied]
    for name in missing if applied else []:
        await tx.execute(available[name])
    await _record(tx, missing)
    await _add_missing_indexes(tx)


async def _add_missing_indexes(tx: Tx) -> None:
    # Asked for by name: CREATE INDEX IF NOT EXISTS locks out everyone who writes jobs before it
    # looks, so each start would wait for a long planning, and make others wait behind it.
    for name, statement in _INDEXES.items():
        cursor = await tx.execute("SELECT to_regclass(%s)", (name,))
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            await tx.execute(statement)


def _load_migrations() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(_MIGRATIONS.glob("*.sql"))}


async def _record(tx: Tx, names: list[str]) -> None:
    await tx.execute(
        "INSERT INTO engine_migrations (name) SELECT unnest(%s::text[])",
        (names,),
    )
