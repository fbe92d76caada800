"""Conversations that are kept: `lfm config`, `lfm log` and `lfm chat -c`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.testing import completion, stream

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from lfm_adapter.testing import ScriptedOpenRouter


def lfm(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def model() -> None:
    assert lfm("config", "model", "lfm-3-1.7b").exit_code == 0


@pytest.fixture
def kept(openrouter: ScriptedOpenRouter, model: None) -> ScriptedOpenRouter:
    """Two conversations were kept."""
    lfm("config", "keep-conversations", "on")
    openrouter.add(stream("Hello, Ada."))
    openrouter.add(stream("Wet."))
    lfm("chat", "-s", "Be brief.", "I am Ada.")
    lfm("chat", "Water?")
    return openrouter


def test_conversations_are_not_kept_by_default(openrouter: ScriptedOpenRouter, model: None, tmp_path: Path):
    openrouter.add(stream())
    lfm("chat", "A secret question")
    result = lfm("log")
    assert result.stdout == ""
    assert "`lfm config keep-conversations on`" in result.stderr
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    refused = lfm("chat", "-c", "And then?")
    assert (refused.exit_code, "are not kept" in refused.stderr) == (1, True)


def test_kept_conversations_are_listed_searched_and_shown(kept: ScriptedOpenRouter):
    newest, oldest = lfm("log").stdout.splitlines()
    assert newest.split()[0] == "2"
    assert newest.endswith("Water?")
    assert oldest.endswith("I am Ada.")
    assert lfm("log", "search", "ADA").stdout == f"{oldest}\n"
    assert (
        lfm("log", "show", "1").stdout
        == "## system\n\nBe brief.\n\n## user\n\nI am Ada.\n\n## assistant\n\nHello, Ada.\n"
    )
    assert [message["role"] for message in json.loads(lfm("log", "show", "2", "--json").stdout)] == [
        "user",
        "assistant",
    ]


def test_last_conversation_continues_with_its_system_message(kept: ScriptedOpenRouter):
    lfm("log", "delete", "2")
    kept.add(completion("Ada."))
    lfm("chat", "-c", "--json", "Who am I?")
    contents = [message["content"] for message in kept.requests[-1].body["messages"]]
    assert contents == ["Be brief.", "I am Ada.", "Hello, Ada.", "Who am I?"]
    assert len(lfm("log").stdout.splitlines()) == 1
    assert "Who am I?" in lfm("log", "show", "1").stdout


def test_deleted_conversations_are_gone_from_the_file(kept: ScriptedOpenRouter, tmp_path: Path):
    refused = lfm("log", "delete")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        2,
        "Error: Name the conversations to delete, or pass `--all`.",
    )
    assert lfm("log", "delete", "1").exit_code == 0
    assert lfm("log", "show", "1").exit_code == 1
    assert lfm("log", "delete", "--all").exit_code == 0
    assert lfm("log").stdout == ""


def test_ledger_that_is_off_keeps_nothing(kept: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LFM_LEDGER", "0")
    kept.add(stream())
    assert lfm("chat", "Hello").exit_code == 0
    monkeypatch.delenv("LFM_LEDGER")
    assert len(lfm("log").stdout.splitlines()) == 2


def test_file_that_cannot_be_written_loses_no_answer(
    openrouter: ScriptedOpenRouter, model: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lfm("config", "keep-conversations", "on")
    (tmp_path / "data").write_text("no folder")
    openrouter.add(stream("Wet."))
    result = lfm("chat", "Water?")
    assert (result.exit_code, result.stdout) == (0, "Wet.\n")
    assert "The conversation could not be kept: " in result.stderr


def test_configured_model_is_asked_unless_another_is_named(
    openrouter: ScriptedOpenRouter, model: None, monkeypatch: pytest.MonkeyPatch
):
    openrouter.add(stream())
    openrouter.add(stream())
    lfm("chat", "Hello")
    lfm("chat", "-m", "liquid/lfm-2.5-2.6b:free", "Hello")
    assert [request.body["model"] for request in openrouter.requests] == [
        "liquid/lfm-3-1.7b",
        "liquid/lfm-2.5-2.6b:free",
    ]
    lfm("config", "model", "--unset")
    assert lfm("config", "model").stdout == "not set\n"


@pytest.mark.parametrize("arguments", [["colour", "red"], ["keep-conversations", "perhaps"], ["model", 'a"b']])
def test_setting_that_does_not_exist_is_one_line(arguments: list[str], config_home: Path):
    result = lfm("config", *arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert not (config_home / "config.toml").exists()


def test_damaged_file_is_one_line_that_names_it(config_home: Path):
    config_home.mkdir(parents=True)
    (config_home / "config.toml").write_text("keep = [")
    for command in (["chat", "Hello"], ["config"]):
        result = lfm(*command)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "config.toml is not valid TOML" in result.stderr
    assert lfm("keys", "show").exit_code == 1
