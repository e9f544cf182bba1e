"""The head of a GGUF file: whether it is one, whether it is whole, and what it needs in memory.

Format: "GGUF" version 2 and 3, as documented by the ggml project (docs/gguf.md): little-endian; magic,
version, number of tensors, number of key-value pairs, the pairs, the tensors' descriptions.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gridmill.providers.local.errors import BadWeights

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_TENSORS = 100_000
_MOST_PAIRS = 10_000
_LONGEST_TEXT = 2**24
_MOST_ITEMS = 2**24
_TEXT, _ARRAY = 8, 9
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}

_CACHE_BYTES = 2
"""llama.cpp keeps keys and values as 16-bit floats unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a GGUF file says of itself. `size` is the file's, in bytes."""

    size: int
    architecture: str
    context: int
    layers: int
    cache_width: int

    def count_memory(self, context: int) -> int:
        """Bytes that the weights and a cache for `context` tokens take.

        Per token and layer a key and a value of `cache_width` 16-bit floats (grouped-query
        attention: heads of keys x the width of a head).
        """
        return self.size + context * self.layers * 2 * self.cache_width * _CACHE_BYTES


def read_head(path: Path) -> Head:
    """Read and check a file's head. Raises `BadWeights` for what llama.cpp could not load."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(file, size)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from error
    except (struct.error, UnicodeDecodeError, ValueError, TypeError) as error:
        raise BadWeights(
            f"{path} is no whole GGUF file ({error}). Install the weights again, or name another file."
        ) from error


def _read(file: BinaryIO, size: int) -> Head:
    if file.read(4) != _MAGIC:
        raise ValueError("it does not start with GGUF")
    version, tensors, pairs = struct.unpack("<IQQ", file.read(20))
    if version not in _VERSIONS:
        raise ValueError(f"version {version}")
    if not 0 < tensors <= _MOST_TENSORS or pairs > _MOST_PAIRS:
        raise ValueError("its counts make no sense")
    facts: dict[str, object] = {}
    for _ in range(pairs):
        name = _read_text(file)
        facts[name] = _read_value(file, _unpack(file, "I"))
    furthest = max(_read_tensor(file) for _ in range(tensors))
    if file.tell() + furthest >= size:
        raise ValueError("its end is missing")
    return _describe(facts, size)


def _describe(facts: dict[str, object], size: int) -> Head:
    name = str(facts.get("general.architecture", ""))

    def count(key: str, default: int = 0) -> int:
        found = facts.get(f"{name}.{key}", default)
        return found if isinstance(found, int) and 0 <= found < 2**31 else default

    heads = count("attention.head_count", 1) or 1
    width = count("embedding_length") // heads
    groups = count("attention.head_count_kv", heads)
    return Head(size, name, count("context_length"), count("block_count"), width * groups)


def _read_tensor(file: BinaryIO) -> int:
    """The place of a tensor's first byte, counted from the end of the head."""
    _read_text(file)
    dimensions = _unpack(file, "I")
    if dimensions > 8:
        raise ValueError("a tensor with over 8 dimensions")
    file.read(8 * dimensions + 4)
    return _unpack(file, "Q")


def _read_value(file: BinaryIO, kind: int) -> object:
    """A plain value; of an array `None`, its items are passed over."""
    if kind == _TEXT:
        return _read_text(file)
    if kind != _ARRAY:
        return _unpack_any(file, kind)
    item, count = _unpack(file, "I"), _unpack(file, "Q")
    if count > _MOST_ITEMS:
        raise ValueError("an endless list")
    if item == _TEXT:
        for _ in range(count):
            _read_text(file)
    else:
        file.seek(count * struct.calcsize(_find_format(item)), 1)
    return None


def _read_text(file: BinaryIO) -> str:
    length = _unpack(file, "Q")
    if length > _LONGEST_TEXT:
        raise ValueError("an endless text")
    return file.read(length).decode(errors="replace")


def _find_format(kind: int) -> str:
    if kind not in _FORMATS:
        raise ValueError(f"a value of the unknown kind {kind}")
    return "<" + _FORMATS[kind]


def _unpack_any(file: BinaryIO, kind: int) -> int | float | bool:
    form = _find_format(kind)
    value: int | float | bool = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return 0 if isinstance(value, float) and not math.isfinite(value) else value


def _unpack(file: BinaryIO, form: str) -> int:
    form = "<" + form
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])
