"""`lfm chat`: one question, or a conversation."""

from __future__ import annotations

import select
import sys
import time
from contextlib import ExitStack, suppress
from decimal import Decimal
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import answer, note, print_error
from lfm_adapter.errors import ConfigurationError, LFMError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk

    from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = ["Conversation", "chat", "summary"]

STDIN = "-"
STDIN_WAIT_S = 2.0


def chat(
    question: Annotated[
        str | None,
        typer.Argument(
            help="The question; - reads it from stdin. Without one: stdin, or a conversation in a terminal."
        ),
    ] = None,
    *,
    model: backend.ModelOption = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="The system message, such as how to answer.")
    ] = None,
    base_url: backend.BaseURLOption = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Maximum tokens of the answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="Randomness, from 0 (most likely answer) to 2.")
    ] = None,
    on_this_machine: backend.LocalOption = False,
    gguf: backend.GGUFOption = None,
) -> None:
    """Ask a model: through OpenRouter if OPENROUTER_API_KEY is set, otherwise a small one on this machine.

    Text piped to stdin is appended to the question: cat notes.txt | lfm chat "Summarise"

    Only the answer goes to stdout, so `lfm chat "..." > answer.txt` saves the answer alone.
    """
    on_this_machine = on_this_machine or gguf is not None
    backend.check_choice(on_this_machine=on_this_machine, base_url=base_url, model=model)
    question = _with_stdin(question)
    if question is not None and not question.strip():
        raise typer.BadParameter("The question is empty.")
    is_local = on_this_machine or not (base_url or model or backend.has_openrouter())
    if not (is_local or base_url or backend.has_openrouter()):
        raise ConfigurationError(backend.NO_KEY)

    options = {"model": model, "base_url": base_url, "temperature": temperature, "max_tokens": max_tokens}
    with ExitStack() as stack:
        if is_local:
            server = backend.serve_here(gguf, is_requested=on_this_machine, stack=stack, parallel=1)
            limit = max_tokens or (None if gguf else backend.DEMO_MAX_TOKENS)
            options |= {"model": server.model, "base_url": server.base_url, "max_tokens": limit}
        conversation = Conversation(_chat_model(options), system, is_free=is_local)
        if question is None:
            conversation.run()
        else:
            conversation.ask(question)


def _with_stdin(question: str | None) -> str | None:
    """Return the question, a blank line, and the text piped to stdin. None starts a conversation."""
    if sys.stdin is not None and sys.stdin.isatty() and question != STDIN:
        return question
    text = "" if sys.stdin is None else _piped(sys.stdin)  # None if it was closed, as with `<&-`
    if question is None or question == STDIN:
        return text
    return f"{question}\n\n{text}" if text.strip() else question


def _piped(stdin: TextIO) -> str:
    if isinstance(stdin, TextIOWrapper):
        stdin.reconfigure(errors="replace")
    # Some programs start others with a pipe that they never close, as Node's `exec` does.
    with suppress(OSError, ValueError):  # Windows cannot wait for a pipe
        if not select.select([stdin], [], [], STDIN_WAIT_S)[0]:
            note("Waiting for the end of stdin. If nothing is piped in, add: < /dev/null")
    return stdin.read()


def _chat_model(options: dict[str, Any]) -> ChatLFM:
    from pydantic import ValidationError

    from lfm_adapter.langchain.chat_model import ChatLFM

    try:
        return ChatLFM(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        problems = (detail.get("ctx", {}).get("error") or detail["msg"] for detail in error.errors())
        raise ConfigurationError("; ".join(map(str, problems))) from error


class Conversation:
    """A model and the messages so far.

    Args:
        model: The model to ask.
        system: The system message.
        is_free: Whether the model costs nothing, because it runs on this machine.
    """

    def __init__(self, model: BaseChatModel, system: str | None = None, *, is_free: bool = False) -> None:
        self.model = model
        self.is_free = is_free
        self.history: list[tuple[str, str]] = [("system", system)] if system else []

    def run(self) -> None:
        """Ask typed questions until Ctrl-D or `/exit`. An error or Ctrl-C ends the answer, not the conversation."""
        with suppress(ImportError):
            import readline  # noqa: F401 - gives `input` line editing and the arrow keys
        note("Ctrl-C stops an answer, Ctrl-D or /exit ends the conversation.")
        while (question := _read_question()) is not None:
            try:
                self.ask(question)
            except LFMError as error:
                print_error(error)
            except KeyboardInterrupt:
                note("(stopped)")

    def ask(self, question: str) -> None:
        """Stream the answer to the terminal. What arrived of it is remembered, even if it was interrupted."""
        asked = [*self.history, ("human", question)]
        started_s = time.perf_counter()
        whole: AIMessageChunk | None = None
        try:
            for chunk in self.model.stream(asked):
                _show(chunk, after=whole)
                whole = chunk if whole is None else whole + chunk
        finally:
            if whole is not None and whole.text:
                answer("" if whole.text.endswith("\n") else "\n")
                self.history = [*asked, ("ai", whole.text)]
        if whole is not None:
            note(summary(whole, time.perf_counter() - started_s, is_free=self.is_free))


def summary(message: AIMessageChunk, elapsed_s: float, *, is_free: bool) -> str:
    """Return one line about an answer: tokens, speed, cost, model and provider.

    Args:
        message: The whole answer.
        elapsed_s: Seconds from the question to the end of the answer.
        is_free: Whether the answer cost nothing.
    """
    metadata = message.response_metadata
    facts = []
    speed = f"{elapsed_s:.1f} s"
    if usage := message.usage_metadata:
        reasoning = usage.get("output_token_details", {}).get("reasoning")
        share = f" ({reasoning} for reasoning)" if reasoning else ""
        facts.append(f"{usage['input_tokens']} tokens in, {usage['output_tokens']} out{share}")
        speed += f" ({usage['output_tokens'] / elapsed_s:.0f} tokens/s)"
    facts += [speed, _cost(metadata.get("cost"), metadata.get("cost_source"), is_free=is_free)]
    facts += [str(metadata[name]) for name in ("model_name", "provider") if metadata.get(name)]
    if metadata.get("finish_reason") == "length":
        facts.append("cut off at the token limit; see --max-tokens")
    return " · ".join(facts)


def _cost(cost_usd: float | None, source: str | None, *, is_free: bool) -> str:
    if is_free:
        return "no cost"
    if cost_usd is None:
        return "cost unknown"
    # Three significant digits without an exponent: 4.5e-06 is hard to read.
    exact = Decimal(f"{cost_usd:.3g}")
    return f"US$ {exact:f}" + (" (catalogue price)" if source == "catalog" else "")


def _show(chunk: AIMessageChunk, *, after: AIMessageChunk | None) -> None:
    """Print a chunk: reasoning goes to stderr, dimmed, with a line break between it and the answer."""
    reasoning = chunk.additional_kwargs.get("reasoning_content")
    if reasoning:
        note(reasoning, end="")
    if chunk.text:
        if after is not None and not after.text and after.additional_kwargs.get("reasoning_content"):
            note("\n")
        answer(chunk.text)


def _read_question() -> str | None:
    """Return the next line that is not blank, or None at the end of the conversation."""
    while True:
        try:
            # Line editing needs the prompt, which `input` writes to stdout; a redirected stdout gets none.
            line = input("> " if sys.stdout.isatty() else "").strip()
        except EOFError:
            note("")
            return None
        except KeyboardInterrupt:
            note("")
            continue
        if line == "/exit":
            return None
        if line:
            return line
