"""A look at what an upload would be read as: parsed at once, in a child process; nothing is kept."""

from gridmill.datasources import service
from gridmill.datasources.blame import blame_file
from gridmill.datasources.errors import MalformedFile, TooManyRows
from gridmill.datasources.parsing.files import preview_file
from gridmill.datasources.parsing.model import (
    CODE_ROW_LIMIT,
    Format,
    ParseFailure,
    ParseOptions,
    Preview,
    UnknownSheet,
)
from gridmill.datasources.upload import ReceivedFile
from gridmill.kit.errors import Unavailable, ValidationFailed
from gridmill.kit.processes import ProcessError, ProcessPool

CPU_SECONDS = 60.0
WALL_SECONDS = 180.0
MOST_AT_ONCE = 8
"""Previews that run or wait for a process; each has a file on disk and a client that waits."""


class Previewer:
    """Shows files by the processes of `pool`, which bounds their memory."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._at_once = 0

    async def preview(self, file: ReceivedFile, options: ParseOptions) -> tuple[Format, Preview]:
        """What a received file is and its first rows; needs no transaction.

        Raises:
            UnsupportedFormat: it is of a kind that is not read.
            MalformedFile: it is empty, or cannot be read as far as it was.
            TooManyRows: it says that it holds more rows than a data source may.
            ValidationFailed: it has no sheet of the name that was given.
            Unavailable: too many previews at once, or the process was ended from outside.
        """
        content_type = await service.check_file(file, options)
        if self._at_once >= MOST_AT_ONCE:
            raise Unavailable("Too many previews are made at once; try again.", retry_after=5)
        self._at_once += 1
        try:
            return content_type, await self._read(file, content_type, options)
        finally:
            self._at_once -= 1

    async def _read(
        self, file: ReceivedFile, content_type: Format, options: ParseOptions
    ) -> Preview:
        try:
            with blame_file(CPU_SECONDS):
                return await self._pool.run(
                    preview_file,
                    str(file.path),
                    str(file.path.with_suffix(".rows")),
                    content_type.value,
                    options,
                    seconds=WALL_SECONDS,
                    cpu_seconds=CPU_SECONDS,
                )
        except UnknownSheet as failure:
            raise ValidationFailed.of("sheet", failure.message) from None
        except ParseFailure as failure:
            kind = TooManyRows if failure.code == CODE_ROW_LIMIT else MalformedFile
            raise kind(failure.message) from None
        except ProcessError:
            raise Unavailable("Reading the file was interrupted; try again.") from None
