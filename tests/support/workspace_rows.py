"""A workspace with a row in each table that it owns, written without the rooms."""

from uuid import UUID, uuid4

from gridmill.kit.ids import new_uuid7
from gridmill.storage.database import Database

# A row in each table that belongs to a workspace.
_ROWS = (
    "INSERT INTO workspaces VALUES (%(w)s, %(name)s)",
    (
        "INSERT INTO api_keys (key_id, workspace_id, name, hint, key_hash, scopes)"
        " VALUES (%(x)s, %(w)s, 'n', 'h', %(hash)s, '{read}')"
    ),
    "INSERT INTO files VALUES (%(file)s, 0)",
    (
        "INSERT INTO datasources (datasource_id, workspace_id, file_name, content_type,"
        " file_size, file_id, status) VALUES"
        " (%(source)s, %(w)s, 'f', 't', 0, %(file)s, 'processing')"
    ),
    (
        "INSERT INTO datasets (dataset_id, workspace_id, name, type, status, grid_no)"
        " VALUES (%(dataset)s, %(w)s, 'd', 'blank', 'completed', %(grid)s)"
    ),
    (
        "INSERT INTO columns (dataset_id, column_no, physical, position, name, data_type,"
        " task_type) VALUES (%(dataset)s, 1, 1, 1, 'c', 'text', 'none')"
    ),
    "INSERT INTO dataset_sources VALUES (%(dataset)s, %(source)s, 1)",
    (
        "INSERT INTO dataset_row_origins (dataset_id, first_row, last_row, kind)"
        " VALUES (%(dataset)s, 1, 1, 'user')"
    ),
    (
        "INSERT INTO cell_history (dataset_id, row_no, physical, kind)"
        " VALUES (%(dataset)s, 1, 1, 'user')"
    ),
    "INSERT INTO exports VALUES (%(x)s, %(w)s, %(dataset)s, '{}', 'f', now())",
    (
        "INSERT INTO tasks (task_id, workspace_id, dataset_id, type, operation, status,"
        " request) VALUES (%(task)s, %(w)s, %(dataset)s, 'bulk', 'o', 'queued', '{}')"
    ),
    (
        "INSERT INTO task_batches (task_id, batch_no, first_row, last_row, rows, cells)"
        " VALUES (%(task)s, 1, 1, 1, 1, 1)"
    ),
    "INSERT INTO model_answers VALUES (%(w)s, %(hash)s, 'p', 'm', 'a', 1, 1)",
    (
        "INSERT INTO webhooks (webhook_id, workspace_id, name, url, events, headers, secret,"
        " signature_format) VALUES (%(hook)s, %(w)s, 'n', 'u', '{}', '', '', 'hex')"
    ),
    "INSERT INTO webhook_messages VALUES (%(x)s, %(w)s, 'e', '')",
    (
        "INSERT INTO webhook_deliveries (delivery_id, webhook_id, message_id)"
        " VALUES (%(x)s, %(hook)s, %(x)s)"
    ),
    "INSERT INTO webhook_attempts VALUES (%(x)s, 1, now(), 200, 1)",
)


async def fill(database: Database) -> UUID:
    """A workspace with a row in each table that it owns; its id."""
    ids = {name: new_uuid7() for name in ("w", "file", "source", "dataset", "task", "hook", "x")}
    async with database.transaction() as tx:
        cursor = await tx.execute("INSERT INTO grids (next_physical) VALUES (1) RETURNING grid_no")
        row = await cursor.fetchone()
        assert row is not None
        values = {**ids, "grid": row[0], "hash": uuid4().bytes * 2, "name": str(ids["w"])}
        for statement in _ROWS:
            await tx.execute(statement, values)
    return ids["w"]
