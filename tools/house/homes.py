"""Things that have one home: SQL, the environment, ends of transactions, construction."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.house.source import Offence, Source

_SQL = re.compile(
    r"""^\s*(?:--[^\n]*\n\s*)*(?:
        SELECT\s | INSERT\s+INTO\s | UPDATE\s+\S+.*\sSET\s | DELETE\s+FROM\s | TRUNCATE\s
      | WITH\s+(?:RECURSIVE\s+)?\w+\s.*\bAS\s | CREATE\s+(?:TEMP|TABLE|INDEX|UNIQUE|TYPE|FUNCTION)
      | ALTER\s+(?:TABLE|TYPE|INDEX)\s | DROP\s+(?:TABLE|INDEX|TYPE)\s | COPY\s+[\w{"]+.*\s(?:FROM|TO)\s
      | LOCK\s+TABLE\s | LISTEN\s | NOTIFY\s | SET\s+(?:LOCAL|SESSION)\s | VACUUM\s
    )""",
    re.VERBOSE | re.DOTALL,
)
_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})
_ENDS = frozenset({"commit", "rollback"})
_ENDS_SQL = re.compile(r"^\s*(?:COMMIT|ROLLBACK|BEGIN)\b(?!\s+TO)")

# What lives as long as its process is made where everything is wired. The last part of a dotted
# name is enough: the names are the house's own, or unmistakable.
CONSTRUCTED = {
    "ProcrastinateEngine": ("bootstrap",),
    "Settings": ("settings.py", "bootstrap"),
    "AsyncConnectionPool": ("storage", "engine"),
    "ClientSession": ("providers", "kit/egress.py", "kit/egress", "bootstrap"),
    "FastAPI": ("api",),
}


def check_sql_home(source: Source) -> Iterator[Offence]:
    """SQL lives in a room's repository, in the engine and in storage."""
    inside = source.inside
    if inside is None or _is_sql_home(inside):
        return
    for line, text in _find_strings(source.tree):
        if _SQL.match(text):
            message = f"SQL outside its homes: {text.strip()[:40]!r}"
            yield Offence("sql-home", source.path, line, message)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{name.name}" for name in node.names} | {node.module or ""}
            if names & {"psycopg.sql"}:
                yield Offence(
                    "sql-home", source.path, node.lineno, "psycopg.sql is for SQL's homes"
                )


def check_environment(source: Source) -> Iterator[Offence]:
    """Only settings.py reads the environment."""
    if source.inside is None or source.inside == PurePosixPath("settings.py"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = node.value.id == "os" and node.attr in _ENVIRONMENT
        elif isinstance(node, ast.ImportFrom):
            found = node.module == "os" and any(name.name in _ENVIRONMENT for name in node.names)
        else:
            found = False
        if found:
            message = "only settings.py reads the environment"
            yield Offence("environment", source.path, getattr(node, "lineno", 1), message)


def check_transaction_ends(source: Source) -> Iterator[Offence]:
    """Rooms never commit and never roll back: the edge and the job services do."""
    if source.room is None:
        return
    message = "rooms neither commit nor roll back"
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _ENDS
        ):
            yield Offence("transaction-end", source.path, node.lineno, message)
    for line, text in _find_strings(source.tree):
        if _ENDS_SQL.match(text):
            yield Offence("transaction-end", source.path, line, message)


def check_transaction_starts(source: Source) -> Iterator[Offence]:
    """A room is given its transaction; only its jobs, and what outlives a request, open their own."""
    for node, _ in _find_transactions(source):
        message = "rooms are given their transaction"
        yield Offence("transaction-start", source.path, node.lineno, message)


def check_transaction_workspaces(source: Source) -> Iterator[Offence]:
    """A transaction that a room opens names its workspace: only its jobs may cross them unnamed."""
    for node, function in _find_transactions(source):
        if not any(keyword.arg == "workspace_id" for keyword in node.keywords):
            message = "a transaction without workspace_id sees every workspace"
            yield Offence("transaction-workspace", source.path, node.lineno, message, function)


def _find_transactions(source: Source) -> Iterator[tuple[ast.Call, str]]:
    """The transactions that a room opens outside its jobs, each with the function that it is in."""
    inside = source.inside
    if source.room is None or inside is None or inside.name == "jobs.py":
        return
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "transaction"
                # Of a transaction it is a savepoint, which ends within it.
                and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "tx")
            ):
                yield node, function.name


def check_construction(source: Source) -> Iterator[Offence]:
    """What lives as long as its process is constructed in bootstrap, or in its one home."""
    inside = source.inside
    if inside is None:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = _get_last_name(node.func)
        homes = CONSTRUCTED.get(name)
        if homes is not None and not any(inside.is_relative_to(home) for home in homes):
            message = f"{name} is made in {' or '.join(homes)}, and handed over from there"
            yield Offence("construction", source.path, node.lineno, message, name)


def _is_sql_home(inside: PurePosixPath) -> bool:
    if inside.parts[0] in {"engine", "storage"}:
        return True
    return "repository" in inside.parts[:-1] or inside.name == "repository.py"


def _find_strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string but docstrings, with its line; a formatted one by its first part."""
    skipped = {id(node) for node in _find_docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
            text = "".join(_read_part(part) for part in node.values)
            yield node.lineno, text
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")


def _read_part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


def _find_docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    """Bare strings: those of modules, classes and functions, and those that describe a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield node.value


def _get_last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
