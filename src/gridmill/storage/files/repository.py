"""Files in chunks of 1 MiB: saved from a path, copied to one, or streamed; memory stays flat."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from gridmill.kit.ids import new_uuid7
from gridmill.storage.database import Database, Tx

CHUNK_BYTES = 2**20


class StoredFileMissing(LookupError):
    """No such file, or it was deleted while it was read."""

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"there is no stored file {file_id}")
        self.file_id = file_id


async def save_file(tx: Tx, path: Path) -> UUID:
    """Store the bytes of the file at `path`; return its id. Raises `OSError` of the reading."""
    file_id = new_uuid7()
    with await asyncio.to_thread(path.open, "rb") as file:
        await tx.execute("INSERT INTO files (file_id, size) VALUES (%s, 0)", (file_id,))
        size = await _write_chunks(tx, file_id, file)
    await tx.execute("UPDATE files SET size = %s WHERE file_id = %s", (size, file_id))
    return file_id


async def _write_chunks(tx: Tx, file_id: UUID, file: BinaryIO) -> int:
    # Binary, because the text form of bytes is twice as long and has to be built.
    size = 0
    chunk_no = 0
    async with tx.cursor() as cursor:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            await cursor.execute(
                "INSERT INTO file_chunks (file_id, chunk_no, bytes) VALUES (%s, %s, %b)",
                (file_id, chunk_no, chunk),
            )
            size += len(chunk)
            chunk_no += 1
    return size


async def read_file_size(tx: Tx, file_id: UUID) -> int | None:
    """The length in bytes, or `None` when there is no such file."""
    cursor = await tx.execute("SELECT size FROM files WHERE file_id = %s", (file_id,))
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def copy_file_to(tx: Tx, file_id: UUID, path: Path) -> int:
    """Write the file's bytes to `path`, replacing what is there; return their number.

    Raises `StoredFileMissing`, and `OSError` of the writing; then `path` may hold a part.
    """
    size = await _require_size(tx, file_id)
    with await asyncio.to_thread(path.open, "wb") as file:
        for chunk_no in range(count_chunks(size)):
            await asyncio.to_thread(file.write, await _read_chunk(tx, file_id, chunk_no))
    return size


async def stream_file(database: Database, file_id: UUID) -> AsyncGenerator[bytes]:
    """Yield the file's bytes in chunks, one short transaction each.

    A slow reader so holds neither a connection nor a snapshot. Raises `StoredFileMissing`,
    before the first chunk or, when the file is deleted meanwhile, between two of them.
    """
    async with database.transaction(read_only=True) as tx:
        size = await _require_size(tx, file_id)
    for chunk_no in range(count_chunks(size)):
        async with database.transaction(read_only=True) as tx:
            chunk = await _read_chunk(tx, file_id, chunk_no)
        yield chunk


async def delete_file(tx: Tx, file_id: UUID) -> bool:
    """Remove the file with its chunks; `False` when it was not there."""
    cursor = await tx.execute("DELETE FROM files WHERE file_id = %s", (file_id,))
    return cursor.rowcount == 1


def count_chunks(size: int) -> int:
    """How many chunks `size` bytes fill."""
    return -(-size // CHUNK_BYTES)


async def _require_size(tx: Tx, file_id: UUID) -> int:
    size = await read_file_size(tx, file_id)
    if size is None:
        raise StoredFileMissing(file_id)
    return size


async def _read_chunk(tx: Tx, file_id: UUID, chunk_no: int) -> bytes:
    async with tx.cursor(binary=True) as cursor:
        await cursor.execute(
            "SELECT bytes FROM file_chunks WHERE file_id = %s AND chunk_no = %s",
            (file_id, chunk_no),
        )
        row = await cursor.fetchone()
    if row is None:
        raise StoredFileMissing(file_id)
    return bytes(row[0])
