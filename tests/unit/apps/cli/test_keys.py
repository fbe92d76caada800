"""`lfm keys`: the stored key, in a file or a keyring."""

from __future__ import annotations

import os
import stat
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.testing import stream

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from lfm_adapter.testing import ScriptedOpenRouter

KEY = "sk-or-v1-made-up-for-tests"


def lfm(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


@pytest.fixture(autouse=True)
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """What the system's keyring holds. Without a `backend` among `sys.modules`, there is none."""
    held: dict[tuple[str, str], str] = {}
    module = ModuleType("keyring")
    module.get_keyring = lambda: SimpleNamespace(priority=(held and 5) or 0)
    module.set_password = lambda service, user, key: held.update({(service, user): key})
    module.get_password = lambda service, user: held.get((service, user))
    module.delete_password = lambda service, user: held.pop((service, user))
    monkeypatch.setitem(sys.modules, "keyring", module)
    return held


def test_stored_key_is_sent_and_only_its_owner_can_read_it(
    openrouter: ScriptedOpenRouter, config_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENROUTER_API_KEY", "")
    result = lfm("keys", "set", stdin=f"{KEY}\n")
    assert result.exit_code == 0
    assert KEY not in result.output
    assert stat.S_IMODE((config_home / "keys.json").stat().st_mode) == 0o600
    openrouter.add(stream())
    assert lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hello").exit_code == 0
    assert openrouter.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_key_of_the_environment_overrides_the_stored_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-another-made-up")
    assert "overrides" in lfm("keys", "set", stdin=KEY).stderr
    assert lfm("keys", "show").stdout == "…e-up  (from OPENROUTER_API_KEY)\n"


def test_key_is_shown_with_its_place_and_whole_only_on_demand(config_home: Path):
    lfm("keys", "set", stdin=KEY)
    assert lfm("keys", "show").stdout == f"…ests  (from {config_home / 'keys.json'})\n"
    assert lfm("keys", "show", "--reveal").stdout.startswith(f"{KEY}  ")


def test_deleted_key_is_gone(config_home: Path):
    lfm("keys", "set", stdin=KEY)
    assert lfm("keys", "delete").exit_code == 0
    os.environ["OPENROUTER_API_KEY"] = ""
    result = lfm("keys", "show")
    assert result.exit_code == 1
    assert "Run `lfm keys set`" in result.stderr
    assert lfm("keys", "delete").exit_code == 0


def test_keyring_of_the_system_is_used_where_there_is_one(config_home: Path, keyring: dict):
    keyring["another", "program"] = "x"
    assert "the keyring" in lfm("keys", "set", stdin=KEY).stderr
    assert keyring["lfm-adapter", "openrouter"] == KEY
    assert KEY not in (config_home / "keys.json").read_text()
    assert lfm("keys", "show").stdout == "…ests  (from the keyring)\n"
    lfm("keys", "delete")
    assert list(keyring) == [("another", "program")]


@pytest.mark.parametrize("key", ["", "two words", "clé", "a\x00b"])
def test_invalid_key_is_not_stored(key: str, config_home: Path):
    result = lfm("keys", "set", stdin=key)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert not (config_home / "keys.json").exists()


def test_damaged_file_is_one_line_that_says_what_to_do(config_home: Path):
    config_home.mkdir(parents=True)
    (config_home / "keys.json").write_text("{")
    result = lfm("chat", "Hello")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "is damaged. Delete it" in result.stderr
