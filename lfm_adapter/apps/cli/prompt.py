"""A conversation in a terminal: each input is a question, or a command that starts with a slash."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfm_adapter import catalog
from lfm_adapter.apps.cli.backend import model_named
from lfm_adapter.apps.cli.console import note, print_error
from lfm_adapter.apps.cli.question import attached
from lfm_adapter.apps.user_files import user_file
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError, LFMError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer

    from lfm_adapter.apps.cli.conversation import Conversation

QUOTES = '"""'

COMMANDS = {
    "/help": "list the commands",
    "/clear": "forget the conversation",
    "/drop": "forget the oldest question and its answer; /drop 3 the oldest three",
    "/model": "show the model; /model ID changes it",
    "/system": "show the system message; /system TEXT changes it",
    "/file": "send a text file with the next question: /file PATH",
    "/save": "write the conversation to a file, as Markdown or .json: /save PATH",
    "/retry": "ask the last question again",
    "/usage": "show the tokens and cost of the answers",
    "/exit": "end the conversation, as do exit, quit and Ctrl-D",
}


class Prompt:
    """Reads questions and commands until the user leaves.

    Args:
        conversation: Answers the questions.
        drops_oldest: Whether to drop the oldest turns once the conversation exceeds the context.
    """

    def __init__(self, conversation: Conversation, *, drops_oldest: bool = False) -> None:
        self._conversation = conversation
        self._drops_oldest = drops_oldest
        self._files: list[str] = []

    def run(self) -> None:
        """Read and answer questions. An error or Ctrl-C ends the answer, not the conversation."""
        session = _session()
        note(
            f"/help lists the commands. {QUOTES} starts a text of several lines. Ctrl-C stops an answer, Ctrl-D leaves."
        )
        is_leaving = False
        while True:
            try:
                line = session.prompt("> ").strip()
            except EOFError:
                return
            except KeyboardInterrupt:
                if is_leaving:
                    note("Left the conversation.")
                    return
                is_leaving = True
                note("Ctrl-C again, or Ctrl-D, leaves.")
                continue
            is_leaving = False
            if line in ("exit", "quit", "/exit"):
                return
            try:
                self._take(line)
            except LFMError as error:
                print_error(error)
                if isinstance(error, ContextWindowExceededError):
                    note("/drop forgets the oldest question, /clear all of them; then /retry asks again.")
            except KeyboardInterrupt:
                note("(stopped)")

    def _take(self, line: str) -> None:
        # A path or a comment in code is not a command.
        if line.startswith("/") and line.split(maxsplit=1)[0].count("/") == 1:
            name, _, argument = line.partition(" ")
            handle = getattr(self, f"_on_{name[1:]}", None)
            if handle is None or name not in COMMANDS:
                note(f"Unknown command: {name}. /help lists the commands.")
            else:
                handle(argument.strip())
            return
        question = line.removeprefix(QUOTES).removesuffix(QUOTES).strip() if line.startswith(QUOTES) else line
        if question:
            files, self._files = self._files, []
            self._ask(lambda: self._conversation.ask("\n\n".join([question, *files])))

    def _ask(self, ask: Callable[[], None]) -> None:
        while True:
            try:
                return ask()
            except ContextWindowExceededError:
                if not self._drops_oldest or not self._conversation.drop(1):
                    raise
                note("The conversation no longer fits the context: forgot the oldest question.")

    def _on_help(self, _: str) -> None:
        for name, what in COMMANDS.items():
            note(f"{name:8} {what}")

    def _on_clear(self, _: str) -> None:
        self._conversation.clear()
        self._files = []
        note("Forgot the conversation.")

    def _on_drop(self, number: str) -> None:
        if number and not number.isdecimal():
            note("How many questions? For example /drop 3.")
            return
        match self._conversation.drop(int(number or 1)):
            case 0:
                note("There is no question to forget.")
            case 1:
                note("Forgot the oldest question.")
            case several:
                note(f"Forgot the {several} oldest questions.")

    def _on_model(self, name: str) -> None:
        if name:
            self._conversation.model = model_named(name)
        note(f"Model: {self._conversation.model or self._conversation.client.model}")

    def _on_system(self, text: str) -> None:
        if text:
            self._conversation.system = text
        note(f"System message: {self._conversation.system or 'none'}")

    def _on_file(self, path: str) -> None:
        if not path:
            note("Which file? For example /file notes.txt.")
            return
        self._files += attached([Path(path)])
        note(f"{path} goes with the next question.")

    def _on_save(self, path: str) -> None:
        if not path:
            note("Where to? For example /save chat.md.")
            return
        file = Path(path).expanduser()
        messages = self._conversation.messages()
        if file.suffix == ".json":
            text = json.dumps(messages, indent=2, ensure_ascii=False)
        else:
            text = "\n\n".join(f"## {message['role']}\n\n{message['content']}" for message in messages)
        try:
            with file.open("x", encoding="utf-8") as opened:
                opened.write(f"{text}\n")
        except OSError as error:
            raise ConfigurationError(f"Cannot write {file}: {error.strerror}.") from error
        note(f"Saved {file}.")

    def _on_retry(self, _: str) -> None:
        self._ask(self._conversation.retry)

    def _on_usage(self, _: str) -> None:
        note(self._conversation.usage())


def _session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.output import create_output

    @Condition
    def is_quoted() -> bool:
        text = get_app().current_buffer.text.strip()
        return text.startswith(QUOTES) and not (len(text) >= 2 * len(QUOTES) and text.endswith(QUOTES))

    file = user_file("history")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        history: Any = FileHistory(str(file))
    except OSError as error:
        note(f"The history of questions cannot be kept: {file}: {error.strerror}.")
        history = InMemoryHistory()
    return PromptSession(
        history=history,
        completer=_completer(),
        complete_while_typing=False,
        enable_history_search=True,
        multiline=is_quoted,
        # The answer alone goes to stdout.
        output=create_output(sys.stdout if sys.stdout.isatty() else sys.stderr),
    )


def _completer() -> Completer:
    """Return the completer of commands and of their models and files."""
    from prompt_toolkit.completion import NestedCompleter, PathCompleter, WordCompleter, merge_completers

    ids = [card.id for card in catalog.models()]
    file = PathCompleter(expanduser=True)
    commands = WordCompleter(list(COMMANDS), sentence=True, meta_dict=COMMANDS)
    models = WordCompleter(ids, WORD=True, match_middle=True)
    arguments = NestedCompleter({"/model": models, "/file": file, "/save": file})
    return merge_completers([commands, arguments], deduplicate=True)
