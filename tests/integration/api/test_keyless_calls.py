"""What a call without a key may see: nothing that belongs to a workspace."""

from pathlib import Path

import httpx2
from starlette.responses import Response

from gridmill.api.app import create_app
from gridmill.bootstrap.parts import open_api
from gridmill.kit.http import CallDep, make_router, operation, reply
from gridmill.settings import load_settings
from gridmill.storage.database import Database
from tests.support.workspace_rows import fill

router = make_router()


@router.get("/datasets", **operation("countAll", "Things", scope=None))
async def count_all(call: CallDep) -> Response:
    """What a statement without a condition sees."""
    cursor = await (await call.tx()).execute("SELECT count(*) FROM datasets")
    row = await cursor.fetchone()
    return reply({"count": None if row is None else row[0]})


async def test_a_call_without_a_key_sees_the_rows_of_no_workspace(
    database: Database, tmp_path: Path
) -> None:
    await fill(database)
    async with open_api(load_settings(data_dir=tmp_path), database.url) as parts:
        transport = httpx2.ASGITransport(app=create_app(parts, [("/open", router)]))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/open/datasets")).json() == {"count": 0}
