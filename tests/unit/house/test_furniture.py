from pathlib import PurePosixPath

import pytest

from tools.house.furniture import (
    check_contracts,
    check_lock,
    check_names,
    check_packages,
    check_room_entrance,
    check_test_sleep,
)
from tools.house.source import Source


def paths(*names: str) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in names]


@pytest.mark.parametrize(
    "name", ["utils.py", "common.py", "helpers/text.py", "manager.py", "misc.py", "helper.py"]
)
def test_a_vague_name_is_an_offence(name: str) -> None:
    found = list(check_names(paths(f"src/gridmill/tasks/{name}")))
    assert [o.law for o in found] == ["vague-name"]


def test_a_name_that_says_something_is_none() -> None:
    assert not list(check_names(paths("src/gridmill/tasks/selection.py", "docs/common.md")))


def test_a_folder_of_modules_without_init_is_an_offence() -> None:
    listed = paths("src/gridmill/tasks/__init__.py", "src/gridmill/tasks/repository/batches.py")
    found = list(check_packages(listed))
    assert [str(o.path) for o in found] == ["src/gridmill/tasks/repository"]


def test_migrations_need_no_init() -> None:
    assert not list(check_packages(paths("src/gridmill/storage/migrations/0001_a.pre.sql")))


@pytest.mark.parametrize("text", ["", '"""Owns tasks."""\nfrom gridmill.tasks import service\n'])
def test_a_room_s_init_with_more_or_less_than_a_docstring_is_an_offence(text: str) -> None:
    room = Source(PurePosixPath("src/gridmill/tasks/__init__.py"), text)
    assert [o.law for o in check_room_entrance(room)] == ["room-entrance"]


def test_a_room_s_init_with_a_docstring_is_none() -> None:
    room = Source(PurePosixPath("src/gridmill/tasks/__init__.py"), '"""Owns tasks."""\n')
    assert not list(check_room_entrance(room))


def test_a_repository_and_an_operation_without_contract_are_offences() -> None:
    project = """
        [[tool.importlinter.contracts]]
        type = "protected"
        protected_modules = ["gridmill.auth.repository"]
        [[tool.importlinter.contracts]]
        type = "independence"
        modules = ["gridmill.operations.enrichment"]
    """
    listed = paths(
        "src/gridmill/auth/repository.py",
        "src/gridmill/webhooks/repository.py",
        "src/gridmill/datasets/repository/__init__.py",
        "src/gridmill/operations/enrichment/__init__.py",
        "src/gridmill/operations/generation/__init__.py",
    )
    assert {o.subject for o in check_contracts(listed, project)} == {
        "gridmill.webhooks.repository",
        "gridmill.datasets.repository",
        "gridmill.operations.generation",
    }


@pytest.mark.parametrize(
    "line",
    [
        "--index-url=https://packages.example.org/simple",
        "a @ git+ssh://host.example/a.git",
        "a @ https://host.example/a-1.0.whl",
    ],
)
def test_an_address_in_the_lock_is_an_offence(line: str) -> None:
    found = list(check_lock(PurePosixPath("requirements.lock"), f"b==1\n{line}\n"))
    assert [(o.law, o.line) for o in found] == [("lock-address", 2)]


def test_a_lock_of_names_and_hashes_is_none() -> None:
    text = "a==1.0 ; python_version >= '3.11' \\\n    --hash=sha256:00ff\n"
    assert not list(check_lock(PurePosixPath("requirements.lock"), text))


@pytest.mark.parametrize("call", ["asyncio.sleep(0.1)", "time.sleep(pause)", "sleep(1)"])
def test_a_test_that_sleeps_is_an_offence(call: str) -> None:
    text = f"async def test_a():\n    for _ in range(3):\n        {call}\n"
    found = list(check_test_sleep(Source(PurePosixPath("tests/unit/test_a.py"), text)))
    assert [(o.law, o.line, o.subject) for o in found] == [("test-sleep", 3, "test_a")]


@pytest.mark.parametrize(
    "body",
    [
        "    await asyncio.sleep(0)\n",
        "    while not done():\n        time.sleep(0.02)\n",
        "    async def answer(batch):\n        await asyncio.sleep(60)\n",
    ],
)
def test_letting_others_run_asking_again_and_pretending_to_work_are_none(body: str) -> None:
    source = Source(PurePosixPath("tests/unit/test_a.py"), f"async def test_a():\n{body}")
    assert not list(check_test_sleep(source))
