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
from tests.clients.assistants import ASSISTANTS, aider, cline, continue_, mini, opencode
from tests.support.client_programs import AGENTS, AIDER, NODE, PROGRAMS, PYDANTIC_AI, needs
from tests.support.prompted_model import PROMPTED, assert_tools_went_by_prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter
    from tests.clients.assistants import Start
    from tests.support.running_gateway import Gateway

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
def environment(gateway: Gateway, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What every client finds in its environment."""
    home = tmp_path / "home"
    home.mkdir()
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "OPENAI_BASE_URL": gateway.base_url,
        "OPENAI_API_BASE": gateway.base_url,
        "OPENAI_API_KEY": gateway.key,
    }
    yield variables
    if (home / ".cline").exists():  # its hub outlives it
        ended_run((NODE / "cline", "hub", "stop"), home, variables)


@pytest.fixture
def run(gateway: Gateway, environment: dict[str, str], folder: Path) -> Callable[..., str]:
    """Run a client that knows the gateway by its environment; return what it prints, once it has ended well."""

    def run(*command: object, **more: str) -> str:
        ended = ended_run(command, folder, environment | more)
        assert ended.returncode == 0, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}\n{gateway.noted[-3000:]}"
        return ended.stdout

    return run


@pytest.fixture
def ask(run: Callable[..., str], gateway: Gateway, folder: Path) -> Callable[..., str]:
    """Ask an assistant, and return what it prints."""

    def ask(assistant: Callable[..., Start], question: str) -> str:
        start = assistant(folder, gateway.base_url, gateway.key, question)
        if start.before:
            run(*start.before, **start.environment)
        return run(*start.command, **start.environment)

    return ask


def ended_run(
    command: Iterable[object], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
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
def test_openai_sdk_calls_a_tool_in_chat_and_responses(run: Callable[..., str], asked: list[Any]):
    told = json.loads(run(AGENTS / "python", PROGRAMS / "ask_openai.py", "lfm-3b"))
    assert told == {"chat": "The tool says: Rain in Oslo.", "responses": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_ai_sdk_with_openrouters_provider_calls_a_tool(run: Callable[..., str], asked: list[Any]):
    told = json.loads(run("node", PROGRAMS / "ask_ai_sdk.mjs", "lfm-3b", WEATHER, NODE_CLIENTS=str(NODE.parents[1])))
    assert told["whole"] == told["streamed"] == "The tool says: Rain in Oslo."
    assert told["cost"] > 0
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_librechats_agents_call_a_tool(run: Callable[..., str], asked: list[Any]):
    said = run("node", PROGRAMS / "ask_librechat.mjs", "lfm-3b", WEATHER, NODE_CLIENTS=str(NODE.parents[1]))
    assert json.loads(said.splitlines()[-1]) == {"text": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(PYDANTIC_AI)
def test_pydantic_ai_with_its_model_for_openrouter_calls_a_tool(run: Callable[..., str], asked: list[Any]):
    told = json.loads(run(PYDANTIC_AI / "python", PROGRAMS / "ask_pydantic_ai.py", "liquid/lfm-3b", WEATHER))
    assert told == {"text": "The tool says: Rain in Oslo."}
    assert_tools_went_by_prompt(asked)


@needs(NODE, PYDANTIC_AI)
def test_clients_know_a_wrong_key_as_401(run: Callable[..., str]):
    ai_sdk = ("node", PROGRAMS / "ask_ai_sdk.mjs", "lfm-3b", WEATHER)
    told = json.loads(run(*ai_sdk, NODE_CLIENTS=str(NODE.parents[1]), OPENAI_API_KEY="a-wrong-key"))
    assert told["status"] == 401
    assert "Enter the gateway's key in your app" in told["message"]
    pydantic_ai = (PYDANTIC_AI / "python", PROGRAMS / "ask_pydantic_ai.py", "liquid/lfm-3b", WEATHER)
    assert json.loads(run(*pydantic_ai, OPENAI_API_KEY="a-wrong-key")) == {"status": 401}


@needs(NODE)
def test_codex_runs_a_command(run: Callable[..., str], gateway: Gateway, asked: list[Any]):
    provider = f'{{name="LFM",base_url="{gateway.base_url}",env_key="OPENAI_API_KEY",wire_api="responses"}}'
    said = run(
        NODE / "codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
        "-m", "lfm-3b", "-c", "model_provider=lfm", "-c", f"model_providers.lfm={provider}",
        "Use exec_command with 'cat note.txt'.",
    )  # fmt: skip
    assert NOTE in said
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_opencode_reads_a_file(ask: Callable[..., str], asked: list[Any], folder: Path):
    assert NOTE in ask(opencode, f"Use read with '{folder / 'note.txt'}'.")
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_cline_reads_a_file(ask: Callable[..., str], asked: list[Any], folder: Path):
    said = ask(cline, f"Use read_files with '{folder / 'note.txt'}'.")
    assert NOTE in json.loads(said.splitlines()[-1])["text"]
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_claude_code_reads_a_file(run: Callable[..., str], gateway: Gateway, asked: list[Any], folder: Path):
    """Its prompt with all of its tools, and the answer that it makes room for, do not fit into 32,768 tokens."""
    said = run(
        NODE / "claude", "--model", "lfm-3b", "--tools", "Read,Bash", "-p",
        f"Use Read with '{folder / 'note.txt'}'.",
        ANTHROPIC_BASE_URL=gateway.base_url.removesuffix("/v1"), ANTHROPIC_AUTH_TOKEN=gateway.key,
        CLAUDE_CODE_MAX_OUTPUT_TOKENS="4096", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )  # fmt: skip
    assert NOTE in said
    assert_tools_went_by_prompt(asked)


@needs(NODE)
def test_continue_reads_a_file(ask: Callable[..., str], asked: list[Any], folder: Path):
    assert NOTE in ask(continue_, f"Use Read with '{folder / 'note.txt'}'.")
    assert_tools_went_by_prompt(asked)


@needs(AIDER)
def test_aider_edits_a_file(ask: Callable[..., str], openrouter: ScriptedOpenRouter, asked: list[Any], folder: Path):
    """aider has no tools: it reads edits out of the text."""
    openrouter.add(stream(["hello.py\n```\n", "print('hello')\n", "```\n"], usage=token_usage(600, 11)))
    ask(aider, "Write hello.py, which prints hello.")
    assert (folder / "hello.py").read_text() == "print('hello')\n"
    assert {request.body["model"] for request in asked} == {PROMPTED}


@needs(AGENTS)
def test_mini_swe_agent_runs_a_command_and_submits(
    ask: Callable[..., str], openrouter: ScriptedOpenRouter, asked: list[Any], folder: Path
):
    for command in ("echo made > made.txt", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"):
        call = json.dumps({"name": "bash", "arguments": {"command": command}})
        openrouter.add(completion(f"<tool_call>{call}</tool_call>", usage=token_usage(600, 20)))
    ask(mini, "Make made.txt.")
    assert (folder / "made.txt").read_text() == "made\n"
    assert json.loads((folder / "out.json").read_text())["info"]["exit_status"] == "Submitted"
    assert_tools_went_by_prompt(asked)


each_assistant = pytest.mark.parametrize("name", ASSISTANTS)


@needs(NODE, AIDER, AGENTS)
@each_assistant
def test_assistant_tells_of_a_wrong_key(
    name: str, gateway: Gateway, environment: dict[str, str], asked: list[Any], folder: Path
):
    start = ASSISTANTS[name](folder, gateway.base_url, "a-wrong-key", "What is water?")
    variables = environment | {"OPENAI_API_KEY": "a-wrong-key"} | dict(start.environment)
    if start.before:
        ended_run(start.before, folder, variables)
    ended = ended_run(start.command, folder, variables)
    assert "The API key is wrong. Enter the gateway's key in your app" in " ".join(
        (ended.stdout + ended.stderr).split()
    )
    assert asked == []


@needs(NODE, AIDER, AGENTS)
@pytest.mark.usefixtures("asked")
@each_assistant
def test_assistant_that_is_killed_ends_the_request_upstream(
    name: str, gateway: Gateway, environment: dict[str, str], openrouter: ScriptedOpenRouter, folder: Path
):
    never = threading.Event()
    openrouter.add(stream(["Wet."]).held(0, never))
    start = ASSISTANTS[name](folder, gateway.base_url, gateway.key, "What is water?")
    variables = environment | dict(start.environment)
    if start.before:
        ended_run(start.before, folder, variables)
    process = subprocess.Popen(  # noqa: S603
        [str(word) for word in start.command], cwd=folder, env=variables, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        openrouter.wait_for_requests(1, timeout=TIMEOUT_S)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert openrouter.requests[0].abandoned.wait(TIMEOUT_S)
    never.set()
