"""Coding assistants on `lfm gateway`: how each is started with one question, without a person."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.client_programs import AGENTS, AIDER, NODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["ASSISTANTS", "Start", "aider", "cline", "continue_", "mini", "opencode"]


@dataclass(frozen=True)
class Start:
    """How to start an assistant.

    Attributes:
        command: Its program and arguments.
        environment: Variables of its own. All know the gateway by `OPENAI_BASE_URL`, `OPENAI_API_BASE` and
            `OPENAI_API_KEY`.
        before: What is run first, to set it up.
    """

    command: tuple[object, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[object, ...] = ()


def opencode(folder: Path, base_url: str, key: str, question: str) -> Start:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "LFM",
        "options": {"baseURL": base_url, "apiKey": "{env:OPENAI_API_KEY}"},
        "models": {"lfm-3b": {"name": "LFM-3B", "limit": {"context": 32768, "output": 4096}}},
    }
    (folder / "opencode.json").write_text(json.dumps({"provider": {"lfm": provider}}))
    quiet = ("OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_LSP_DOWNLOAD")
    return Start((NODE / "opencode", "run", "--model", "lfm/lfm-3b", *question.split()), dict.fromkeys(quiet, "1"))


def cline(folder: Path, base_url: str, key: str, question: str) -> Start:
    options = ("-m", "lfm-3b", "-k", key)
    return Start(
        (NODE / "cline", "-P", "openai-compatible", *options, "-t", "120", "--json", question),
        before=(NODE / "cline", "auth", "openai-compatible", *options, "-b", base_url),
    )


def continue_(folder: Path, base_url: str, key: str, question: str) -> Start:
    model = {"name": "LFM", "provider": "openai", "model": "lfm-3b", "apiBase": base_url, "apiKey": key}
    config = {"name": "LFM", "version": "0.0.1", "schema": "v1", "models": [model]}
    (folder / "config.yaml").write_text(json.dumps(config))
    return Start(
        (NODE / "cn", "--config", "config.yaml", "--auto", "-p", question), {"CONTINUE_TELEMETRY_ENABLED": "0"}
    )


def aider(folder: Path, base_url: str, key: str, question: str) -> Start:
    quiet = (
        "--yes-always", "--no-auto-commits", "--no-gitignore", "--no-pretty", "--no-check-update", "--no-analytics",
        "--no-show-release-notes", "--no-detect-urls", "--no-show-model-warnings",
    )  # fmt: skip
    return Start(
        (AIDER / "aider", "--model", "openai/lfm-3b", "--edit-format", "whole", *quiet, "--message", question),
        {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        before=("git", "init", "-q"),
    )


def mini(folder: Path, base_url: str, key: str, question: str) -> Start:
    environment = {
        "MSWEA_CONFIGURED": "true", "MSWEA_SILENT_STARTUP": "1", "MSWEA_COST_TRACKING": "ignore_errors",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # fmt: skip
    command = (AGENTS / "mini", "-y", "--exit-immediately", "-m", "openai/lfm-3b", "-t", question, "-o", "out.json")
    return Start(command, environment)


ASSISTANTS: dict[str, Callable[[Path, str, str, str], Start]] = {
    "opencode": opencode,
    "Cline": cline,
    "Continue": continue_,
    "aider": aider,
    "mini-swe-agent": mini,
}
