"""Settings: layers, sources, masks, and messages for what does not fit."""

from pathlib import Path

import pytest

from gridmill.settings import (
    Settings,
    SettingsError,
    describe_settings,
    find_unknown_variables,
    load_settings,
    make_child_environment,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("GRIDMILL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("GRIDMILL_DATA_DIR", str(tmp_path))


def _show(settings: Settings) -> dict[str, tuple[str, str]]:
    return {line.name: (line.value, line.source) for line in describe_settings(settings)}


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gridmill.toml"
    file.write_text('port = 1\nhost = "file"\nlog_level = "error"\n')
    monkeypatch.setenv("GRIDMILL_PORT", "2")
    monkeypatch.setenv("GRIDMILL_HOST", "environment")
    shown = _show(load_settings(port=3, host=None))
    assert shown["port"] == ("3", "flag")
    assert shown["host"] == ("environment", "environment")
    assert shown["log_level"] == ("error", str(file))
    assert shown["worker_concurrency"] == ("4", "default")


def test_the_file_is_looked_for_in_the_folder_that_the_flag_names(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "gridmill.toml").write_text('llm_model = "m"\n')
    assert load_settings(data_dir=other).llm_model == "m"
    assert load_settings().llm_model is None


def test_secrets_are_masked_and_the_rest_of_a_url_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDMILL_LLM_API_KEY", "sk-hidden")
    monkeypatch.setenv(
        "GRIDMILL_DATABASE_URL", "postgresql://ann:hidden@db:5432/grid?sslpassword=hidden"
    )
    settings = load_settings()
    shown = _show(settings)
    assert shown["llm_api_key"][0] == "********"
    assert shown["database_url"][0] == "postgresql://ann:********@db:5432/grid"
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(shown)


def test_prices_come_from_a_table_in_the_file_or_from_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gridmill.toml").write_text(
        '[llm_prices."openai/gpt-x"]\nprompt = 1.5\ncompletion = 6\n'
    )
    assert load_settings().llm_prices["openai/gpt-x"].completion == 6
    monkeypatch.setenv("GRIDMILL_LLM_PRICES", '{"other": {"prompt": 0, "completion": 2}}')
    assert set(load_settings().llm_prices) == {"other"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GRIDMILL_PORT", "70000", "GRIDMILL_PORT"),
        ("GRIDMILL_PORT", "abc", "GRIDMILL_PORT"),
        ("GRIDMILL_DATABASE_URL", "mysql://hidden", "postgresql://"),
        ("GRIDMILL_DATABASE_URL", "postgresql://u@h/db?hidden=1", "PostgreSQL understands"),
        ("GRIDMILL_DATABASE_URL", "postgresql://u:x@hidden@h/db", "%40"),
        ("GRIDMILL_LLM_API_KEY", "hidden two", "spaces"),
        ("GRIDMILL_LLM_PROVIDER", "hal", "openai"),
        ("GRIDMILL_LLM_PRICES", "{", "JSON"),
        ("GRIDMILL_LLM_PRICES", '{"m": {"prompt": -1, "completion": 1}}', "GRIDMILL_LLM_PRICES"),
        ("GRIDMILL_PUBLIC_URL", "ftp://x", "GRIDMILL_PUBLIC_URL"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_source(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["prot = 1\n", "sources = {}\n", "port = \n", "[llm]\nmodel = 1\n"]
)
def test_a_file_with_a_mistake_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "gridmill.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"gridmill\.toml"):
        load_settings()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMILL_PORT", "")
    assert load_settings().port == 8000


def test_a_mistyped_variable_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMILL_LLM_MODLE", "x")
    monkeypatch.setenv("GRIDMILL_TEST_DATABASE_URL", "x")
    assert find_unknown_variables() == ["GRIDMILL_LLM_MODLE"]


@pytest.mark.parametrize(
    ("said", "limit"),
    [("unlimited", None), ("standard", 100), ("premium", 500), ("7", 7)],
)
def test_a_rate_limit_is_a_plan_or_a_number(
    monkeypatch: pytest.MonkeyPatch, said: str, limit: int | None
) -> None:
    monkeypatch.setenv("GRIDMILL_RATE_LIMIT", said)
    assert load_settings().rate_limit == limit


@pytest.mark.parametrize("said", ["0", "-1", "gold", "1.5"])
def test_any_other_rate_limit_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("GRIDMILL_RATE_LIMIT", said)
    with pytest.raises(SettingsError, match="GRIDMILL_RATE_LIMIT"):
        load_settings()


def test_a_limit_may_be_the_word_unlimited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMILL_QUOTA_ROWS", "unlimited")
    (tmp_path / "gridmill.toml").write_text('llm_tokens_per_minute = "unlimited"\n')
    settings = load_settings()
    assert (settings.quota_rows, settings.llm_tokens_per_minute) == (None, None)
    monkeypatch.setenv("GRIDMILL_QUOTA_ROWS", "0")
    with pytest.raises(SettingsError, match="GRIDMILL_QUOTA_ROWS"):
        load_settings()


def test_a_password_in_the_models_address_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMILL_LLM_BASE_URL", "http://ann:hidden@models:8000/v1")
    shown = _show(load_settings())["llm_base_url"]
    assert shown == ("http://ann:********@models:8000/v1", "environment")


def test_a_child_gets_the_database_by_its_environment(tmp_path: Path) -> None:
    environment = make_child_environment(load_settings(), database_url="postgresql://x")
    assert environment["GRIDMILL_DATABASE_URL"] == "postgresql://x"
    assert environment["GRIDMILL_DATA_DIR"] == str(tmp_path)


def test_the_default_folder_is_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GRIDMILL_DATA_DIR")
    monkeypatch.setattr("sys.platform", "linux")
    assert load_settings().data_dir == tmp_path / "xdg" / "gridmill"


def test_networks_to_reach_are_read_and_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRIDMILL_EGRESS_ALLOW", "10.0.0.0/8, fd00::/8")
    monkeypatch.setenv("GRIDMILL_WEBHOOK_ALLOW_HTTP", "true")
    rules = load_settings(data_dir=tmp_path).address_rules
    assert rules.allow_http
    assert rules.admits("10.1.2.3")
    assert not rules.admits("192.168.1.1")
    monkeypatch.setenv("GRIDMILL_EGRESS_ALLOW", "10.0.0.1/8")
    with pytest.raises(SettingsError, match="CIDR"):
        load_settings(data_dir=tmp_path)
