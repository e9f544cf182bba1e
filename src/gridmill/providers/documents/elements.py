"""Elements of parsed markup."""

from typing import Any

Element = Any
"""An element of lxml, which ships without types."""
