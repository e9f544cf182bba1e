"""The other commands."""

from pathlib import Path

from tests.acceptance.conftest import connect
from tests.support.serving import Served, run_command


async def test_keys_create_prints_the_key_alone_beside_a_running_server(
    server: Served,
) -> None:
    where = ["--data-dir", str(server.data_dir)]
    if server.database_url is not None:
        where += ["--database-url", server.database_url]
    done = run_command("keys", "create", "--name", "cli", "--scope", "read", *where)
    assert done.returncode == 0, done.stderr
    key = done.stdout.removesuffix("\n")
    assert key.startswith("gm_")
    assert len(key.split()) == 1
    async with connect(server, key) as client:
        assert (await client.get("/keys")).status_code == 403
        assert (await client.get("/nope")).status_code == 404


def test_keys_create_works_without_a_server(tmp_path: Path) -> None:
    done = run_command("keys", "create", "--name", "early", "--data-dir", str(tmp_path / "d"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("gm_")


def test_a_key_or_workspace_without_a_proper_name_is_a_message(tmp_path: Path) -> None:
    for options in (["--name", " "], ["--name", "n" * 201], ["--name", "n", "--workspace", ""]):
        done = run_command("keys", "create", *options, "--data-dir", str(tmp_path / "d"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("gridmill: --")
        assert len(done.stderr.splitlines()) == 1


def test_config_shows_what_is_in_force_and_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / "gridmill.toml").write_text('llm_model = "m-1"\n')
    done = run_command(
        "config",
        "--data-dir",
        str(tmp_path),
        environment={"GRIDMILL_LLM_API_KEY": "sk-hidden", "GRIDMILL_LLM_MODLE": "x"},
    )
    assert done.returncode == 0
    assert "llm_model = m-1" in done.stdout
    assert str(tmp_path / "gridmill.toml") in done.stdout
    assert "sk-hidden" not in done.stdout
    assert "GRIDMILL_LLM_MODLE is no setting" in done.stderr


def test_a_setting_that_does_not_fit_is_a_message_and_no_traceback(tmp_path: Path) -> None:
    done = run_command("serve", "--port", "99999", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("gridmill: port (flag)")
    assert len(done.stderr.splitlines()) == 1


def test_an_unreachable_database_is_a_message_and_no_traceback(tmp_path: Path) -> None:
    url = "postgresql://nobody:hidden@127.0.0.1:1/none"
    done = run_command("serve", "--port", "0", "--data-dir", str(tmp_path), "--database-url", url)
    assert done.returncode == 1
    assert "database" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_a_worker_without_a_server_says_where_it_looked(tmp_path: Path) -> None:
    done = run_command("worker", "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr


def test_help_teaches_with_examples() -> None:
    for words in (["--help"], ["serve", "--help"], ["worker", "--help"], ["config", "--help"]):
        said = run_command(*words).stdout
        assert "gridmill serve" in said or "Examples:" in said
    assert run_command("--version").stdout.startswith("gridmill 0.")
