"""The child's side of the local model: loads the weights, serves them, ends when it should.

It reads one line of JSON from standard input (`Orders`), writes the server's address as one line
to standard output once the weights are loaded, and ends when standard input closes (its parent is
gone), when nobody asked anything for a while, or by a limit of the kernel's.
"""

import importlib
import os
import re
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from gridmill.kit.process_child import die_with

_LOOK_SECONDS = 5.0
_CPU_SECONDS = 7 * 24 * 3600
"""A child that computed for so long is ended by the kernel; the next request starts a fresh one."""

_ADDRESS_SLACK = 3 * 2**30
"""Address space beyond weights and cache: the interpreter, stacks and arenas of threads."""

_PROMPT_CACHE_MIB = 256
_BUSY = re.compile(
    r"^llamacpp:(prompt_tokens_total|prompt_tokens_cached_total|tokens_predicted_total"
    r"|requests_processing|requests_deferred) (\S+)$",
    re.MULTILINE,
)


class Orders(msgspec.Struct):
    """What the parent wants. `memory` bounds weights and cache, in bytes; `context` is in tokens."""

    parent: int
    model: str
    name: str
    key: str
    threads: int
    context: int
    memory: int
    idle_seconds: float


def main() -> None:
    """Serve until the parent goes or nobody asks any more."""
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    die_with(orders.parent)
    limit = orders.memory + _ADDRESS_SLACK
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)
    threading.Thread(target=_end_with_input, daemon=True).start()
    _serve(orders)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _serve(orders: Orders) -> None:
    # Has no types; 35 MB that only this process needs.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = orders.model
    params.model_alias = {orders.name}
    params.api_keys = [orders.key]
    params.n_ctx = orders.context
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.n_threads_http = 2
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.endpoint_metrics = True
    params.ui = False
    params.offline = True
    params.verbosity = 1
    for pool in (params.cpuparams, params.cpuparams_batch):
        # Threads that poll on busy cores bring generation to a standstill.
        pool.n_threads, pool.poll = orders.threads, 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    _wait_until_idle(server.handle_metrics, orders.idle_seconds)
    os._exit(0)


def _wait_until_idle(read_metrics: Callable[[], str], seconds: float) -> None:
    """Return once no token was read or written for `seconds`, whoever asked."""
    seen: list[tuple[str, str]] = []
    since = time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(min(_LOOK_SECONDS, seconds / 4))
        found: list[tuple[str, str]] = _BUSY.findall(read_metrics())
        if found != seen or any(n.startswith("requests") and float(v) > 0 for n, v in found):
            seen, since = found, time.monotonic()


if __name__ == "__main__":
    main()
