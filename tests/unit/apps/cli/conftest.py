"""The command in a home of its own, with a scripted OpenRouter."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
import typer.testing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter


@pytest.fixture(autouse=True, scope="session")
def command_is_built_once() -> Iterator[None]:
    """Typer builds all subcommands anew for each call of a `CliRunner`, which took 25 ms of 32."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        build = typer.testing._get_command
        monkeypatch.setattr(typer.testing, "_get_command", functools.cache(build))
        yield


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command keeps what belongs to its user. Whatever runs the tests may ask for colours."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("LFM_MODEL", "OPENROUTER_API_KEY"):  # so that monkeypatch takes back what the command sets
        monkeypatch.setenv(name, "")
    return tmp_path / "config" / "lfm-adapter"


@pytest.fixture
def openrouter(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpenRouter:
    """A scripted OpenRouter with a key, both from the environment."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-made-up-for-tests")
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    return openrouter
