"""PostgreSQL's settings, each with its reason."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_MIB = 2**20

OWN_FILE = "gridmill.conf"
OPERATOR_FILE = "operator.conf"
INCLUDES = (
    "\n# gridmill.conf is written anew at each start; put settings of your own in operator.conf.\n"
    f"include = '{OWN_FILE}'\n"
    f"include_if_exists = '{OPERATOR_FILE}'\n"
)

# Only a password opens the door, and only from this machine.
ACCESS = (
    "# TYPE  DATABASE  USER  ADDRESS       METHOD\n"
    "host    all       all   127.0.0.1/32  scram-sha-256\n"
)

_SETTINGS: dict[str, str] = {
    # Pools of one API process and a few workers (10 to 20 each), and room for a person's psql.
    "max_connections": "100",
    # A page at row 900,000 is an index probe; the disk below is a solid-state one by now.
    "random_page_cost": "1.1",
    # Sorting 1M row numbers for a view in memory; a hundred connections rarely sort at once.
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    # Jobs already keep every core busy. Parallel queries would take them from one another and
    # need more of /dev/shm than the 64 MB that a container has.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    # Compiling a query pays off after seconds; ours take milliseconds.
    "jit": "off",
    # An import of 1M rows writes 200 MB of WAL; a checkpoint in its middle writes pages twice.
    "max_wal_size": "2GB",
    "min_wal_size": "128MB",
    "checkpoint_timeout": "10min",
    # Full pages after a checkpoint compress well, and the disk is slower than the processor.
    "wal_compression": "on",
    # Nobody replicates from an embedded server, and then a table that is made and filled in one
    # transaction (every import) needs no WAL for its rows.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A reply of 200 or 201 means that the data survives a power cut.
    "synchronous_commit": "on",
    # The job queue turns over its rows in minutes: small tables must not swell meanwhile.
    "autovacuum_naptime": "20s",
    "autovacuum_vacuum_scale_factor": "0.1",
    # A query whose client died stops within seconds instead of running to its end.
    "client_connection_check_interval": "5s",
    # Statements and values are the users' data: the log holds faults, not traffic.
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_line_prefix": "'%m [%p] '",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


def write_configuration(cluster: Path, overrides: Mapping[str, str]) -> list[Path]:
    """Write our files into a cluster's folder; return them (their owner is the caller's care)."""
    settings = {"shared_buffers": f"{_pick_shared_buffers()}MB", **_SETTINGS, **overrides}
    own = cluster / OWN_FILE
    own.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    access = cluster / "pg_hba.conf"
    access.write_text(ACCESS)
    for path in (own, access):
        path.chmod(0o600)
    return [own, access]


def add_includes(cluster: Path) -> Path:
    """Make the main file of a fresh cluster read ours and the operator's; return the latter."""
    operator = cluster / OPERATOR_FILE
    operator.write_text("# Settings here win over gridmill.conf.\n")
    operator.chmod(0o600)
    with (cluster / "postgresql.conf").open("a") as file:
        file.write(INCLUDES)
    return operator


def _pick_shared_buffers() -> int:
    """MiB: an eighth of what this machine or container may use, from 128 to 1,024.

    PostgreSQL's manual advises a quarter of a machine that does nothing else; this one also
    runs the API, its workers and perhaps a language model.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(128, min(memory // 8 // _MIB, 1024))
