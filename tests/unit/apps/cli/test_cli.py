"""The command `lfm`, against a scripted OpenRouter."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from lfm_adapter import catalog, local
from lfm_adapter.apps import local as apps_local
from lfm_adapter.apps.cli import app, console
from lfm_adapter.apps.cli.conversation import Conversation
from lfm_adapter.apps.cli.question import question_of
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import error, json_reply, stream, token_usage
from lfm_adapter.types import ModelCard
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from lfm_adapter.testing import ScriptedOpenRouter


def lfm(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


@dataclass
class FakeLocalServer:
    """What `local.serve` returns, in front of a scripted server."""

    base_url: str
    model: str = local.DEMO_MODEL
    asked_for: list[object] = field(default_factory=list)
    closed: bool = False

    def serve(self, gguf: Path | None = None, **options: object) -> FakeLocalServer:
        self.asked_for += [gguf, options]
        return self

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> str:
        return self.base_url

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def local_server(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> FakeLocalServer:
    fake = FakeLocalServer(server.base_url)
    monkeypatch.setattr(apps_local, "serve", fake.serve)
    return fake


def test_answer_goes_to_stdout_and_all_else_to_stderr(openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["Water ", "is\n", "[bold]wet[/bold].\u2028"], usage=token_usage(9, 5, cost=4.5e-06)))
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "What is water?")
    assert result.exit_code == 0
    assert result.stdout == "Water is\n[bold]wet[/bold].\u2028\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("9 tokens in, 5 out · ")
    assert " tokens/s) · US$ 0.0000045 · " in line
    assert line.endswith(" · Liquid")


def test_options_reach_the_request(openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    options = ["--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.2", "--model", "liquid/lfm-3-1.7b"]
    assert lfm("chat", *options, "Hello").exit_code == 0
    body = openrouter.requests[0].body
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert (body["max_tokens"], body["temperature"], body["model"]) == (7, 0.2, "liquid/lfm-3-1.7b")


@pytest.mark.parametrize(
    ("arguments", "stdin", "asked"),
    [
        (["Summarise"], "Rain.\n", "Summarise\n\nRain.\n"),
        (["Summarise"], "\n", "Summarise"),
        (["-"], "Rain?", "Rain?"),
        ([], "Rain?", "Rain?"),
    ],
    ids=["question and text", "question and nothing", "dash", "text alone"],
)
def test_piped_text_follows_the_question(openrouter: ScriptedOpenRouter, arguments: list[str], stdin: str, asked: str):
    openrouter.add(stream())
    lfm("chat", "-m", "liquid/lfm-3-1.7b", *arguments, stdin=stdin)
    assert openrouter.requests[0].body["messages"] == [{"role": "user", "content": asked}]


def test_piped_text_in_another_encoding_is_decoded_with_replacements(openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    result = CliRunner().invoke(app, ["chat", "-m", "liquid/lfm-3-1.7b", "Summarise"], input=b"Caf\xe9")
    assert result.exit_code == 0
    assert openrouter.requests[0].body["messages"][0]["content"] == "Summarise\n\nCaf\ufffd"


def test_silent_pipe_gets_a_note(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    openrouter.add(stream())
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "Summarise", stdin="Rain.")
    assert result.stderr.startswith("Waiting for the end of stdin.")
    assert openrouter.requests[0].body["messages"][0]["content"] == "Summarise\n\nRain."


@pytest.mark.parametrize("question", ["-", None])
def test_closed_stdin_counts_as_empty(monkeypatch: pytest.MonkeyPatch, question: str | None):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(typer.BadParameter, match="empty"):
        question_of([question] if question else [], [], None)


def test_successor_of_the_default_model_answers_after_one_warning(openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    result = lfm("chat", "Hello")
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"
    assert result.stdout == "Hello.\n"
    warning, _ = result.stderr.splitlines()
    assert "`liquid/lfm-3b` is retired" in warning
    assert warning.endswith("Choose it with `--model` or `LFM_MODEL`.")


def test_reasoning_is_shown_apart_from_the_answer(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("4", reasoning=["2 and ", "2."], usage=token_usage(9, 5, reasoning_tokens=4)))
    result = lfm("chat", "-m", "liquid/lfm-2.5-2.6b:free", "2 + 2?")
    assert result.stdout == "4\n"
    assert result.stderr.startswith("2 and 2.\n")
    assert "5 out (4 for reasoning)" in result.stderr


def test_answer_ends_with_one_newline(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Hello.\n"))
    assert lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hello").stdout == "Hello.\n"


def test_characters_outside_of_the_encoding_are_replaced(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("1 \u2192 2"))
    result = CliRunner(charset="latin-1").invoke(app, ["chat", "-m", "liquid/lfm-3-1.7b", "Hello"])
    assert (result.exit_code, result.stdout) == (0, "1 ? 2\n")


def test_summary_line_says_that_the_answer_was_cut_off(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Once upon", finish_reason="length"))
    assert "cut off at the token limit; see --max-tokens" in lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hi").stderr


def test_failure_is_one_line_without_a_traceback(openrouter: ScriptedOpenRouter):
    openrouter.add(error(401, "User [/bold] not found."))
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hello")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "User [/bold] not found." in line


def test_invalid_setting_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch):
    result = lfm("chat", "--base-url", "ftp://example.com", "--model", "any", "Hello")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: `--base-url` must be an http or https URL")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local", "--base-url", "http://127.0.0.1:1", "Hello"],
        ["--gguf", "lfm.gguf", "--model", "liquid/lfm-3b", "Hello"],
        ["--max-tokens", "0", "Hello"],
        ["--temperature", "3", "Hello"],
        [""],
        [],
    ],
    ids=["two servers", "two models", "no tokens", "too hot", "empty", "empty stdin"],
)
def test_wrong_usage_exits_with_2_and_sends_nothing(openrouter: ScriptedOpenRouter, arguments: list[str]):
    assert lfm("chat", *arguments).exit_code == 2
    assert openrouter.requests == []


def test_without_a_key_the_demo_model_answers_after_a_note(server: ScriptedOpenRouter, local_server: FakeLocalServer):
    server.add(stream("Hello.", model=local.DEMO_MODEL, provider=None, usage=token_usage(9, 5, cost=None)))
    result = lfm("chat", "Hello")
    assert (result.exit_code, result.stdout) == (0, "Hello.\n")
    first, last = result.stderr.splitlines()
    assert first.startswith("No API key is set, so SmolLM2-135M-Instruct on this machine answers")
    assert "not an LFM" in first
    assert "https://openrouter.ai/settings/keys" in first
    assert "no cost · local/smollm2-135m-instruct" in last
    assert server.requests[0].body["model"] == local.DEMO_MODEL
    assert server.requests[0].body["max_tokens"] == 512
    assert local_server.closed


def test_without_a_key_and_a_local_model_no_model_is_available(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    result = lfm("chat", "Hello")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: No model is available.")
    assert "create a key at https://openrouter.ai/settings/keys and run `lfm keys set`" in line
    assert 'pip install "lfm-adapter[local]"' in line


def test_without_a_key_lfm_model_is_ignored(
    server: ScriptedOpenRouter, local_server: FakeLocalServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LFM_MODEL", "liquid/lfm-3-1.7b")
    server.add(stream())
    assert lfm("chat", "Hello").exit_code == 0
    assert server.requests[0].body["model"] == local.DEMO_MODEL


def test_model_of_the_environment_is_asked_and_not_replaced(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LFM_MODEL", "liquid/lfm-7b")
    openrouter.add(stream())
    lfm("chat", "Hello")
    assert openrouter.requests[0].body["model"] == "liquid/lfm-7b"


def test_local_model_can_be_asked_for_beside_a_key(
    openrouter: ScriptedOpenRouter, server: ScriptedOpenRouter, local_server: FakeLocalServer
):
    server.add(stream())
    result = lfm("chat", "--local", "Hello")
    assert result.stderr.startswith("Starting SmolLM2-135M-Instruct on this machine.\n")
    assert server.requests[0].body["model"] == local.DEMO_MODEL
    assert "authorization" not in server.requests[0].headers
    assert openrouter.requests == []


def test_gguf_file_is_asked_without_the_demo_models_token_limit(
    server: ScriptedOpenRouter, local_server: FakeLocalServer, tmp_path: Path
):
    server.add(stream())
    lfm("chat", "--gguf", str(tmp_path / "lfm2.gguf"), "Hello")
    assert local_server.asked_for[0] == tmp_path / "lfm2.gguf"
    assert "max_tokens" not in server.requests[0].body


def test_liquids_models_are_never_replaced_by_the_local_one(local_server: FakeLocalServer):
    result = lfm("chat", "--model", "liquid/lfm-3-1.7b", "Hello")
    assert result.exit_code == 1
    assert "OPENROUTER_API_KEY" in result.stderr
    assert local_server.asked_for == []


def test_key_is_not_sent_to_another_server_on_this_machine(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-made-up-for-tests")
    server.add(stream())
    assert lfm("chat", "--base-url", server.base_url, "--model", "any", "Hello").exit_code == 0
    assert "authorization" not in server.requests[0].headers


def test_another_server_is_asked_for_the_default_model(server: ScriptedOpenRouter):
    server.add(stream())
    result = lfm("chat", "--base-url", server.base_url, "Hello")
    assert result.exit_code == 0
    assert "retired" not in result.stderr
    assert server.requests[0].body["model"] == "liquid/lfm-3b"


def test_ctrl_c_ends_a_single_question(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Conversation, "ask", interrupt)
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hello")
    assert result.exit_code == 130
    assert "Traceback" not in result.output


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("screen_type", [Terminal, io.StringIO])
def test_answer_cannot_control_the_terminal(screen_type: type[io.StringIO], monkeypatch: pytest.MonkeyPatch):
    text = "\x1b]0;title\x07\x1b[2J\x9b1mwet\t\n\r\u200b水"
    monkeypatch.setattr(sys, "stdout", screen_type())
    console.answer(text)
    assert sys.stdout.getvalue() == ("]0;title[2J1mwet\t\n\u200b水" if screen_type is Terminal else text)


def test_every_model_of_the_catalogue_is_listed_with_its_price():
    lines = lfm("models").stdout.splitlines()
    listed = {line.split()[0]: line.split() for line in lines[1:]}
    assert max(map(len, lines)) <= 80
    assert set(listed) == {card.id for card in catalog.models()}
    assert listed["liquid/lfm-3-1.7b"][1:6] == ["chat", "live", "262,144", "0.08", "0.2"]
    assert "?" in listed["liquid/lfm-40b:free"]
    assert listed["liquid/d1-ultra"][1:6] == ["decisions", "live", "32,768", "0.042", "0"]


def test_live_models_are_listed_first_and_the_newest_of_them_at_the_top(monkeypatch: pytest.MonkeyPatch):
    names = {"old": "live", "new": "live", "newer": "retired", "newest": "unknown"}
    cards = tuple(ModelCard(id=name, name=name, status=status) for name, status in names.items())
    monkeypatch.setattr(catalog, "models", lambda: cards)
    assert [line.split()[0] for line in lfm("models").stdout.splitlines()[1:]] == ["new", "old", "newest", "newer"]


def test_one_model_is_shown_with_successors_and_sources():
    shown = lfm("models", "lfm-3b").stdout
    assert "Model           liquid/lfm-3b\n" in shown
    assert "US$ per million 0.02 in, 0.02 out\n" in shown
    assert "Ask instead     liquid/lfm-3-1.7b, " in shown
    assert "tools: no" in shown
    assert shown.count("\nSource ") == len(catalog.get("lfm-3b").sources)


def test_a_decision_model_is_shown_with_its_questions_and_inputs():
    shown = lfm("models", "d1.2").stdout
    assert "Kind            decisions\n" in shown
    assert "Questions       box, choice, noul, score\n" in shown
    assert "Input           audio, image, text\n" in shown


def test_unknown_model_is_an_error_with_a_suggestion():
    result = lfm("models", "lfm-3c")
    assert result.exit_code == 1
    assert "Did you mean 'lfm-3b'?" in result.stderr
    assert "Did you mean 'lfm-3b'?" in lfm("models", "LFM-3C").stderr
    assert "lfm models --live" in lfm("models", "gpt-5").stderr


def test_models_are_found_in_any_case(openrouter: ScriptedOpenRouter):
    assert lfm("models", "LFM-3B").stdout == lfm("models", "lfm-3b").stdout
    openrouter.add(stream())
    assert lfm("chat", "-m", "Liquid/LFM-3-1.7B", "Hello").exit_code == 0
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"


def test_models_of_one_kind_are_listed():
    lines = lfm("models", "--kind", "Embeddings").stdout.splitlines()
    assert {line.split()[1] for line in lines[1:]} == {"embeddings"}
    result = lfm("models", "--kind", "banana")
    assert (result.exit_code, "must be one of chat, decisions, embeddings" in result.stderr) == (1, True)


def test_json_holds_the_whole_cards():
    cards = json.loads(lfm("models", "--json").stdout)
    assert {card["id"] for card in cards} == {card.id for card in catalog.models()}
    card = json.loads(lfm("models", "lfm-3b", "--json").stdout)
    assert card["pricing"]["prompt"] == "0.00000002"
    assert card["created"] == "2025-01-25"
    assert "temperature" in card["supported_parameters"]


def test_live_list_is_openrouters(openrouter: ScriptedOpenRouter):
    endpoint = {
        "provider_name": "Liquid",
        "context_length": 262144,
        "max_completion_tokens": 8192,
        "supported_parameters": ["max_tokens"],
    }
    openrouter.add(json_reply({"data": {"endpoints": [endpoint]}}), path="/models/liquid/lfm-3-1.7b/endpoints")
    shown = lfm("models", "--live", "liquid/lfm-3-1.7b").stdout
    assert "Longest answer  8,192 tokens\n" in shown
    assert "Endpoint        Liquid, 262,144 tokens, up ? of the last day\n" in shown
    assert "Parameters      max_tokens\n" in shown
    assert openrouter.requests[0].path == "/models"


def test_lfm_local_prints_how_to_reach_it_until_ctrl_c(
    local_server: FakeLocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages }}")
    monkeypatch.setattr("time.sleep", interrupt)
    options = ["--port", "18100", "--context-length", "4096", "--chat-template", str(template)]
    result = lfm("local", str(tmp_path / "lfm2.gguf"), *options)
    assert result.exit_code == 0
    url = local_server.base_url
    assert f'ChatLFM(base_url="{url}", model="{local.DEMO_MODEL}")' in result.stdout
    assert f"lfm chat --base-url {url} --model {local.DEMO_MODEL} " in result.stdout
    assert local_server.asked_for[0] == tmp_path / "lfm2.gguf"
    assert local_server.asked_for[1].items() >= {
        "port": 18100, "context_length": 4096, "chat_template": "{{ messages }}"
    }.items()  # fmt: skip
    assert local_server.closed


def test_lfm_local_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch):
    def fail(*_args: object, **_options: object) -> None:
        raise ConfigurationError("The demo model is not installed.")

    monkeypatch.setattr(apps_local, "serve", fail)
    result = lfm("local")
    assert (result.exit_code, result.stderr) == (1, "Error: The demo model is not installed.\n")


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["chat", "--help"]])
def test_quick_commands_load_nothing_heavy(arguments: list[str]):
    program = f"""
import sys
from lfm_adapter.apps.cli import app
try:
    app({arguments!r})
finally:
    heavy = {{"aiohttp", "langchain_core", "urllib3", "xllamacpp"}} & set(sys.modules)
    print(*heavy, sep=", ", file=sys.stderr, end="")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert ended.stdout
    assert ended.stderr == ""


def test_question_is_asked_without_loading_what_it_does_not_need(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Wet."))
    program = """
import sys
from lfm_adapter.apps.cli import app
try:
    app(["chat", "-m", "liquid/lfm-3-1.7b", "Water?"])
finally:
    heavy = {"aiohttp", "langchain_core", "prompt_toolkit", "rich", "xllamacpp"} & set(sys.modules)
    print(*heavy, sep=", ", file=sys.stderr, end="")
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "Wet.\n"
    assert done.stderr.endswith("Liquid\n")


def test_refused_key_does_not_ask_to_set_one(openrouter: ScriptedOpenRouter):
    openrouter.add(error(401, "User not found."))
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "Hello")
    assert "`lfm keys show`" in result.stderr
    assert "api_key" not in result.stderr


def test_errors_name_options(openrouter: ScriptedOpenRouter):
    openrouter.add(error(400, "This endpoint's maximum context length is 32768 tokens. You requested about 40000."))
    result = lfm("chat", "-m", "liquid/lfm-3-1.7b", "--max-tokens", "9000", "Hello")
    assert result.exit_code == 1
    assert "max_tokens" not in result.stderr


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lfm_adapter.apps.cli import app; app(prog_name='lfm')", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=180, **options)  # noqa: S603


@pytest.mark.parametrize("arguments", [["models"], ["--help"], ["models", "--json"], ["chat", "-m", "x/y", "Hello"]])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
def test_full_disk_is_one_line(openrouter: ScriptedOpenRouter, arguments: list[str]):
    if arguments[0] == "chat":
        openrouter.add(stream("Wet."))
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run(*arguments, stdout=full, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (1, "Error: Cannot write: No space left on device.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_closed_pipe_ends_the_command_silently():
    reader, writer = os.pipe()
    os.close(reader)
    done = run("models", "--json", stdout=writer, stdin=subprocess.DEVNULL)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_help_shows_the_help_of_a_command():
    shown = lfm("help", "chat")
    assert (shown.exit_code, "--schema" in shown.stdout) == (0, True)
    assert "delete" in lfm("help", "keys").stdout
    assert "gateway" in lfm("help").stdout


def test_mistyped_command_is_suggested():
    result = lfm("modles")
    assert (result.exit_code, "Did you mean 'models'?" in result.stderr) == (2, True)
    assert lfm("MODELS").stdout == lfm("models").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_models(shell: str):
    script = run(
        "--show-completion",
        shell,
        stdout=subprocess.PIPE,
        env={**os.environ, "SHELL": shell, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    ).stdout
    assert "_LFM_COMPLETE" in script
    words = {"bash": {"COMP_WORDS": "lfm chat -m lfm-3-1", "COMP_CWORD": "3"}}.get(
        shell, {"_TYPER_COMPLETE_ARGS": "lfm chat -m lfm-3-1", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    done = run(stdout=subprocess.PIPE, env={**os.environ, **words, "_LFM_COMPLETE": f"complete_{shell}"})
    assert "lfm-3-1.7b" in done.stdout


def test_lfm_local_takes_the_next_port_if_the_first_is_taken(
    local_server: FakeLocalServer, monkeypatch: pytest.MonkeyPatch
):
    first = free_port()
    monkeypatch.setattr("time.sleep", interrupt)
    monkeypatch.setattr(sys.modules["lfm_adapter.apps.cli.local"], "FIRST_PORT", first)
    assert lfm("local").exit_code == 0
    assert local_server.asked_for[-1]["port"] == first
    with socket.create_server(("127.0.0.1", first)):
        assert lfm("local").exit_code == 0
    assert first < local_server.asked_for[-1]["port"] < first + 100
