"""`gridmill run`: the main job from one file to another."""

import csv
import io
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_model import CONCURRENCY, FakeModel
from tests.support.serving import clean_environment, command, run_command
from tests.support.waiting import eventually

ROWS = 200
PROMPT = "sector=The sector of {{company}}"
INTERRUPTED = 130


def write_companies(folder: Path, rows: int = ROWS) -> Path:
    file = folder / "companies.csv"
    file.write_text("company\n" + "".join(f"Company {number} Ltd\n" for number in range(rows)))
    return file


def write_fruit(folder: Path) -> Path:
    """Forty rows whose kind follows from their colour; ten kinds are empty."""
    file = folder / "fruit.csv"
    lines = [
        f"{number},{'red' if number % 2 else 'yellow'},"
        + ("" if number % 4 == 3 else "cherry" if number % 2 else "lemon")
        for number in range(40)
    ]
    file.write_text("number,colour,kind\n" + "\n".join(lines) + "\n")
    return file


def test_a_file_goes_in_and_the_finished_file_comes_out(tmp_path: Path) -> None:
    out = tmp_path / "done.csv"
    where = ["--data-dir", str(tmp_path / "data")]
    done = run_command(
        "run", str(write_fruit(tmp_path)), "--prompt", "kind=", "--out", str(out), *where
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "10 of 10 empty cells filled" in done.stderr
    rows = list(csv.DictReader(out.open(newline="")))
    assert len(rows) == 40
    assert all(row["kind"] == ("cherry" if row["colour"] == "red" else "lemon") for row in rows)
    assert list((tmp_path / "data" / "runs").iterdir()) == []
    assert [path.name for path in tmp_path.glob(".done*")] == []


def test_pipes_carry_the_table_alone(tmp_path: Path) -> None:
    text = write_fruit(tmp_path).read_text()
    done = subprocess.run(
        command(
            *("run", "-", "--prompt", "kind=", "--out", "-", "--format", "jsonl"),
            *("--quiet", "--data-dir", str(tmp_path / "data")),
        ),
        input=text,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in io.StringIO(done.stdout)]
    assert len(rows) == 40
    assert rows[3]["kind"] == "cherry"


async def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path, make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "0.1")
    out = tmp_path / "done.csv"
    order = command(
        *("run", str(write_companies(tmp_path)), "--prompt", PROMPT, "--out", str(out)),
        *("--data-dir", str(tmp_path / "data")),
    )
    environment = clean_environment(model.environment)
    with subprocess.Popen(order, env=environment, stderr=subprocess.DEVNULL) as process:
        await eventually(lambda: model.counts()["calls"] >= ROWS // 2, timeout=60)
        process.kill()
    assert not out.exists()
    again = subprocess.run(
        order, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert again.returncode == 0, again.stderr
    rows = list(csv.DictReader(out.open(newline="")))
    assert len(rows) == ROWS
    assert all(row["sector"] for row in rows)
    assert model.counts()["calls"] <= ROWS + CONCURRENCY


async def test_a_stopped_run_says_how_to_go_on_and_leaves_no_file(
    tmp_path: Path, make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "0.2")
    out = tmp_path / "done.csv"
    order = command(
        *("run", str(write_companies(tmp_path)), "--prompt", PROMPT, "--out", str(out)),
        *("--data-dir", str(tmp_path / "data")),
    )
    environment = clean_environment(model.environment | {"GRIDMILL_STOP_SECONDS": "0"})
    with subprocess.Popen(
        order, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        await eventually(lambda: model.counts()["calls"] >= 1, timeout=60)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert "the same command goes on from here" in said
    assert not out.exists()
    assert len(list((tmp_path / "data" / "runs").iterdir())) == 1


def test_what_failed_is_tried_again_by_the_same_command(
    tmp_path: Path, make_model: Callable[..., FakeModel]
) -> None:
    model = make_model("--latency", "0", "--broken", "1")
    out = tmp_path / "done.csv"
    arguments = ["run", str(write_companies(tmp_path, 5)), "--prompt", PROMPT, "--out", str(out)]
    arguments += ["--data-dir", str(tmp_path / "data")]
    first = run_command(*arguments, environment=model.environment)
    assert first.returncode == 1
    assert first.stderr.startswith("gridmill: Nothing could be filled")
    model.behave(broken=0)
    second = run_command(*arguments, environment=model.environment)
    assert second.returncode == 0, second.stderr
    assert "5 of 5 empty cells filled" in second.stderr


@pytest.mark.parametrize(
    ("name", "content", "options", "word"),
    [
        ("a.csv", 'a,b\n"x,1\n', [], "Line 2"),
        ("a.csv", "a,b\n1,2,3\n", [], "Line 2"),
        ("a.csv", "", [], "empty"),
        ("a.txt", "Some words.\n\nAnd more of them, in prose.\n", [], "no table"),
        ("a.csv", "a,b\n1,2\n", ["--type", "x=colour"], "dataType"),
        ("a.csv", "a,b\n1,2\n", ["--delimiter", "ab"], "delimiter"),
        ("a.csv", "a,b\n1,2\n", ["--model", "nobody/knows"], "model"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, name: str, content: str, options: list[str], word: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    out = tmp_path / "out.csv"
    out.write_text("kept\n")
    done = run_command(
        *("run", str(file), "--prompt", "x=What?", "--out", str(out), *options),
        *("--data-dir", str(tmp_path / "data")),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("gridmill: ")
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert out.read_text() == "kept\n"
    assert list((tmp_path / "data" / "runs").iterdir()) == []
