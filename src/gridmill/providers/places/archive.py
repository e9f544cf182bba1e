"""The data that comes with Gridmill: made by `tools/places.py`, described in NOTICE."""

import lzma
from importlib.resources import files
from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")

_MEMORY = 2**28


def read_archive(name: str, shape: type[Shape]) -> Shape:
    """The content of a data file, in its shape."""
    packed = files("gridmill.providers.places").joinpath("data", name).read_bytes()
    return msgspec.json.decode(lzma.decompress(packed, memlimit=_MEMORY), type=shape)
