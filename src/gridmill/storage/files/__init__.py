"""Uploaded files, kept in PostgreSQL so that every worker on every machine can read them.

`repository.py` is the door. May import kit and `storage.database`.
"""
