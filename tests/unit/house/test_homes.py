from pathlib import PurePosixPath

import pytest

from tools.house.homes import (
    check_construction,
    check_environment,
    check_sql_home,
    check_transaction_ends,
    check_transaction_starts,
    check_transaction_workspaces,
)
from tools.house.source import Source


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath("src/gridmill") / path, text)


@pytest.mark.parametrize(
    "text",
    [
        'tx.execute("SELECT 1 FROM datasets")',
        'tx.execute(f"DELETE FROM {table} WHERE a = 1")',
        'Q = """\n    -- why\n    WITH old AS (SELECT 1) UPDATE a SET b = 1\n"""',
        'Q = b"INSERT INTO a VALUES (1)"',
        'Q = "UPDATE tasks SET status = 1"',
        'Q = "COPY grid_1 (a) FROM STDIN"',
        'Q = "LOCK TABLE a IN EXCLUSIVE MODE"',
        "from psycopg import sql",
        "from psycopg.sql import SQL",
    ],
)
def test_sql_in_a_service_is_an_offence(text: str) -> None:
    assert [o.law for o in check_sql_home(source("tasks/service.py", text))] == ["sql-home"]


@pytest.mark.parametrize(
    "path",
    [
        "tasks/repository.py",
        "datasets/repository/cells.py",
        "engine/claims.py",
        "storage/files/repository.py",
    ],
)
def test_sql_at_home_is_none(path: str) -> None:
    assert not list(check_sql_home(source(path, 'tx.execute("SELECT 1 FROM a")')))


@pytest.mark.parametrize(
    "text",
    [
        'def f():\n    """SELECT the rows."""',
        'raise ValueError("Select a column first")',
        'message = "Update the dataset, or set another name"',
        'path = "/datasets/{id}"',
    ],
)
def test_prose_is_no_sql(text: str) -> None:
    assert not list(check_sql_home(source("tasks/service.py", text)))


@pytest.mark.parametrize(
    "text",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"],
)
def test_reading_the_environment_outside_settings_is_an_offence(text: str) -> None:
    assert [o.law for o in check_environment(source("kit/clock.py", text))] == ["environment"]
    assert not list(check_environment(source("settings.py", text)))


@pytest.mark.parametrize(
    "text", ["await tx.commit()", "await tx.rollback()", 'await tx.execute("COMMIT")']
)
def test_ending_a_transaction_in_a_room_is_an_offence(text: str) -> None:
    text = f"async def f(tx):\n    {text}"
    found = list(check_transaction_ends(source("datasets/service.py", text)))
    assert [o.law for o in found] == ["transaction-end"]
    assert not list(check_transaction_ends(source("storage/database.py", text)))


@pytest.mark.parametrize("text", ["ProcrastinateEngine()", "aiohttp.ClientSession()"])
def test_constructing_what_is_wired_in_a_room_is_an_offence(text: str) -> None:
    found = list(check_construction(source("tasks/service.py", text)))
    assert [o.law for o in found] == ["construction"]
    assert not list(check_construction(source("bootstrap/parts.py", text)))


def test_code_outside_the_package_may_do_as_it_likes() -> None:
    text = 'import os\nos.environ["A"]\nProcrastinateEngine()\nQ = "SELECT 1"'
    test = Source(PurePosixPath("tests/unit/test_a.py"), text)
    for law in (check_sql_home, check_environment, check_transaction_ends, check_construction):
        assert not list(law(test))


def test_a_room_that_opens_a_transaction_is_an_offence() -> None:
    text = "async def f(database):\n    async with database.transaction(read_only=True) as tx:\n        ..."
    found = list(check_transaction_starts(source("tasks/service.py", text)))
    assert [o.law for o in found] == ["transaction-start"]


@pytest.mark.parametrize("path", ["tasks/jobs.py", "api/access.py", "engine/answers.py"])
def test_a_job_and_what_is_no_room_may_open_one(path: str) -> None:
    text = "async def f(database):\n    async with database.transaction() as tx:\n        ..."
    assert not list(check_transaction_starts(source(path, text)))


def test_a_transaction_of_a_room_that_names_no_workspace_is_an_offence() -> None:
    text = "class A:\n    async def f(self):\n        async with self._database.transaction({}) as tx: ..."
    crossing, named = text.format("read_only=True"), text.format("workspace_id=self.whose")
    (found,) = check_transaction_workspaces(source("tasks/events.py", crossing))
    assert (found.law, found.subject) == ("transaction-workspace", "f")
    assert not list(check_transaction_workspaces(source("tasks/events.py", named)))
    assert not list(check_transaction_workspaces(source("tasks/jobs.py", crossing)))


def test_a_savepoint_is_no_transaction_of_its_own() -> None:
    text = "async def f(tx):\n    async with tx.transaction():\n        ..."
    assert not list(check_transaction_starts(source("tasks/service.py", text)))
