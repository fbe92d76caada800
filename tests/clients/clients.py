"""Clients of `lfm gateway` that end by themselves: how each is started with one question, without a person."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.client_programs import AGENTS, AIDER, NODE, PROGRAMS, PYDANTIC_AI

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["CLIENTS", "Start"]

NODE_PACKAGES = {"NODE_CLIENTS": str(NODE.parents[1])}


@dataclass(frozen=True)
class Start:
    """How to start a client.

    Attributes:
        command: Its program and arguments.
        environment: Variables of its own. All know the gateway by `OPENAI_BASE_URL`, `OPENAI_API_BASE` and
            `OPENAI_API_KEY`.
        before: What is run first, to set it up.
    """

    command: tuple[object, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[object, ...] = ()


def openai_sdk(folder: Path, base_url: str, key: str, question: str) -> Start:
    return Start((AGENTS / "python", PROGRAMS / "ask_openai.py", "lfm-3b", question))


def ai_sdk(folder: Path, base_url: str, key: str, question: str) -> Start:
    return Start(("node", PROGRAMS / "ask_ai_sdk.mjs", "lfm-3b", question), NODE_PACKAGES)


def librechat(folder: Path, base_url: str, key: str, question: str) -> Start:
    return Start(("node", PROGRAMS / "ask_librechat.mjs", "lfm-3b", question), NODE_PACKAGES)


def pydantic_ai(folder: Path, base_url: str, key: str, question: str) -> Start:
    return Start((PYDANTIC_AI / "python", PROGRAMS / "ask_pydantic_ai.py", "liquid/lfm-3b", question))


def codex(folder: Path, base_url: str, key: str, question: str) -> Start:
    provider = f'{{name="LFM",base_url="{base_url}",env_key="OPENAI_API_KEY",wire_api="responses"}}'
    options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "lfm-3b")
    config = ("-c", "model_provider=lfm", "-c", f"model_providers.lfm={provider}")
    return Start((NODE / "codex", "exec", *options, *config, question))


def claude_code(folder: Path, base_url: str, key: str, question: str) -> Start:
    """Its prompt with all of its tools, and the answer that it makes room for, do not fit into 32,768 tokens."""
    environment = {
        "ANTHROPIC_BASE_URL": base_url.removesuffix("/v1"), "ANTHROPIC_AUTH_TOKEN": key,
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4096", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip
    return Start((NODE / "claude", "--model", "lfm-3b", "--tools", "Read,Bash", "-p", question), environment)


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


CLIENTS: dict[str, Callable[[Path, str, str, str], Start]] = {
    "OpenAI SDK": openai_sdk,
    "AI SDK": ai_sdk,
    "LibreChat": librechat,
    "Pydantic AI": pydantic_ai,
    "Codex": codex,
    "Claude Code": claude_code,
    "opencode": opencode,
    "Cline": cline,
    "Continue": continue_,
    "aider": aider,
    "mini-swe-agent": mini,
}
