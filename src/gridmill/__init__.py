"""Gridmill: AI tasks over tabular datasets, self-hosted."""

__version__ = "0.1.0"
