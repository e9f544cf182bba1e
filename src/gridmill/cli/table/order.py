"""What a run is asked to do, read from its options; pure."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gridmill.cli.running import CommandFailed

DEFAULT_COLUMN = "answer"
FORMATS = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
"""Formats of the finished file by the ending of its name."""

# A name without spaces, or any in double quotes, before the first "=". A question that holds a
# later "=" is no name.
_NAMED = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<bare>[^\s="]+))\s*=\s*(?P<text>.*)', re.DOTALL)
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Input:
    """The file to read, and what messages call it."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where the result goes: `path` of `None` is standard output."""

    path: Path | None
    file_format: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: which columns to fill (as the API's `columns`), how, and where to.

    `overrides` are the sniffer's: `encoding`, `delimiter`, `header`, `sheet`.
    """

    columns: Sequence[Mapping[str, Any]]
    overrides: Mapping[str, str]
    target: Target
    include_metadata: bool = False
    model: str | None = None
    max_cost_usd: float | None = None

    @property
    def names(self) -> list[str]:
        """The columns to fill."""
        return [str(column["name"]) for column in self.columns]

    def make_key(self, source: Input) -> str:
        """32 hex digits that are the same for the same work: file, columns, overrides, model.

        Where the result goes is no part of it, so that a run which only could not write its file
        goes on from there.
        """
        asked = [source.name, list(self.columns), dict(self.overrides), self.model]
        digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))
        with source.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()[:32]


def read_overrides(
    encoding: str | None, delimiter: str | None, header: bool | None, sheet: str | None = None
) -> dict[str, str]:
    """What of the sniffer's work is said, in the words of an upload."""
    said = {
        "encoding": encoding,
        "delimiter": delimiter,
        "header": None if header is None else str(header).lower(),
        "sheet": sheet,
    }
    return {name: value for name, value in said.items() if value is not None}


def read_columns(
    prompts: Sequence[str], types: Sequence[str], options: Sequence[str]
) -> list[dict[str, Any]]:
    """The columns to fill, from `NAME=TEXT` prompts, `NAME=TYPE` types, `NAME=A,B,C` options.

    A prompt without a name fills the column `answer`; `NAME=` has no words beyond the name.
    Raises `CommandFailed` for a name that stands twice or is unknown.
    """
    columns: dict[str, dict[str, Any]] = {}
    for prompt in prompts:
        name, text = _split(prompt)
        if name is None:
            name, text = DEFAULT_COLUMN, prompt.strip()
        if name in columns:
            raise CommandFailed(
                f'--prompt: two of them fill the column {name}. Name each column: --prompt "NAME=TEXT".'
            )
        metadata = {"prompt": text.strip()} if text.strip() else {}
        columns[name] = {"name": name, "metadata": metadata}
    if not columns:
        raise CommandFailed('Say what to fill: --prompt "NAME=TEXT".')
    for option, values in (("--type", types), ("--options", options)):
        for value in values:
            name, text = _split(value)
            if name is None or not text.strip():
                raise CommandFailed(f"{option} is written NAME=..., not {value!r}.")
            if name not in columns:
                raise CommandFailed(f"{option} names {name}, which no --prompt fills.")
            if option == "--type":
                columns[name]["dataType"] = text.strip()
            else:
                columns[name].setdefault("dataType", "enum")
                columns[name]["metadata"]["options"] = [one.strip() for one in text.split(",")]
    return list(columns.values())


def choose_target(out: str, named: str | None) -> Target:
    """Where to write, in the named format, else the one of its ending, else CSV.

    Raises `CommandFailed` for a format or a place that cannot be written, before any work is done.
    """
    path = None if out == "-" else Path(out)
    known = sorted(set(FORMATS.values()))
    found = named or ("csv" if path is None else FORMATS.get(path.suffix.lower()))
    if found is None:
        raise CommandFailed(
            f"The ending of {out} names no format that is written; end it in"
            f" {', '.join(FORMATS)} or add --format."
        )
    if found not in known:
        raise CommandFailed(f"--format is one of {', '.join(known)}, not {found}.")
    if path is not None and path.is_dir():
        raise CommandFailed(f"{out} is a folder; name the file to write.")
    if path is not None and not os.access(path.parent, os.W_OK | os.X_OK):
        raise CommandFailed(f"Cannot write {out}: there is no folder {path.parent} to write to.")
    return Target(path, found)


def _split(text: str) -> tuple[str | None, str]:
    match = _NAMED.fullmatch(text)
    if match is None:
        return None, text
    return match["quoted"] or match["bare"], match["text"]
