"""The command in a pseudo-terminal, as it is used every day."""

from __future__ import annotations

import re
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from lfm_adapter.testing import stream

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from tests.support.terminal import CTRL_C, CTRL_D, TAB, UP, Terminal

MODEL = "liquid/lfm-3-1.7b"
LONG = "Rainwater gathers in brooks, brooks join in rivers, and rivers carry everything down to the sea at last."


def last_question(server: ScriptedOpenRouter) -> str:
    return server.requests[-1].body["messages"][-1]["content"]


def test_answer_is_shown_as_markdown_whose_words_are_whole(openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["# Ri", "vers\n\n", LONG[:50], LONG[50:], " **Al", "ways.**\n\n```\na\n\nb\n```\n"]))
    with Terminal("chat", "-m", MODEL, "Rivers?") as terminal:
        assert terminal.wait() == 0
    lines = [line.strip() for line in terminal.shown.splitlines()]
    assert "Rainwater gathers in brooks, brooks join in rivers, and rivers carry" in lines
    assert "everything down to the sea at last. Always." in lines


def test_spinner_turns_until_the_answer_begins(openrouter: ScriptedOpenRouter):
    begins = threading.Event()
    openrouter.add(stream("Wet.").held(0, begins))
    with Terminal("chat", "-m", MODEL, "Water?") as terminal:
        terminal.expect("waiting")
        begins.set()
        terminal.expect("Wet.")
        assert terminal.wait() == 0


def test_pasted_lines_are_one_question(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Three."))
    with Terminal("chat", "-m", MODEL) as terminal:
        terminal.expect("\n>")
        terminal.type("\x1b[200~one\ntwo\nthree\x1b[201~")
        terminal.expect("three")
        terminal.type("\r")
        terminal.expect("tokens in")
        terminal.expect("\n>")
        terminal.type(CTRL_D)
        assert terminal.wait() == 0
    assert last_question(openrouter) == "one\ntwo\nthree"
    assert len(openrouter.requests) == 1


def test_quotes_start_a_text_of_several_lines(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Two."))
    with Terminal("chat", "-m", MODEL) as terminal:
        terminal.expect("\n>")
        terminal.type('"""one\rtwo"""\r')
        terminal.expect("tokens in")
    assert last_question(openrouter) == "one\ntwo"


def test_ctrl_c_stops_an_answer_and_twice_at_the_prompt_leaves(openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["Once ", "upon ", "a time."]).held(3, threading.Event()))
    with Terminal("chat", "-m", MODEL) as terminal:
        terminal.expect("\n>")
        terminal.type("Tell a story.\r")
        terminal.expect("Once")
        terminal.type(CTRL_C)
        terminal.expect("(stopped)")

        terminal.expect("\n>")
        terminal.type(CTRL_C)
        # What the terminal echoes stays in the line that is drawn anew: else an old copy of it would be left above.
        drawn = re.split(r"\x1b\[2K|\x1b\[\?25l", terminal.raw.partition("^C")[0])[-1]  # since the line was begun
        assert len(f"{drawn}^C") <= 80
        terminal.expect("Ctrl-C again")
        terminal.expect("\n>")
        terminal.type(CTRL_C)
        terminal.expect("Left the conversation.")
        assert terminal.wait() == 0


def test_history_is_kept_across_conversations_and_commands_are_completed(
    openrouter: ScriptedOpenRouter, config_home: Path
):
    openrouter.add(stream())
    openrouter.add(stream())
    with Terminal("chat", "-m", MODEL) as terminal:
        terminal.expect("\n>")
        terminal.type("What is rain?\r")
        terminal.expect("tokens in")
        terminal.expect("\n>")
        terminal.type(CTRL_D)
        terminal.wait()
    assert (config_home / "history").stat().st_mode & 0o077 == 0
    with Terminal("chat", "-m", MODEL) as terminal:
        terminal.expect("\n>")
        terminal.type(UP)
        terminal.expect("What is rain?")
        terminal.type("\r")
        terminal.expect("tokens in")
        terminal.expect("\n>")
        terminal.type(f"/us{TAB}")
        terminal.expect("/usage")
        terminal.type("\r")
        terminal.expect("1 answer")
    assert last_question(openrouter) == "What is rain?"


def test_key_is_not_shown_while_it_is_typed(config_home: Path):
    with Terminal("keys", "set", "--file", env={"OPENROUTER_API_KEY": ""}) as terminal:
        terminal.expect("Key for OpenRouter: ")
        terminal.type("sk-or-v1-made-up-for-tests\r")
        terminal.expect("Stored …ests")
        assert terminal.wait() == 0
    assert "made-up" not in terminal.shown
    assert "made-up" in (config_home / "keys.json").read_text()
