"""What a conversation remembers, forgets and adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter import LFMClient, errors
from lfm_adapter.apps.cli.conversation import Conversation
from lfm_adapter.apps.cli.prompt import Prompt
from lfm_adapter.testing import error, stream, token_usage

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

TOO_LONG = error(
    400, "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens."
)


@pytest.fixture
def talk(openrouter: ScriptedOpenRouter) -> Conversation:
    return Conversation(LFMClient("liquid/lfm-3-1.7b", max_retries=0), "Be brief.")


def contents(server: ScriptedOpenRouter) -> list[str]:
    return [message["content"] for message in server.requests[-1].body["messages"]]


def type_in(talk: Conversation, *lines: str | type[BaseException], drops_oldest: bool = False) -> None:
    """Run a prompt at which these lines are typed, or keys for which the terminal raises."""
    left = iter(lines)

    class Session:
        def prompt(self, _: str) -> str:
            line = next(left, EOFError)
            if isinstance(line, str):
                return line
            raise line

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lfm_adapter.apps.cli.prompt._session", Session)
        Prompt(talk, drops_oldest=drops_oldest).run()


def test_conversation_remembers_what_was_said(talk: Conversation, openrouter: ScriptedOpenRouter, capsys):
    openrouter.add(stream("Hello, Ada."))
    openrouter.add(stream("Ada."))
    type_in(talk, "My name is Ada.", "", "  ", "What is my name?", "/exit", "never read")
    assert contents(openrouter) == ["Be brief.", "My name is Ada.", "Hello, Ada.", "What is my name?"]
    assert capsys.readouterr().out == "Hello, Ada.\nAda.\n"


@pytest.mark.parametrize("word", ["exit", "quit", "/exit", EOFError])
def test_exit_words_end_a_conversation(talk: Conversation, openrouter: ScriptedOpenRouter, word: str):
    type_in(talk, word, "never asked")
    assert openrouter.requests == []


def test_ctrl_c_twice_at_the_prompt_leaves_and_once_does_not(
    talk: Conversation, openrouter: ScriptedOpenRouter, capsys
):
    openrouter.add(stream())
    type_in(talk, KeyboardInterrupt, "Hello", KeyboardInterrupt, KeyboardInterrupt, "never asked")
    assert len(openrouter.requests) == 1
    assert "Left the conversation." in capsys.readouterr().err


def test_failed_question_is_forgotten_and_retry_asks_it_again(
    talk: Conversation, openrouter: ScriptedOpenRouter, capsys
):
    openrouter.add(error(429, "Too many requests."))
    openrouter.add(stream("1"))
    openrouter.add(stream("2"))
    type_in(talk, "One", "/retry", "/retry")
    assert contents(openrouter) == ["Be brief.", "One"]
    assert [turn["content"] for turn in talk.turns] == ["One", "2"]
    assert "Too many requests." in capsys.readouterr().err


def test_received_part_of_an_interrupted_answer_is_remembered(talk: Conversation, openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["Once ", "upon", " a time."]).broken(3))
    with pytest.raises(errors.APIError):
        talk.ask("Tell a story.")
    assert talk.turns[0]["content"] == "Tell a story."
    assert "Once upon a time.".startswith(talk.turns[1]["content"])


def test_full_context_offers_a_way_out(talk: Conversation, openrouter: ScriptedOpenRouter, capsys):
    openrouter.add(stream("1"))
    openrouter.add(TOO_LONG)
    openrouter.add(stream("2"))
    type_in(talk, "One", "Two", "/drop", "/retry")
    assert contents(openrouter) == ["Be brief.", "Two"]
    assert "/clear" in capsys.readouterr().err


def test_full_context_drops_the_oldest_turns_with_drop_oldest(
    talk: Conversation, openrouter: ScriptedOpenRouter, capsys
):
    openrouter.add(stream("1"))
    openrouter.add(TOO_LONG)
    openrouter.add(stream("2"))
    type_in(talk, "One", "Two", drops_oldest=True)
    assert contents(openrouter) == ["Be brief.", "Two"]
    assert "forgot the oldest question" in capsys.readouterr().err


def test_commands_change_and_show_the_conversation(
    talk: Conversation, openrouter: ScriptedOpenRouter, tmp_path: Path, capsys
):
    (tmp_path / "notes.txt").write_text("Rain.")
    openrouter.add(stream("Wet.", usage=token_usage(9, 5, cost=4.5e-06)))
    type_in(
        talk, "/model LFM-2.5-2.6B:free", "/system Rhyme.", f"/file {tmp_path / 'notes.txt'}", "/file nowhere",
        "Weather?", "/usage", f"/save {tmp_path / 'chat.md'}", f"/save {tmp_path / 'chat.md'}", "/nonsense", "/help",
    )  # fmt: skip
    assert openrouter.requests[0].body["model"] == "liquid/lfm-2.5-2.6b:free"
    assert contents(openrouter) == ["Rhyme.", "Weather?\n\nnotes.txt:\n\nRain."]
    shown = capsys.readouterr().err
    for text in (
        "Cannot read nowhere",
        "1 answer · 14 tokens · US$ 0.0000045",
        "File exists",
        "Unknown command: /nonsense",
    ):
        assert text in shown
    assert "## assistant\n\nWet." in (tmp_path / "chat.md").read_text()


def test_path_is_not_a_command(talk: Conversation, openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    type_in(talk, "/usr/bin is what?")
    assert contents(openrouter)[-1] == "/usr/bin is what?"


def test_quoted_text_of_several_lines_is_one_question(talk: Conversation, openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    type_in(talk, '"""\nfirst\nsecond\n"""')
    assert contents(openrouter)[-1] == "first\nsecond"


def test_cleared_conversation_is_forgotten(talk: Conversation, openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    openrouter.add(stream())
    type_in(talk, "One", "/clear", "Two")
    assert contents(openrouter) == ["Be brief.", "Two"]
