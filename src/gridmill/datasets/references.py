"""References between columns: `{{name}}` in a prompt reads another column of the row."""

import re
from collections.abc import Iterable, Mapping, Sequence

_REFERENCE = re.compile(r"\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}")


def find_references(prompt: str | None) -> tuple[str, ...]:
    """The names in `{{…}}` of a prompt, each once, in order; space around a name is ignored."""
    if not prompt:
        return ()
    return tuple(dict.fromkeys(match[1] for match in _REFERENCE.finditer(prompt)))


def rename_reference(prompt: str, old: str, new: str) -> str:
    """The prompt with `{{old}}` written `{{new}}`."""
    return _REFERENCE.sub(lambda match: f"{{{{{new}}}}}" if match[1] == old else match[0], prompt)


def find_unknown(prompts: Mapping[str, str | None], names: Iterable[str]) -> dict[str, list[str]]:
    """For each column (by name) the references of its prompt that name no column."""
    known = set(names)
    found = {
        name: [reference for reference in find_references(prompt) if reference not in known]
        for name, prompt in prompts.items()
    }
    return {name: unknown for name, unknown in found.items() if unknown}


def find_cycle(prompts: Mapping[str, str | None]) -> list[str] | None:
    """A cycle of references (`[a, b, a]`: a reads b, b reads a), or `None`.

    References to columns outside of `prompts` end there: nothing is filled for them.
    """
    graph = {
        name: [target for target in find_references(prompt) if target in prompts]
        for name, prompt in prompts.items()
    }
    done: set[str] = set()
    for start in graph:
        cycle = _walk(start, graph, done)
        if cycle is not None:
            return cycle
    return None


def _walk(start: str, graph: Mapping[str, Sequence[str]], done: set[str]) -> list[str] | None:
    path: list[str] = []
    open_at: dict[str, int] = {}
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            path.pop()
            del open_at[name]
            done.add(name)
        elif name in open_at:
            return [*path[open_at[name] :], name]
        elif name not in done:
            open_at[name] = len(path)
            path.append(name)
            stack.append((name, True))
            stack.extend((target, False) for target in reversed(graph[name]))
    return None
