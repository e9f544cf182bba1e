import asyncio
import filecmp
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gridmill.storage.database import Database
from gridmill.storage.files.repository import (
    CHUNK_BYTES,
    StoredFileMissing,
    copy_file_to,
    delete_file,
    read_file_size,
    save_file,
    stream_file,
)

REPOSITORY = Path(__file__).parents[3]


async def save(database: Database, path: Path, content: bytes) -> UUID:
    await asyncio.to_thread(path.write_bytes, content)
    async with database.transaction() as tx:
        return await save_file(tx, path)


@pytest.mark.parametrize(
    "size",
    [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7],
)
async def test_a_file_comes_back_byte_for_byte(
    module_database: Database, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    file_id = await save(module_database, tmp_path / "in", content)

    async with module_database.transaction() as tx:
        assert await read_file_size(tx, file_id) == size
        assert await copy_file_to(tx, file_id, tmp_path / "out") == size
    assert (tmp_path / "out").read_bytes() == content
    assert b"".join([chunk async for chunk in stream_file(module_database, file_id)]) == content


async def test_a_save_that_is_rolled_back_leaves_no_chunk(
    module_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"x" * 10)
    saved: list[UUID] = []
    with pytest.raises(RuntimeError):
        async with module_database.transaction() as tx:
            saved.append(await save_file(tx, tmp_path / "in"))
            raise RuntimeError

    async with module_database.transaction() as tx:
        assert await read_file_size(tx, saved[0]) is None


async def test_a_deleted_file_is_gone_with_its_chunks(
    module_database: Database, tmp_path: Path
) -> None:
    file_id = await save(module_database, tmp_path / "in", b"x" * 10)
    async with module_database.transaction() as tx:
        assert await delete_file(tx, file_id)
        assert not await delete_file(tx, file_id)
        cursor = await tx.execute("SELECT count(*) FROM file_chunks WHERE file_id = %s", (file_id,))
        assert await cursor.fetchone() == (0,)
        with pytest.raises(StoredFileMissing):
            await copy_file_to(tx, file_id, tmp_path / "out")


async def test_a_file_that_never_was_is_missing(module_database: Database) -> None:
    with pytest.raises(StoredFileMissing):
        await anext(stream_file(module_database, uuid4()))


async def test_a_file_deleted_while_it_is_streamed_ends_with_an_error(
    module_database: Database, tmp_path: Path
) -> None:
    file_id = await save(module_database, tmp_path / "in", b"x" * (CHUNK_BYTES + 1))
    stream = stream_file(module_database, file_id)
    assert len(await anext(stream)) == CHUNK_BYTES
    async with module_database.transaction() as tx:
        await delete_file(tx, file_id)

    with pytest.raises(StoredFileMissing):
        await anext(stream)


async def test_a_slow_reader_holds_no_connection(database_url: str, tmp_path: Path) -> None:
    database = await Database.open(database_url, max_size=1)
    file_id = await save(database, tmp_path / "in", b"x" * (CHUNK_BYTES + 1))
    stream = stream_file(database, file_id)
    await anext(stream)

    assert await database.is_ready()
    await stream.aclose()
    await database.close()


async def test_a_hundred_megabytes_pass_through_little_memory(
    module_database_url: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    size = 100 * 2**20
    with source.open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(2**20))
    told = await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "tests.support.file_mover"),
            *(module_database_url, str(source), str(target)),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    streamed, copied, grown = told.stdout.split()

    assert int(streamed) == int(copied) == size
    assert float(grown) < 25
    assert filecmp.cmp(source, target, shallow=False)
    source.unlink()
    target.unlink()
