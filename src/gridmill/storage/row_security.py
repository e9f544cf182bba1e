"""Who is bound by the row-level security of migration 31 (decision 24).

Its policies bind every ordinary role, the owner of the tables too. A superuser passes them, so its
sessions act as a role that cannot log in. That role belongs to the server and not to the database:
a restored dump brings none, so each start looks for it.
"""

from typing import LiteralString

from psycopg import sql

from gridmill.storage.database import SESSIONS_ROLE, Tx

# Membership gives the role what the owners may do, but not that they pass policies: that is theirs
# alone. It needs no lock on any table, however many grids there are.
_OWNERS: LiteralString = """
SELECT DISTINCT owner.rolname
FROM (SELECT relowner FROM pg_class
      WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
      UNION SELECT nspowner FROM pg_namespace WHERE nspname = current_schema()
      UNION SELECT datdba FROM pg_database WHERE datname = current_database()
      UNION SELECT oid FROM pg_roles WHERE rolname = current_user) AS owning (role)
JOIN pg_roles owner ON owner.oid = owning.role
-- The owner of a database is a member of that one, and so are its members.
WHERE owner.rolname NOT IN ('pg_database_owner', %(role)s)
  AND NOT pg_has_role(%(role)s, owner.oid, 'USAGE')
"""

# Another database of the same server may make the role at the same moment.
_MAKE_ROLE = sql.SQL(
    "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
).format(sql.Identifier(SESSIONS_ROLE))


async def make_sessions_role(tx: Tx) -> None:
    """Make the role that a superuser's sessions act as; nothing for other users. Safe to repeat."""
    cursor = await tx.execute(
        "SELECT rolsuper, to_regrole(%s) IS NULL FROM pg_roles WHERE rolname = current_user",
        (SESSIONS_ROLE,),
    )
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return
    if row[1]:
        await tx.execute(_MAKE_ROLE)
    cursor = await tx.execute(_OWNERS, {"role": SESSIONS_ROLE})
    for (owner,) in await cursor.fetchall():
        await tx.execute(
            sql.SQL("GRANT {} TO {}").format(
                sql.Identifier(str(owner)), sql.Identifier(SESSIONS_ROLE)
            )
        )


async def find_unbound_role(tx: Tx) -> str | None:
    """The role of this session when row-level security does not bind it, else `None`."""
    cursor = await tx.execute("SELECT current_user, row_security_active('datasets')")
    row = await cursor.fetchone()
    return None if row is None or row[1] else str(row[0])


def describe_unbound(role: str) -> str:
    """What an operator is told of such a role."""
    name = sql.Identifier(role).as_string()
    return (
        f"the database role {role} passes row-level security, so nothing stands behind the"
        f" conditions of the statements. Have a superuser say: ALTER ROLE {name} NOBYPASSRLS;"
        " and restart, or connect as a role without BYPASSRLS that owns the database"
    )
