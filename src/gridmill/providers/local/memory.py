"""How much memory a new process may take."""

from pathlib import Path


def read_available(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can be had without swapping, a container's limit counted; `None`: not known."""
    found = [_read_machine(proc), _read_group(proc, groups)]
    known = [amount for amount in found if amount is not None]
    return min(known, default=None)


def _read_machine(proc: Path) -> int | None:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _read_group(proc: Path, groups: Path) -> int | None:
    """What the control group (version 2) of this process leaves; page cache counts as free."""
    try:
        line = (proc / "self" / "cgroup").read_text().splitlines()[0]
        folder = groups / line.rpartition(":")[2].strip("/")
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((folder / "memory.current").read_text())
        stat = dict(text.split() for text in (folder / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError, IndexError):
        return None
