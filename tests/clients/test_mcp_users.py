"""Programs that people use MCP servers from, each in a process of its own, with `lfm mcp` and a scripted OpenRouter.

`make test-clients-mcp` installs them. langchain-mcp-adapters needs the MCP SDK 1.x, and so an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter, completion, stream, tool_call
from tests.support.client_programs import ROOT, output_of
from tests.support.scripted_anthropic import ScriptedAnthropic

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest, ScriptedReply

LANGCHAIN = ROOT / ".venv-mcp-clients" / "bin" / "python"
OPENCODE = ROOT / ".venv-opencode" / "node_modules" / ".bin" / "opencode"
CLAUDE_CODE = ROOT / ".venv-claude-code" / "node_modules" / ".bin" / "claude"
LFM_MCP = [sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()", "mcp", "--model", "liquid/lfm-3-1.7b"]
AGENT = "liquid/lfm-2.5-2.6b:free"
TIMEOUT_S = 180  # this machine may be busy

needs_langchain = pytest.mark.skipif(not LANGCHAIN.exists(), reason="it is installed by `make test-clients-mcp`")
needs_opencode = pytest.mark.skipif(not OPENCODE.exists(), reason="it is installed by `make test-clients-mcp`")
needs_claude_code = pytest.mark.skipif(not CLAUDE_CODE.exists(), reason="it is installed by `make test-clients-mcp`")


class Upstream:
    """Plays both models: the assistant's own, which calls one tool and repeats its result, and ours."""

    def __init__(self, tool: str, arguments: dict[str, Any], answer: str) -> None:
        self.call = tool_call(tool, arguments)
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.tools: set[str] = set()

    def __call__(self, request: RecordedRequest) -> ScriptedReply:
        body = request.body
        if body["model"] != AGENT:
            self.asked.append(body)
            return stream([self.answer], model=body["model"])
        self.tools |= {tool["function"]["name"] for tool in body.get("tools", [])}
        last = body["messages"][-1]
        if not body.get("tools"):  # for a title of the conversation
            return _said(body, "A title")
        if last["role"] == "tool":
            return _said(body, f"The tool says: {last['content']}")
        return _said(body, "", self.call)


def _said(body: dict[str, Any], text: str, *calls: dict[str, Any]) -> ScriptedReply:
    if body.get("stream"):
        return stream([text] * bool(text), tool_calls=calls, model=AGENT)
    return completion(text or None, tool_calls=calls, model=AGENT)


def environment(server: ScriptedOpenRouter, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "OPENROUTER_API_KEY": "sk-or-v1-made-up-for-tests",
        "OPENROUTER_BASE_URL": server.base_url,
        "LFM_LEDGER": str(home / "ledger.db"),
    }


def run(*command: object, cwd: Path, env: dict[str, str]) -> str:
    return output_of(*command, cwd=cwd, env=env, timeout_s=TIMEOUT_S)


@needs_langchain
def test_a_langchain_agent_uses_the_tools(server: ScriptedOpenRouter, tmp_path: Path):
    arguments = {"text": "It crashes!", "labels": ["bug", "wish"]}
    server.default = upstream = Upstream("classify", arguments, '{"label": "bug"}')
    program = ROOT / "tests" / "clients" / "programs" / "agent_mcp.py"
    out = run(LANGCHAIN, program, AGENT, *LFM_MCP, cwd=tmp_path, env=environment(server, tmp_path))
    told = json.loads(out.splitlines()[-1])
    assert told["tools"] == ["ask", "classify", "commit_message", "extract", "models", "summarize", "usage"]
    assert told["results"] == ["bug"]
    assert [result["label"] for result in told["structured"]] == ["bug"]
    assert told["answer"].startswith("The tool says:")
    assert "It crashes!" in upstream.asked[0]["messages"][-1]["content"]


@pytest.fixture
def opencode(server: ScriptedOpenRouter, tmp_path: Path) -> Any:
    """Run opencode on a question in a project that has `lfm mcp` configured; return what it says and does."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "notes.md").write_text("The release is on Friday.\n")
    openai = {"baseURL": server.base_url, "apiKey": "made-up"}
    model = {"name": AGENT, "tool_call": True, "limit": {"context": 65536, "output": 4096}}
    configuration = {
        "provider": {"scripted": {"npm": "@ai-sdk/openai-compatible", "options": openai, "models": {AGENT: model}}},
        "model": f"scripted/{AGENT}",
        "small_model": f"scripted/{AGENT}",
        "share": "disabled",
        "autoupdate": False,
        "mcp": {"lfm": {"type": "local", "command": LFM_MCP, "environment": environment(server, tmp_path)}},
    }
    (project / "opencode.json").write_text(json.dumps(configuration))
    env = environment(server, tmp_path) | {
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    }

    def ask(question: str) -> list[dict[str, Any]]:
        out = run(OPENCODE, "run", "--format", "json", question, cwd=project, env=env)
        return [json.loads(line)["part"] for line in out.splitlines()]

    return ask


@needs_opencode
def test_opencode_asks_the_small_model(opencode: Any, server: ScriptedOpenRouter):
    server.default = upstream = Upstream("lfm_ask", {"prompt": "How is Paris?"}, "Lovely.")
    parts = opencode("Ask the small model how Paris is.")
    (used,) = [part["state"] for part in parts if part["type"] == "tool"]
    assert (used["status"], used["output"]) == ("completed", "Lovely.")
    assert [part["text"] for part in parts if part["type"] == "text"] == ["The tool says: Lovely."]
    assert {"lfm_ask", "lfm_summarize", "lfm_extract", "lfm_classify", "lfm_commit_message"} <= upstream.tools


@needs_opencode
def test_opencode_has_a_file_of_its_project_summarized(opencode: Any, server: ScriptedOpenRouter):
    server.default = upstream = Upstream("lfm_summarize", {"paths": ["notes.md"]}, "Release on Friday.")
    parts = opencode("Summarize notes.md.")
    (used,) = [part["state"] for part in parts if part["type"] == "tool"]
    assert (used["status"], used.get("output")) == ("completed", "Release on Friday."), used
    assert "The release is on Friday." in upstream.asked[0]["messages"][-1]["content"]


@needs_claude_code
def test_claude_code_uses_the_tools_with_the_example_as_its_configuration(tmp_path: Path):
    (tmp_path / "notes.md").write_text("The release is on Friday.\n")
    example = ROOT / "examples" / "mcp" / "claude-code.mcp.json"
    with (
        ScriptedOpenRouter() as openrouter,
        ScriptedAnthropic("mcp__lfm__summarize", {"paths": ["notes.md"]}) as anthropic,
    ):
        openrouter.add(stream(["Release on Friday."]))
        env = environment(openrouter, tmp_path) | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # where the command lfm is
            "ANTHROPIC_BASE_URL": anthropic.base_url,
            "ANTHROPIC_AUTH_TOKEN": "made-up",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "ENABLE_TOOL_SEARCH": "false",  # all tools from the start, so that the script need not look for ours
        }
        out = run(
            CLAUDE_CODE, "-p", "Summarize notes.md.", "--mcp-config", example, "--strict-mcp-config", "--allowedTools",
            "mcp__lfm__summarize", "--model", "claude-sonnet-4-5", "--output-format", "json",
            cwd=tmp_path, env=env,
        )  # fmt: skip
    assert "Release on Friday." in json.loads(out)["result"]
    assert {"mcp__lfm__ask", "mcp__lfm__classify", "mcp__lfm__usage"} <= anthropic.tools
    assert "The release is on Friday." in openrouter.requests[0].body["messages"][-1]["content"]
