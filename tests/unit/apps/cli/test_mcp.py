"""The command `lfm mcp` as assistants start it: a process that speaks the protocol on stdin and stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from typer.testing import CliRunner

from lfm_adapter import local
from lfm_adapter.apps.cli import app
from lfm_adapter.ledger import Ledger
from lfm_adapter.testing import completion, stream
from tests.support.mcp_session import KEY, MODEL, MODES, environment_of, error_of, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lfm_adapter.apps.mcp.session import Session
    from lfm_adapter.testing import ScriptedOpenRouter

LFM = [sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()"]


@pytest.fixture
def start(server: ScriptedOpenRouter, tmp_path: Path) -> Iterator[Any]:
    """Start `lfm mcp` with options; what it writes to stderr goes to `stderr.txt`."""
    environment = environment_of(server)
    with (tmp_path / "stderr.txt").open("w") as errlog:

        def start(
            *options: str, mode: str = "legacy", env: dict[str, str] | None = None, program: str = "", **more: Any
        ) -> Client:
            command, *arguments = [LFM[0], "-c", program + LFM[2], "mcp", *options]
            parameters = StdioServerParameters(command=command, args=arguments, env=environment if env is None else env)
            return Client(stdio_client(parameters, errlog=errlog), mode=mode, read_timeout_seconds=180, **more)

        yield start


@pytest.mark.parametrize("mode", MODES)
async def test_an_assistant_starts_it_lists_the_tools_and_asks(
    start: Any, server: ScriptedOpenRouter, tmp_path: Path, mode: str
):
    server.add(stream(["Hello."]))
    async with start("--model", MODEL, mode=mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("ask", {"prompt": "Hi"})
    assert {"ask", "models", "usage"} <= set(names)
    assert result.content[0].text == "Hello."
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in (tmp_path / "stderr.txt").read_text()


async def test_without_a_model_the_successor_of_the_default_answers(
    start: Any, openrouter: ScriptedOpenRouter, tmp_path: Path
):
    openrouter.add(stream(["Hello."]))
    environment = environment_of(openrouter)
    async with start(env=environment) as client:
        await client.call_tool("ask", {"prompt": "Hi"})
        assert "`liquid/lfm-3-1.7b` answers if a call names no model." in client.instructions
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"
    (warning,) = (tmp_path / "stderr.txt").read_text().splitlines()
    assert warning.endswith("Choose it with `--model` or `LFM_MODEL`.")


async def test_the_spending_limit_of_the_command_line_holds(start: Any, server: ScriptedOpenRouter, tmp_path: Path):
    server.add(stream(["Hello."], model=MODEL))
    environment = environment_of(server, LFM_LEDGER=str(tmp_path / "ledger.db"))
    async with start("--model", MODEL, "--max-cost-usd", "0.0001", env=environment) as client:
        assert "US$ 0.0001" in client.instructions
        refused = await client.call_tool("ask", {"prompt": "Hi"})
        answered = await client.call_tool("ask", {"prompt": "Hi", "max_tokens": 100})
    assert "budget of US$ 0.0001" in error_of(refused)
    assert answered.content[0].text == "Hello."
    assert len(server.requests) == 1
    assert {call.source for call in Ledger(tmp_path / "ledger.db").calls()} == {"mcp"}


@pytest.fixture
def session_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """Start the command with options in this process; return the session that it would serve."""
    served: list[Session] = []
    monkeypatch.setattr(
        "lfm_adapter.apps.mcp.server.create_server", lambda session: served.append(session) or MagicMock()
    )
    monkeypatch.setattr("lfm_adapter.apps.mcp.stdio.serve_stdio", AsyncMock())
    monkeypatch.setattr("lfm_adapter.apps.mcp.logs.log_short_lines", lambda *_: None)

    def start(*options: str, **environment: str) -> Session:
        for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_BASE", "LFM_MODEL"):
            monkeypatch.setenv(name, environment.get(name, ""))
        ended = CliRunner().invoke(app, ["mcp", *options])
        assert ended.exit_code == 0, ended.output
        return served[-1]

    return start


def test_local_model_has_a_timeout_of_an_hour(
    session_for: Any, server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    running = SimpleNamespace(model="local/slow", base_url=server.base_url, close=lambda: None)
    monkeypatch.setattr(local, "serve", lambda *_, **__: running)
    settings = session_for("--local").client._settings
    assert settings.timeout >= 1800
    assert settings.stream_chunk_timeout is None


@pytest.mark.parametrize(
    "key",
    [
        "${OPENROUTER_API_KEY}",
        "${env:OPENROUTER_API_KEY}",
        "${OPENROUTER_API_KEY:-}",
        "${{ secrets.OPENROUTER_API_KEY }}",
        "{env:OPENROUTER_API_KEY}",
        "$OPENROUTER_API_KEY",
        "%OPENROUTER_API_KEY%",
        "<your key>",
        "sk-or-v1-...",
        "sk-or-v1-",
        "sk-or-...",
        "sk-or-v1-your-key-here",
        "YOUR_API_KEY",
        "$(cat key)",
    ],
)
def test_placeholder_is_not_used_as_a_key(session_for: Any, key: str):
    session = session_for("--model", MODEL, OPENROUTER_API_KEY=key)
    assert not session.has_model
    assert f"it has the placeholder `{key}`" in session.problems[0]
    assert "set OPENROUTER_API_KEY" in session.problems[1]


def test_stored_key_replaces_a_placeholder(session_for: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["keys", "set", "--file"], input=KEY).exit_code == 0
    session = session_for("--model", MODEL, OPENROUTER_API_KEY="${OPENROUTER_API_KEY}")
    assert session.problems == []
    assert session.settings.api_key == KEY


@pytest.mark.parametrize("key", [KEY, "sk-or-v1-x", "sk-or-v1-0123456789abcdef", "any$thing", "50%-off%"])
def test_key_is_not_taken_for_a_placeholder(session_for: Any, key: str):
    session = session_for("--model", MODEL, OPENROUTER_API_KEY=key)
    assert session.has_model
    assert session.problems == []


def test_other_placeholders_are_reported_and_ignored(session_for: Any):
    session = session_for(OPENROUTER_API_KEY=KEY, LFM_MODEL="${LFM_MODEL}", OPENROUTER_BASE_URL="${BASE}")
    assert session.settings.is_openrouter
    assert [problem.partition(" ")[0] for problem in session.problems] == ["OPENROUTER_BASE_URL", "LFM_MODEL"]


def test_named_model_without_a_key_is_reported(session_for: Any):
    session = session_for("--model", MODEL)
    assert not session.has_model
    assert "set OPENROUTER_API_KEY" in session.problems[0]
    assert not session_for(OPENROUTER_BASE_URL="https://openrouter.ai/api/v1").has_model
    assert session_for("--model", MODEL, "--base-url", "http://127.0.0.1:9/v1").has_model


@pytest.mark.parametrize("options", [("--base-url", "${BASE_URL}"), ("--gguf", "none.gguf")])
def test_unreachable_model_is_reported(session_for: Any, options: tuple[str, str]):
    session = session_for(*options, OPENROUTER_API_KEY=KEY)
    assert not session.has_model
    (problem,) = session.problems
    assert options[1] in problem


def test_missing_folders_are_reported_and_ignored(session_for: Any, tmp_path: Path):
    options = ("--root", "${workspaceFolder}", "--root", str(tmp_path), "--save-results", str(tmp_path / "none"))
    session = session_for(*options, OPENROUTER_API_KEY=KEY)
    assert "`--root ${workspaceFolder}` is ignored" in session.problems[0]
    assert f"`--save-results {tmp_path / 'none'}` is ignored" in session.problems[1]
    assert session.results_folder is None
    assert session_for("--save-results", str(tmp_path), OPENROUTER_API_KEY=KEY).results_folder == tmp_path.resolve()


@pytest.mark.parametrize("written", ["{} ${{X}}", "{}=${{X}}", "{} ${{input:x}}", "{} %X%", "{} <amount>"])
@pytest.mark.parametrize("option", ["--max-cost-usd", "--base-url", "--gguf"])
def test_no_model_is_asked_while_a_needed_option_is_a_placeholder(session_for: Any, option: str, written: str):
    session = session_for(*written.format(option).split(), OPENROUTER_API_KEY=KEY)
    (problem,) = session.problems
    assert problem.startswith(f"`{option} ")
    assert "no model is asked" in problem
    assert not session.has_model


@pytest.mark.parametrize("option", ["--model", "-m", "--context-length", "--port"])
def test_optional_option_with_a_placeholder_is_reported(session_for: Any, option: str):
    session = session_for(option, "${X}", "--max-cost-usd", "1", OPENROUTER_API_KEY=KEY)
    (problem,) = session.problems
    assert f"`{option} ${{X}}` is ignored" in problem
    assert session.has_model
    assert session.limit_usd == 1


async def test_limit_that_is_a_placeholder_is_reported_to_the_agent(start: Any):
    async with start("--model", MODEL, "--max-cost-usd", "${LFM_LIMIT}") as client:
        assert "`--max-cost-usd ${LFM_LIMIT}` is ignored" in client.instructions
        result = await client.call_tool("ask", {"prompt": "Hi"})
    assert result.is_error
    assert "no model is asked" in " ".join(block.text for block in result.content)


@pytest.mark.local_model
async def test_without_a_key_a_model_on_this_machine_answers(local_model: str, start: Any, tmp_path: Path):
    # What Claude Code and Roo Code pass on where the variable that a configuration names is not set.
    environment = {**os.environ, "OPENROUTER_API_KEY": "${OPENROUTER_API_KEY}"}
    async with start(env=environment) as client:
        assert "not an LFM" in client.instructions
        answer = await client.call_tool("ask", {"prompt": "What is water?", "max_tokens": 8})
        chosen = await client.call_tool("classify", {"text": "It is broken.", "labels": ["bug", "praise"]})
        listed = (await client.call_tool("models", {})).structured_content
    assert answer.content[0].text
    assert usage_of(answer)["cost_usd"] == 0
    assert chosen.structured_content["label"] in {"bug", "praise"}
    assert listed["server"] == "this machine"
    assert [(model["id"], model["context_length"]) for model in listed["models"]] == [(listed["default"], 8192)]
    assert "OPENROUTER_API_KEY is not set" in (tmp_path / "stderr.txt").read_text()


NO_LOCAL_MODEL = "import sys; sys.modules['xllamacpp'] = None; "


async def test_without_a_key_and_a_model_it_starts_and_reports_what_is_missing(start: Any):
    environment = {**os.environ, "OPENROUTER_API_KEY": "${OPENROUTER_API_KEY}"}
    async with start(env=environment, program=NO_LOCAL_MODEL) as client:
        assert "set OPENROUTER_API_KEY" in client.instructions
        for tool, arguments in (("ask", {"prompt": "Hi"}), ("models", {}), ("usage", {}), ("ask", {})):
            result = await client.call_tool(tool, arguments)
            assert result.is_error == (tool == "ask")
            assert "set OPENROUTER_API_KEY" in " ".join(block.text for block in result.content)


def test_stdout_has_only_the_protocol(server: ScriptedOpenRouter):
    server.add(completion())
    environment = environment_of(server)
    ended = subprocess.run(  # noqa: S603
        [*LFM, "mcp"], input="", env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_ctrl_c_ends_it_while_a_client_is_connected(server: ScriptedOpenRouter):
    environment = environment_of(server)
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    with subprocess.Popen(  # noqa: S603
        [*LFM, "mcp"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n")
        process.stdin.flush()
        assert "serverInfo" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(120)  # its stdin is still open
        finally:
            process.kill()


@pytest.mark.parametrize("options", [["--local", "--model", "x"], ["--max-cost-usd", "much", "--model", "x"]])
def test_invalid_options_are_refused_before_it_serves(options: list[str]):
    ended = subprocess.run(  # noqa: S603
        [*LFM, "mcp", *options], input="", capture_output=True, text=True, timeout=180, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "--base-url" in ended.stderr or "--max-cost-usd" in ended.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://llm.example/v1"])
def test_another_server_needs_no_model(session_for: Any, url: str):
    session = session_for("--base-url", url)
    assert (session.model, session.has_model, session.problems) == ("liquid/lfm-3b", True, [])


def test_without_the_sdk_it_says_how_to_install_it():
    program = "import sys; sys.modules['mcp'] = None; from lfm_adapter.apps.cli import app; app()"
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, "mcp"], input="", capture_output=True, text=True, timeout=180, check=False
    )
    assert ended.returncode == 1
    assert 'pip install "lfm-adapter[mcp]"' in ended.stderr
    assert "Traceback" not in ended.stderr
