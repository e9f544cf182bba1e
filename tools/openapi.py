"""docs/openapi.json, and the one that clients were last promised.

`python -m tools.openapi` writes the first anew. `python -m tools.openapi release` makes it the
promise too, docs/openapi.released.json, and tells what that breaks (`tools.breaks`): the only way
in which the promise moves, so that a break takes a decision and shows in review.
"""

import sys
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gridmill.api.downloads import make_router
from gridmill.api.openapi import write_openapi
from gridmill.api.rooms import list_routers
from gridmill.api.routes import RouteTable
from tools.breaks import find_breaks

Json: TypeAlias = dict[str, Any]

COMMITTED = Path(__file__).parent.parent / "docs" / "openapi.json"
RELEASED = COMMITTED.with_name("openapi.released.json")


def write() -> Json:
    """The document that a server of this version shows at /openapi.json."""
    return write_openapi(RouteTable([*list_routers(), ("", make_router({}))]).routes)


def to_text(document: Json) -> bytes:
    """The document as it is committed: indented, keys in a fixed order, so that changes read well."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document, option=options)


def release() -> list[str]:
    """Promise clients the present document; what breaks for those of the last promise."""
    present = write()
    broken = find_breaks(orjson.loads(RELEASED.read_bytes()), present) if RELEASED.exists() else []
    RELEASED.write_bytes(to_text(present))
    return broken


if __name__ == "__main__":
    if sys.argv[1:] == ["release"]:
        for sentence in release():
            print(f"breaks clients: {sentence}")
    COMMITTED.write_bytes(to_text(write()))
