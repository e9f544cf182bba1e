"""The commands around the local model, as an operator types them."""

from pathlib import Path

import pytest

from tests.support.serving import run_command
from tests.support.tiny_llama import write_tiny_llama

pytestmark = pytest.mark.acceptance


def test_a_model_is_installed_examined_and_removed(tmp_path: Path) -> None:
    weights = write_tiny_llama(tmp_path / "tiny.gguf")
    environment = {
        "GRIDMILL_MODELS_DIR": str(tmp_path / "models"),
        "GRIDMILL_DATA_DIR": str(tmp_path / "data"),
    }
    before = run_command("config", environment=environment)
    assert "the learners alone" in before.stdout
    assert "gridmill models install" in before.stdout

    installed = run_command("models", "install", str(weights), environment=environment)
    assert installed.returncode == 0, installed.stderr
    assert "local/tiny is installed" in installed.stdout
    assert "local/tiny" in run_command("models", "list", environment=environment).stdout
    assert "local/tiny" in run_command("config", environment=environment).stdout

    looked = run_command("doctor", environment=environment)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "ok    local weights: tiny" in looked.stdout
    assert "tokens a second" in looked.stdout

    kept = tmp_path / "models" / "tiny.gguf"
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    spoilt = run_command("doctor", environment=environment)
    assert spoilt.returncode == 1
    assert "fail  local weights" in spoilt.stdout

    removed = run_command("models", "remove", "tiny", environment=environment)
    assert removed.returncode == 0, removed.stderr
    assert list((tmp_path / "models").iterdir()) == []


def test_what_cannot_be_installed_is_refused_in_words(tmp_path: Path) -> None:
    environment = {"GRIDMILL_MODELS_DIR": str(tmp_path / "models")}
    notes = tmp_path / "notes.gguf"
    notes.write_text("these are notes")
    refused = run_command("models", "install", str(notes), environment=environment)
    assert refused.returncode == 1
    assert "no whole GGUF" in refused.stderr
    unknown = run_command("models", "install", "gpt-5", environment=environment)
    assert unknown.returncode == 1
    assert "neither a GGUF file nor one of" in unknown.stderr
    nowhere = run_command(
        "models", "install", "0.5b", "--from", str(tmp_path), environment=environment
    )
    assert nowhere.returncode == 1
    assert "missing: " in nowhere.stderr
