"""Files up to 400 lines, functions up to 50 (their docstring aside)."""

import ast
from collections.abc import Iterator

from tools.house.source import Offence, Source

FILE_LINES = 400
FUNCTION_LINES = 50


def check_file_size(source: Source) -> Iterator[Offence]:
    """A file that needs scrolling for minutes holds two duties."""
    lines = source.text.count("\n")
    if lines > FILE_LINES:
        yield Offence("file-size", source.path, 1, f"{lines} lines, at most {FILE_LINES}")


def check_function_size(source: Source) -> Iterator[Offence]:
    """A function that does not fit a screen does more than one thing."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _count_lines(node)
            if lines > FUNCTION_LINES:
                message = f"{node.name} has {lines} lines, at most {FUNCTION_LINES}"
                yield Offence("function-size", source.path, node.lineno, message, node.name)


def _count_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    docstring = 0
    if ast.get_docstring(node, clean=False) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring
