"""Names and places: what a module may be called, what a room's `__init__` holds, floors."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from tools.house.source import PACKAGE, Offence, Source

_VAGUE = re.compile(r"^(?:utils?|commons?|helpers?|managers?|misc)$")
# Folders that hold data, not modules.
_DATA = frozenset({"migrations"})
_ADDRESS = re.compile(r"\b[a-z][a-z+]*://|--(?:extra-)?index-url|--find-links")


def check_names(paths: Iterable[PurePosixPath]) -> Iterator[Offence]:
    """A module is named after what it is; "utils" is where duties get lost."""
    for path in paths:
        if path.suffix != ".py":
            continue
        for part in (*path.parent.parts, path.stem):
            if _VAGUE.match(part):
                yield Offence("vague-name", path, 1, f"{part!r} names nothing", part)


def check_packages(paths: Iterable[PurePosixPath]) -> Iterator[Offence]:
    """Every folder of modules is a package, so that no contract overlooks it."""
    modules = [path for path in paths if path.suffix == ".py" and path.is_relative_to(PACKAGE)]
    packages = {path.parent for path in modules if path.name == "__init__.py"}
    for folder in sorted({path.parent for path in modules} - packages):
        if folder.name not in _DATA:
            yield Offence("no-package", folder, 1, "a folder of modules without __init__.py")


def check_room_entrance(source: Source) -> Iterator[Offence]:
    """A room's `__init__` says what it owns, and nothing else."""
    inside = source.inside
    if source.room is None or inside is None or len(inside.parts) != 2:
        return
    if inside.name == "__init__.py" and (
        ast.get_docstring(source.tree) is None or len(source.tree.body) != 1
    ):
        yield Offence("room-entrance", source.path, 1, "holds a docstring only")


def check_test_sleep(source: Source) -> Iterator[Offence]:
    """A test waits for a condition: a time is too short on a slow machine, too long on others."""
    if source.path.parts[0] != "tests":
        return
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if function.name.startswith("test_"):
            for call in _find_sleeps(function):
                message = f"{function.name} sleeps; see tests.support.waiting"
                yield Offence("test-sleep", source.path, call.lineno, message, function.name)


def _find_sleeps(node: ast.AST) -> Iterator[ast.Call]:
    """Calls that pass time, but for loops that ask again and functions that only pretend to work."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.While | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Call) and _is_sleep(child):
            yield child
        yield from _find_sleeps(child)


def _is_sleep(call: ast.Call) -> bool:
    """`sleep(0)` only lets others run."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    name = call.func.id if isinstance(call.func, ast.Name) else name
    argument = call.args[0] if call.args else None
    return name == "sleep" and not (isinstance(argument, ast.Constant) and argument.value == 0)


def check_contracts(paths: Iterable[PurePosixPath], project: str) -> Iterator[Offence]:
    """Every repository and every operation has its contract in pyproject.toml."""
    contracts: list[dict[str, Any]] = tomllib.loads(project)["tool"]["importlinter"]["contracts"]
    protected = {name for entry in contracts for name in entry.get("protected_modules", [])}
    apart = {
        name for entry in contracts if entry["type"] == "independence" for name in entry["modules"]
    }
    rooms = {path.relative_to(PACKAGE) for path in paths if path.is_relative_to(PACKAGE)}
    for path in sorted(rooms):
        match path.parts:
            case (room, "repository.py") | (room, "repository", "__init__.py"):
                needed, present = f"gridmill.{room}.repository", protected
            case ("operations", operation, "__init__.py"):
                needed, present = f"gridmill.operations.{operation}", apart
            case _:
                continue
        if needed not in present:
            message = f"no contract in pyproject.toml names {needed}"
            yield Offence("no-contract", PACKAGE / path, 1, message, needed)


def check_lock(path: PurePosixPath, text: str) -> Iterator[Offence]:
    """The lock names packages and hashes; where they come from is the installer's affair."""
    for number, line in enumerate(text.splitlines(), start=1):
        if _ADDRESS.search(line):
            yield Offence("lock-address", path, number, f"an address in the lock: {line[:60]!r}")
