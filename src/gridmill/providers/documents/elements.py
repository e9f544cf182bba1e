"""Elements of parsed markup, and what lxml's log of a parsing tells."""

from typing import Any

Element = Any
"""An element of lxml, which ships without types."""


def check_memory(log: Any) -> None:  # noqa: ANN401 (a log of lxml's)
    """Raise `MemoryError` where the parser got no more memory, which it takes for broken markup."""
    if any(error.type_name == "ERR_NO_MEMORY" for error in log):
        raise MemoryError
