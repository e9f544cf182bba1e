from pathlib import Path, PurePosixPath

import pytest

from tools.house.__main__ import judge
from tools.house.source import Exemption, Offence, list_files, load_exemptions

LONG = Offence("function-size", PurePosixPath("src/gridmill/a.py"), 3, "long", "plan")


def test_an_offence_without_exception_stays() -> None:
    assert judge([LONG], []) == [LONG]


def test_a_listed_exception_excuses_its_subject_only() -> None:
    reason = "one statement, read as a whole"
    listed = Exemption("function-size", "src/gridmill/a.py", "plan", reason)
    other = Exemption("function-size", "src/gridmill/a.py", "run", reason)
    assert judge([LONG], [listed]) == []
    assert [offence.law for offence in judge([LONG], [other])] == [
        "function-size",
        "stale-exception",
    ]


def test_an_exception_that_nothing_needs_is_an_offence() -> None:
    listed = Exemption("file-size", "src/gridmill/a.py", "", "a table that grew over time")
    assert [offence.law for offence in judge([], [listed])] == ["stale-exception"]


def test_an_exception_without_a_reason_is_refused(tmp_path: Path) -> None:
    listed = tmp_path / "exceptions.toml"
    listed.write_text('[[exception]]\nlaw = "file-size"\npath = "a.py"\nreason = "legacy"\n')
    with pytest.raises(ValueError, match="no reason"):
        load_exemptions(listed)


def test_files_are_found_without_git_and_without_caches(tmp_path: Path) -> None:
    for name in ("src/gridmill/a.py", "src/gridmill/__pycache__/a.pyc", ".venv/b.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list_files(tmp_path) == [PurePosixPath("src/gridmill/a.py")]
