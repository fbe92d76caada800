"""Clients that ask `lfm gateway`, each in a process of its own, on LFM-3B: it has no tools, and all of them need some.

`make test-clients` installs them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import completion, stream, token_usage
from tests.clients.clients import CLIENTS
from tests.support.client_programs import AGENTS, AIDER, NODE, PYDANTIC_AI, needs
from tests.support.prompted_model import PROMPTED, assert_tools_went_by_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter
    from tests.support.running_gateway import Gateway

    Setup = tuple[Iterable[object], dict[str, str]]

TIMEOUT_S = 240  # some import for 10 s, and this machine may be busy

NOTE = "The word of today is mango."
WEATHER = "Use get_weather with 'Oslo'."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the client works: a folder with one file."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "note.txt").write_text(f"{NOTE}\n")
    return work


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Where the client keeps its files."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    if (home / ".cline").exists():  # its hub outlives it
        ended((NODE / "cline", "hub", "stop"), home, {"PATH": os.environ["PATH"], "HOME": str(home)})


@pytest.fixture
def set_up(gateway: Gateway, home: Path, folder: Path) -> Callable[..., Setup]:
    """Set up a client that asks the gateway one question; return its command and its environment."""

    def set_up(client: str, question: str, key: str = gateway.key) -> Setup:
        start = CLIENTS[client](folder, gateway.base_url, key, question)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OPENAI_BASE_URL": gateway.base_url,
            "OPENAI_API_BASE": gateway.base_url,
            "OPENAI_API_KEY": key,
            **start.environment,
        }
        if start.before:
            ended(start.before, folder, environment)
        return start.command, environment

    return set_up


@pytest.fixture
def ask(set_up: Callable[..., Setup], gateway: Gateway, folder: Path) -> Callable[[str, str], str]:
    """Ask a client a question; return what it prints, once it has ended well."""

    def ask(client: str, question: str) -> str:
        command, environment = set_up(client, question)
        process = ended(command, folder, environment)
        assert process.returncode == 0, f"{process.stdout[-3000:]}\n{process.stderr[-3000:]}\n{gateway.noted[-3000:]}"
        return process.stdout

    return ask


def ended(command: Iterable[object], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(  # noqa: S603
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@needs(AGENTS)
def test_openai_sdk_calls_a_tool_in_chat_and_responses(ask: Callable[[str, str], str], asked: list[Any]):
    told = json.loads(ask("OpenAI SDK", WEATHER))
    assert told == {"chat": "The tool says: Rain in Oslo.", "responses": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_ai_sdk_with_openrouters_provider_calls_a_tool(ask: Callable[[str, str], str], asked: list[Any]):
    told = json.loads(ask("AI SDK", WEATHER))
    assert told["whole"] == told["streamed"] == "The tool says: Rain in Oslo."
    assert told["cost"] > 0
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_librechats_agents_call_a_tool(ask: Callable[[str, str], str], asked: list[Any]):
    said = ask("LibreChat", WEATHER)
    assert json.loads(said.splitlines()[-1]) == {"text": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(PYDANTIC_AI)
def test_pydantic_ai_with_its_model_for_openrouter_calls_a_tool(ask: Callable[[str, str], str], asked: list[Any]):
    assert json.loads(ask("Pydantic AI", WEATHER)) == {"text": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_codex_runs_a_command(ask: Callable[[str, str], str], asked: list[Any]):
    assert NOTE in ask("Codex", "Use exec_command with 'cat note.txt'.")
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_claude_code_reads_a_file(ask: Callable[[str, str], str], asked: list[Any], folder: Path):
    assert NOTE in ask("Claude Code", f"Use Read with '{folder / 'note.txt'}'.")
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_opencode_reads_a_file(ask: Callable[[str, str], str], asked: list[Any], folder: Path):
    assert NOTE in ask("opencode", f"Use read with '{folder / 'note.txt'}'.")
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_cline_reads_a_file(ask: Callable[[str, str], str], asked: list[Any], folder: Path):
    said = ask("Cline", f"Use read_files with '{folder / 'note.txt'}'.")
    assert NOTE in json.loads(said.splitlines()[-1])["text"]
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_continue_reads_a_file(ask: Callable[[str, str], str], asked: list[Any], folder: Path):
    assert NOTE in ask("Continue", f"Use Read with '{folder / 'note.txt'}'.")
    assert_tools_went_by_prompt(asked)


@needs(AIDER)
def test_aider_edits_a_file(
    ask: Callable[[str, str], str], openrouter: ScriptedOpenRouter, asked: list[Any], folder: Path
):
    """aider has no tools: it reads edits out of the text."""
    openrouter.add(stream(["hello.py\n```\n", "print('hello')\n", "```\n"], usage=token_usage(600, 11)))
    ask("aider", "Write hello.py, which prints hello.")
    assert (folder / "hello.py").read_text() == "print('hello')\n"
    assert {request.body["model"] for request in asked} == {PROMPTED}


@needs(AGENTS)
def test_mini_swe_agent_runs_a_command_and_submits(
    ask: Callable[[str, str], str], openrouter: ScriptedOpenRouter, asked: list[Any], folder: Path
):
    for command in ("echo made > made.txt", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"):
        call = json.dumps({"name": "bash", "arguments": {"command": command}})
        openrouter.add(completion(f"<tool_call>{call}</tool_call>", usage=token_usage(600, 20)))
    ask("mini-swe-agent", "Make made.txt.")
    assert (folder / "made.txt").read_text() == "made\n"
    assert json.loads((folder / "out.json").read_text())["info"]["exit_status"] == "Submitted"
    assert_tools_went_by_prompt(asked)


each_client = pytest.mark.parametrize("client", CLIENTS)


@needs(NODE, AIDER, AGENTS, PYDANTIC_AI)
@each_client
def test_client_tells_of_a_wrong_key(client: str, set_up: Callable[..., Setup], asked: list[Any], folder: Path):
    command, environment = set_up(client, "What is water?", "a-wrong-key")
    process = ended(command, folder, environment)
    said = " ".join((process.stdout + process.stderr).split())
    assert "The API key is wrong. Enter the gateway's key in your app" in said
    assert asked == []


@needs(NODE, AIDER, AGENTS, PYDANTIC_AI)
@pytest.mark.usefixtures("asked")
@each_client
def test_client_that_is_killed_ends_the_request_upstream(
    client: str, set_up: Callable[..., Setup], openrouter: ScriptedOpenRouter, folder: Path
):
    never = threading.Event()
    openrouter.add(stream(["Wet."]).held(0, never))
    command, environment = set_up(client, "What is water?")
    process = subprocess.Popen(  # noqa: S603
        [str(word) for word in command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        openrouter.wait_for_requests(1, timeout=TIMEOUT_S)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert openrouter.requests[0].abandoned.wait(TIMEOUT_S)
    never.set()
