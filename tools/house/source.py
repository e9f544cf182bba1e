"""What the laws look at: files of the repository, and offences against a law."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

PACKAGE = PurePosixPath("src/gridmill")
FOLDERS = ("src", "tests", "tools", "benchmarks", "examples")
ROOMS = frozenset({"auth", "webhooks", "datasources", "datasets", "operations", "tasks"})


@dataclass(frozen=True, slots=True)
class Offence:
    """A law broken at a line of a file; `subject` is the function, class or name, if it has one."""

    law: str
    path: PurePosixPath
    line: int
    message: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.law}: {self.message}"


@dataclass(frozen=True)
class Source:
    """A Python file: `path` is relative to the repository, with forward slashes."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, filename=str(self.path))

    @property
    def inside(self) -> PurePosixPath | None:
        """The path inside the package, or None when the file is not part of it."""
        return self.path.relative_to(PACKAGE) if self.path.is_relative_to(PACKAGE) else None

    @property
    def room(self) -> str | None:
        """The room that the file belongs to, or None."""
        inside = self.inside
        return inside.parts[0] if inside and inside.parts[0] in ROOMS else None


@dataclass(frozen=True, slots=True)
class Exemption:
    """An entry of `exceptions.toml`."""

    law: str
    path: str
    subject: str
    reason: str

    def covers(self, offence: Offence) -> bool:
        """Whether this entry excuses `offence`."""
        same = self.law == offence.law and PurePosixPath(self.path) == offence.path
        return same and self.subject in {"", offence.subject}


def list_files(root: Path) -> list[PurePosixPath]:
    """The files of the code folders: git is not asked, it may be absent or refuse to answer."""
    return sorted(
        PurePosixPath(path.relative_to(root).as_posix())
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def load_sources(root: Path, paths: list[PurePosixPath]) -> Iterator[Source]:
    """The Python files among `paths`."""
    for path in paths:
        if path.suffix == ".py":
            yield Source(path, (root / path).read_text(encoding="utf-8"))


def load_exemptions(path: Path) -> list[Exemption]:
    """Read the listed exceptions; raises `ValueError` for one without a reason."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])
    exemptions = [
        Exemption(entry["law"], entry["path"], entry.get("subject", ""), entry["reason"])
        for entry in entries
    ]
    for exemption in exemptions:
        if len(exemption.reason.split()) < 3:
            raise ValueError(f"the exception for {exemption.path} gives no reason")
    return exemptions
