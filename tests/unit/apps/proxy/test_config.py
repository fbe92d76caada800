"""What `lfm proxy-config` writes. `tests/integration/proxy` starts LiteLLM's Proxy with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from lfm_adapter import catalog
from lfm_adapter.apps.cli import app

if TYPE_CHECKING:
    from typer.testing import Result

ROOT = Path(__file__).parents[4]


def proxy_config(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["proxy-config", *arguments])


def printed(*arguments: str) -> dict[str, Any]:
    return yaml.safe_load(proxy_config("--output", "-", *arguments).stdout)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_has_a_key_of_its_own_that_is_shown_nowhere(folder: Path):
    result = proxy_config()
    assert result.exit_code == 0
    file = folder / "config.yaml"
    key = yaml.safe_load(file.read_text())["general_settings"]["master_key"]
    assert re.fullmatch(r"sk-[\w-]{43}", key)
    assert key not in result.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert "litellm --config config.yaml --host 127.0.0.1" in result.stdout


def test_file_is_replaced_only_with_force(folder: Path):
    file = folder / "config.yaml"
    file.write_text("mine")
    file.chmod(0o644)
    result = proxy_config()
    assert (result.exit_code, file.read_text()) == (1, "mine")
    assert "--force" in result.stderr
    assert proxy_config("--force").exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_missing_folder_is_a_one_line_error():
    result = proxy_config("--output", "nowhere/config.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Cannot write nowhere/config.yaml: No such file")


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-made-up-for-tests")
    result = proxy_config("--output", "-")
    assert yaml.safe_load(result.stdout)["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert "sk-or-v1-made-up-for-tests" not in result.output
    assert "export LITELLM_MASTER_KEY=" in result.stderr


def test_live_models_and_lfm_3b_are_served_without_a_key_or_a_price_of_their_own():
    """LiteLLM would send the key wherever a client's request leads, and count the price instead of the charge."""
    deployments = {entry["litellm_params"]["model"]: entry for entry in printed()["model_list"]}
    live = {card.id for card in catalog.models() if card.status == "live" and card.kind != "decisions"}
    assert set(deployments) == {f"lfm/{model}" for model in live | {"liquid/lfm-3b"}}
    for deployment in deployments.values():
        assert "api_key" not in deployment["litellm_params"]
        assert deployment["model_info"]["id"] == deployment["model_name"]


def test_embedding_model_is_known_as_one_and_answers_for_no_other():
    config = printed()
    modes = {entry["model_name"]: entry["model_info"].get("mode") for entry in config["model_list"]}
    assert [name for name, mode in modes.items() if mode] == ["lfm-2.5-embedding-350m:free"]
    assert modes["lfm-2.5-embedding-350m:free"] == "embedding"
    assert config["litellm_settings"]["drop_params"]
    for name in ("fallbacks", "context_window_fallbacks"):
        assert "embedding" not in str(config["litellm_settings"][name])


def test_limits_and_budgets_are_as_asked():
    deployments = {
        entry["model_name"]: entry["litellm_params"]
        for entry in printed("--rpm", "5", "--budget-usd", "0.25")["model_list"]
    }
    paid = deployments["lfm-3-1.7b"]
    assert (paid["rpm"], paid["max_budget"], paid["budget_duration"]) == (5, 0.25, "1d")
    assert deployments["lfm-3-1.7b:free"]["rpm"] == 5
    assert "max_budget" not in deployments["lfm-3-1.7b:free"]
    free = {entry["model_name"]: entry["litellm_params"]["rpm"] for entry in printed("--rpm", "500")["model_list"]}
    assert (free["lfm-3-1.7b"], free["lfm-3-1.7b:free"]) == (500, 20)


def test_free_models_fall_back_only_to_free_models():
    settings = printed()["litellm_settings"]
    for name in ("fallbacks", "context_window_fallbacks"):
        for entry in settings[name]:
            ((model, others),) = entry.items()
            assert model not in others
            assert others
            if model.endswith(":free"):
                assert all(other.endswith(":free") for other in others)


def test_longer_prompts_go_to_larger_contexts():
    fallbacks = {model: others for entry in printed()["litellm_settings"]["context_window_fallbacks"]
                 for model, others in entry.items()}  # fmt: skip
    assert fallbacks["lfm-3b"][0] == "lfm-3-1.7b"
    for model, others in fallbacks.items():
        longest = catalog.get(model).context_length
        assert all(catalog.get(other).context_length > longest for other in others)


def test_redis_is_configured_only_on_request():
    assert "redis" not in str(printed()).lower()
    config = printed("--redis", "--redis-host", "redis.internal", "--redis-port", "6380")
    assert config["environment_variables"] == {"REDIS_HOST": "redis.internal", "REDIS_PORT": "6380"}
    assert (config["router_settings"]["redis_host"], config["router_settings"]["redis_port"]) == (
        "redis.internal",
        6380,
    )
    cache = config["litellm_settings"]["cache_params"]
    assert (cache["type"], cache["host"], cache["port"], cache["mode"]) == (
        "redis",
        "redis.internal",
        6380,
        "default_off",
    )


def test_redis_is_on_this_machine_unless_it_is_named():
    settings = printed("--redis")["router_settings"]
    assert (settings["redis_host"], settings["redis_port"]) == ("127.0.0.1", 6379)
    assert printed("--redis-host", "redis.internal")["router_settings"]["redis_host"] == "redis.internal"


def test_rate_limits_are_not_retried():
    assert printed()["router_settings"]["retry_policy"] == {"RateLimitErrorRetries": 0}


def test_keys_of_people_are_taken_from_a_file(folder: Path):
    assert "custom_auth" not in printed()["general_settings"]
    assert proxy_config("--keys", "keys.yaml").exit_code == 1
    added = proxy_config("--keys", "keys.yaml", "--new-key", "ada")
    assert added.exit_code == 0
    assert re.fullmatch(r"sk-[\w-]{43}\n", added.stdout)
    assert list(folder.iterdir()) == [folder / "keys.yaml"]
    config = printed("--keys", "keys.yaml")
    assert config["general_settings"]["custom_auth"] == "lfm_adapter.apps.proxy.hooks.authenticate"
    assert config["environment_variables"] == {"LFM_PROXY_KEYS": str(folder / "keys.yaml")}


def test_new_key_needs_the_file_to_add_it_to(folder: Path):
    assert proxy_config("--new-key", "ada").exit_code == 2
    assert list(folder.iterdir()) == []


def test_configuration_says_what_postgres_adds():
    assert "Postgres" in proxy_config("--output", "-").stdout


def test_app_to_credit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    assert "environment_variables" not in printed()
    monkeypatch.setenv("OPENROUTER_APP_URL", "https://example.com")
    monkeypatch.setenv("OPENROUTER_APP_TITLE", 'Ada\'s "gateway": 水')
    assert printed()["environment_variables"] == {
        "OPENROUTER_APP_URL": "https://example.com",
        "OPENROUTER_APP_TITLE": 'Ada\'s "gateway": 水',
    }


@pytest.mark.parametrize(
    "arguments", [["--rpm", "0"], *(["--budget-usd", amount] for amount in ("much", "-1", "NaN", "Infinity"))]
)
def test_wrong_usage_ends_with_2(arguments: list[str], folder: Path):
    assert proxy_config(*arguments).exit_code == 2
    assert list(folder.iterdir()) == []


def test_budget_is_above_0():
    result = proxy_config("--budget-usd", "0")
    assert result.exit_code == 1
    assert "more than US$ 0" in result.stderr


def test_litellm_is_not_needed_to_write_it():
    program = """
import sys
from lfm_adapter.apps.cli import app
try:
    app(["proxy-config", "--output", "-"])
finally:
    print({"aiohttp", "langchain_core", "litellm"} & set(sys.modules), file=sys.stderr)
"""
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stderr.endswith("set()\n")
