"""Five fixed seeds of the nemesis: everything is killed, paused and cut off while clients work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.nemesis.attack import Size, attack
from benchmarks.nemesis.cluster import running_cluster
from benchmarks.nemesis.faults import KINDS
from benchmarks.nemesis.setting import make_environment
from tests.support.fake_model import FakeModel

# Between them these strike with every kind of fault.
SEEDS = range(13, 18)
SIZE = Size(faults=3, longest=1.0, writers=2, runners=1, rows=30)
# A killed PostgreSQL loses nothing that the kernel has.
FAST = {"fsync": "off", "full_page_writes": "off"}


# The work is bounded by its faults; how long it takes is the machine's.
@pytest.mark.timeout(900)
async def test_every_acknowledged_write_and_every_event_survives_five_seeds_of_faults(
    tmp_path: Path, make_model: Callable[..., FakeModel]
) -> None:
    tmp_path.chmod(0o755)
    environment = make_environment(make_model("--latency", "0.05").url)
    struck: set[str] = set()
    async with running_cluster(tmp_path, environment, FAST) as cluster:
        for seed in SEEDS:
            outcome = await attack(cluster, seed, SIZE)
            assert outcome.failed == [], f"seed {seed}: {outcome.struck}"
            assert outcome.record.unanswered == 0
            assert outcome.record.tasks
            struck |= {fault.kind for fault in outcome.struck}
    assert struck == set(KINDS)
