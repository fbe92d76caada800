"""`lfm doctor`, with made-up installations and a scripted OpenRouter."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from lfm_adapter._extras import EXTRAS
from lfm_adapter.apps.cli import app, checks
from lfm_adapter.testing import error, json_reply

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

KEY = "sk-or-v1-made-up-for-tests"


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The packages that seem to be installed, with their versions."""
    known = dict.fromkeys(["leather", "llm", "mcp", "opentelemetry-api", "prisma", "xllamacpp"], "2026.10")
    known |= {"langchain-core": "1.8.3", "litellm": "1.110.2", "tenacity": "9.2.1"}

    def version(name: str) -> str:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(checks, "version", version)
    monkeypatch.setattr(checks, "demo_model", lambda: Path("model.gguf"))
    return known


@pytest.fixture
def openrouter(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, packages: dict[str, str]
) -> ScriptedOpenRouter:
    """A scripted OpenRouter and a healthy installation."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
    return openrouter


def doctor(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert result.stderr == ""
    return result.exit_code, result.stdout


def line(text: str, start: str) -> str:
    """The level and the text of the one finding that begins so."""
    (found,) = [found for found in text.splitlines() if found[6:].startswith(start)]
    return found


def test_healthy_installation_ends_with_0(openrouter: ScriptedOpenRouter):
    code, text = doctor()
    assert code == 0
    assert [found.split()[0] for found in text.splitlines()] == ["ok", "ok", "ok", "ok", "ok", "ok", "skip", "ok"]
    assert line(text, "key") == "ok    key: no limit, 50 requests to free models left today"
    assert line(text, "model").startswith("ok    model: liquid/lfm-3-1.7b is live, according to the catalogue of 2026-")


def test_doctor_sends_only_a_free_request_about_the_key(openrouter: ScriptedOpenRouter):
    doctor()
    assert [(request.method, request.path) for request in openrouter.requests] == [("GET", "/key")]


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.107.0", "1.107.9.post1"])
def test_compromised_and_withdrawn_releases_are_refused(
    openrouter: ScriptedOpenRouter, packages: dict[str, str], version: str
):
    packages["litellm"] = version
    code, text = doctor()
    assert code == 1
    assert line(text, f"litellm {version}").startswith("fail ")


@pytest.mark.parametrize(
    ("version", "level"),
    [("1.81.9", "warn"), ("1.81.10", "ok"), ("1.82.6", "ok"), ("1.105.3", "ok"), ("1.110.2", "ok")],
)
def test_other_releases_pass(openrouter: ScriptedOpenRouter, packages: dict[str, str], version: str, level: str):
    packages["litellm"] = version
    code, text = doctor()
    assert (code, line(text, "litellm ").split()[0]) == (0, level)


@pytest.mark.parametrize("version", ["1.105.3", "1.106.0", "1.108.7", "1.109.1", "1.110.2"])
def test_missing_mcp_2_is_a_warning_if_litellm_needs_it(
    openrouter: ScriptedOpenRouter, packages: dict[str, str], version: str
):
    packages["litellm"] = version
    del packages["mcp"]
    needs_it = version.startswith(("1.106", "1.108", "1.109"))
    assert ("warn  mcp is not installed" in doctor()[1]) == needs_it
    packages["mcp"] = "1.30.0"
    assert ("warn  mcp 1.30.0 is too old" in doctor()[1]) == needs_it
    packages["mcp"] = "2.3.0"
    assert "warn  mcp" not in doctor()[1]


def test_missing_tenacity_is_a_warning(openrouter: ScriptedOpenRouter, packages: dict[str, str]):
    del packages["tenacity"]
    code, text = doctor()
    assert (code, line(text, "tenacity")[:5]) == (0, "warn ")


def test_litellm_is_optional(openrouter: ScriptedOpenRouter, packages: dict[str, str]):
    del packages["litellm"], packages["tenacity"]
    code, text = doctor()
    assert (code, line(text, "not installed: litellm: ")[:5]) == (0, "skip ")
    assert "tenacity" not in text


def test_missing_extras_are_listed_with_their_purposes(openrouter: ScriptedOpenRouter, packages: dict[str, str]):
    for name in ("litellm", "tenacity", "llm", "mcp", "prisma", "xllamacpp"):
        del packages[name]
    missing = line(doctor()[1], "not installed")
    for purpose in (
        "litellm: models named lfm/",
        "local: models on this machine",
        "mcp: `lfm mcp`",
        "proxy: LiteLLM's",
    ):
        assert purpose in missing
    assert missing.endswith('pip install "lfm-adapter[litellm,llm,local,mcp,proxy]"')


def test_extras_are_those_of_the_package():
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"all"}


@pytest.mark.parametrize(
    ("found", "expected"), [(None, "skip  local model: any GGUF"), ("x.gguf", "ok    local model")]
)
def test_local_model_is_reported(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, found: str | None, expected: str
):
    monkeypatch.setattr(checks, "demo_model", lambda: found and Path(found))
    assert line(doctor()[1], "local model").startswith(expected)


def test_file_that_runs_at_each_start_is_found(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.syspath_prepend(tmp_path)
    stray = tmp_path / "litellm_init.pth"
    stray.write_text("import os\n")
    code, text = doctor()
    assert (code, line(text, str(stray))[:5]) == (1, "fail ")


def test_refused_key_fails_without_being_printed(openrouter: ScriptedOpenRouter):
    openrouter.add(error(401, f"User not found for {KEY}."), path="/key")
    code, text = doctor()
    assert code == 1
    assert line(text, "key").startswith("fail  key: User not found")
    assert line(text, openrouter.base_url) == f"ok    {openrouter.base_url} responds"
    assert KEY not in text


def test_missing_key_fails_for_openrouter(packages: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lfm_adapter._client.sync_client.LFMClient.list_models", lambda _: [])
    code, text = doctor()
    assert code == 1
    assert "https://openrouter.ai/settings/keys" in line(text, "key: not set")


def test_another_server_may_need_no_key(server: ScriptedOpenRouter, packages: dict[str, str]):
    code, text = doctor("--base-url", server.base_url)
    assert code == 0
    assert line(text, "key").startswith("skip ")
    assert line(text, "model") == "skip  model: cannot check 'liquid/lfm-3b' on a local server"


def test_server_without_key_info_is_skipped(openrouter: ScriptedOpenRouter):
    openrouter.add(error(404, "Not Found"), path="/key")
    code, text = doctor()
    assert (code, line(text, "key")[:5]) == (0, "skip ")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"limit": 10, "limit_remaining": 3.2}, "ok    key: US$ 3.2 left of 10"),
        ({"limit": 10, "limit_remaining": 0}, "fail  key: its limit is used up"),
        (
            {"limit": 10, "limit_remaining": -0.5, "limit_reset": "daily"},
            "fail  key: its limit is used up until the next reset (daily)",
        ),
        ({"is_management_key": True}, "fail  key: a management key cannot ask models."),
        (
            {"limit": None, "free_model_daily_requests": {"remaining": 0}},
            "warn  key: no limit, 0 requests to free models left today",
        ),
        ({}, "ok    key: no limit"),
    ],
)
def test_key_limits_are_shown(openrouter: ScriptedOpenRouter, facts: dict[str, Any], expected: str):
    openrouter.add(json_reply({"data": {"label": "sk-or-v1-0e6...1c96", **facts}}), path="/key")
    code, text = doctor()
    assert line(text, "key").startswith(expected)
    assert code == expected.startswith("fail")
    assert "1c96" not in text


def test_without_a_network_each_line_says_so(packages: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
    code, text = doctor("--live", "--model", "liquid/lfm-3-1.7b")
    assert code == 1
    assert line(text, "http://127.0.0.1:9/api/v1 cannot be reached").startswith("fail ")
    assert line(text, "key") == "skip  key: not checked, because there is no connection"
    assert "is live, according to the catalogue of" in line(text, "model")
    assert "OpenRouter could not be asked about it" in line(text, "model")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "skip  attribution: off."),
        ({"OPENROUTER_APP_TITLE": "Gateway"}, "warn  attribution: off, because OPENROUTER_APP_URL is not set"),
        (
            {"OPENROUTER_APP_TITLE": "Gateway", "OPENROUTER_APP_URL": "https://example.com"},
            "ok    attribution: Gateway, https://example.com",
        ),
    ],
)
def test_attribution_is_reported(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert line(doctor()[1], "attribution").startswith(expected)


def test_invalid_setting_fails(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_APP_CATEGORIES", "No Category")
    code, text = doctor()
    assert code == 1
    assert line(text, "An app category").startswith("fail ")


def test_named_model_that_is_retired_fails_and_the_default_is_its_successor(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    code, text = doctor("--model", "liquid/lfm-3b")
    assert code == 1
    assert (
        line(text, "model")
        == "fail  model: liquid/lfm-3b is retired. Ask liquid/lfm-3-1.7b: export LFM_MODEL=liquid/lfm-3-1.7b"
    )
    monkeypatch.delenv("LFM_MODEL")
    code, text = doctor()
    assert code == 0
    successor = "ok    model: liquid/lfm-3b, the default, is retired; liquid/lfm-3-1.7b answers for it"
    assert line(text, "model") == successor


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("liquid/lfm-3-1.7b", "ok    model: liquid/lfm-3-1.7b is served by Liquid today"),
        ("liquid/lfm-3b", "fail  model: liquid/lfm-3b is retired."),
        ("liquid/lfm-9", "fail  model: OpenRouter does not serve liquid/lfm-9 today."),
        ("liquid/d1", "fail  model: liquid/d1 is for decisions, not for chat"),
    ],
)
def test_openrouter_is_asked_about_the_model(openrouter: ScriptedOpenRouter, model: str, expected: str):
    code, text = doctor("--live", "--model", model)
    assert line(text, "model").startswith(expected)
    assert code == expected.startswith("fail")


def test_retired_model_that_is_served_again_passes(openrouter: ScriptedOpenRouter):
    offers = json_reply({"data": {"id": "liquid/lfm-3b", "endpoints": [{"provider_name": "Liquid"}]}})
    openrouter.add(offers, path="/models/liquid/lfm-3b/endpoints")
    assert doctor("--live", "--model", "liquid/lfm-3b")[0] == 0


def test_unknown_model_is_a_warning(openrouter: ScriptedOpenRouter):
    code, text = doctor("--model", "liquid/lfm-9")
    assert (code, line(text, "model")[:5]) == (0, "warn ")


def test_it_imports_neither_litellm_nor_langchain():
    program = """
import sys
from lfm_adapter.apps.cli.checks import check_installation
list(check_installation())
print({"aiohttp", "langchain_core", "litellm"} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert ended.stdout == "set()\n"
