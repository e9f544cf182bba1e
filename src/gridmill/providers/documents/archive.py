"""The parts of a zipped document, read in memory by their names; nothing is unpacked to disk."""

import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from gridmill.providers.documents.errors import UnreadableDocument

MAX_PARTS = 10_000
MAX_PART_BYTES = 2**28
"""Bytes of one part when inflated: a document of some 100,000 pages."""

MAX_RATIO = 200
"""Times that a part may grow; those of real documents grow 5 to 50 times."""

_RATIO_FROM = 2**24
_CHUNK = 2**20


class Archive:
    """An open archive. Raises `UnreadableDocument` for one that is damaged, encrypted or a bomb."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableDocument(f"The document is damaged: {error}.") from None
        parts = self._zip.infolist()
        if len(parts) > MAX_PARTS:
            raise UnreadableDocument(
                f"The document has {len(parts):,} parts; at most {MAX_PARTS:,} are read."
            )
        # Names are looked up and never followed, so that "../" in one leads nowhere.
        self._parts = {part.filename: part for part in parts}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def list_names(self) -> list[str]:
        """The names of the parts, as they stand in the archive."""
        return list(self._parts)

    def read(self, name: str) -> bytes | None:
        """A part inflated, `None` when there is none of that name."""
        part = self._parts.get(name)
        if part is None:
            return None
        found: list[bytes] = []
        size = 0
        try:
            with self._zip.open(part) as stream:
                while chunk := stream.read(_CHUNK):
                    found.append(chunk)
                    size += len(chunk)
                    # What it says of its size is not to be trusted: what comes out is counted.
                    if size > MAX_PART_BYTES or (
                        size > _RATIO_FROM and size > MAX_RATIO * max(part.compress_size, 1)
                    ):
                        raise UnreadableDocument(
                            f"{name[:100]} inflates to over {size // 2**20:,} MiB from "
                            f"{part.compress_size:,} bytes; no word processor writes that."
                        )
        except RuntimeError:
            raise UnreadableDocument(
                "The document is encrypted; save it without a password."
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise UnreadableDocument(f"{name[:100]} is damaged: {error}.") from None
        return b"".join(found)
