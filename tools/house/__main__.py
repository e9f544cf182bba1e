"""Checks the laws over the repository; prints offences, ends with 1 when there are any."""

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tools.house import furniture, homes, sizes
from tools.house.source import Exemption, Offence, list_files, load_exemptions, load_sources

ROOT = Path(__file__).parents[2]
EXCEPTIONS = PurePosixPath("tools/house/exceptions.toml")
LOCK = PurePosixPath("requirements.lock")
LAWS = (
    sizes.check_file_size,
    sizes.check_function_size,
    homes.check_sql_home,
    homes.check_environment,
    homes.check_transaction_ends,
    homes.check_transaction_starts,
    homes.check_transaction_workspaces,
    homes.check_construction,
    furniture.check_room_entrance,
    furniture.check_test_sleep,
)


def find_offences(root: Path) -> Iterator[Offence]:
    """Every offence in the repository at `root`, exempt or not."""
    paths = list_files(root)
    for source in load_sources(root, paths):
        for law in LAWS:
            yield from law(source)
    yield from furniture.check_names(paths)
    yield from furniture.check_packages(paths)
    yield from furniture.check_contracts(paths, (root / "pyproject.toml").read_text())
    yield from furniture.check_lock(LOCK, (root / LOCK).read_text())


def judge(offences: list[Offence], exemptions: list[Exemption]) -> list[Offence]:
    """The offences that nothing excuses, and the exceptions that nothing needs."""
    open_ones = [
        offence
        for offence in offences
        if not any(exemption.covers(offence) for exemption in exemptions)
    ]
    stale = [
        Offence("stale-exception", EXCEPTIONS, 1, f"{item.law} in {item.path}: nothing needs it")
        for item in exemptions
        if not any(item.covers(offence) for offence in offences)
    ]
    return open_ones + stale


def main() -> int:
    """Check, report, and give the exit code."""
    exemptions = load_exemptions(ROOT / EXCEPTIONS)
    offences = judge(list(find_offences(ROOT)), exemptions)
    for offence in offences:
        print(offence)
    laws = len(LAWS) + 4
    print(f"House: {laws} laws, {len(exemptions)} listed exceptions, {len(offences)} offences.")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
