"""The laws of the house that no linter from elsewhere knows, checked over the syntax trees.

`python -m tools.house` checks the repository that it stands in. Exceptions are listed with their
reasons in `exceptions.toml`; one that nothing needs any more is an offence itself.
"""
