"""`lfm chat`: one question, or a conversation."""

from __future__ import annotations

import os
import select
import sys
from contextlib import ExitStack, suppress
from io import TextIOWrapper
from pathlib import Path  # noqa: TC003 - typer evaluates the annotation
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from lfm_adapter.apps.cli.answerer import DEMO_MAX_TOKENS, check_choice, has_openrouter, serve_here
from lfm_adapter.apps.cli.screen import note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from lfm_adapter import ChatLFM

__all__ = ["chat"]

STDIN = "-"
STDIN_WAIT_S = 2.0


def chat(
    question: Annotated[
        str | None, typer.Argument(help="What to ask. Default, and for -: what is piped in, else a conversation.")
    ] = None,
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="What to ask: see `lfm models`. Default: LFM_MODEL.")
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="How to answer.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Another server with OpenAI's API. Needs --model, unless on this machine.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The most tokens to answer with.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0 for the likeliest answer, to 2.")] = None,
    on_this_machine: Annotated[bool, typer.Option("--local", help="Ask the demo model on this machine.")] = False,
    gguf: Annotated[Path | None, typer.Option(help="Ask a GGUF file of yours on this machine.")] = None,
) -> None:
    """Ask a model: through OpenRouter where OPENROUTER_API_KEY is set, else on this machine.

    What is piped in follows the question, as in: cat notes.txt | lfm chat "Summarise"

    The answer goes to stdout and all else to stderr, so `lfm chat "..." > answer.txt` keeps the answer alone.
    """
    on_this_machine = on_this_machine or gguf is not None
    check_choice(on_this_machine=on_this_machine, base_url=base_url, model=model)
    question = _with_stdin(question)
    if question is not None and not question.strip():
        raise typer.BadParameter("The question is empty.")

    from lfm_adapter.apps.cli.conversation import Conversation

    options = {"model": model, "base_url": base_url, "temperature": temperature, "max_tokens": max_tokens}
    with ExitStack() as stack:
        if on_this_machine or not (base_url or model or has_openrouter()):
            server = serve_here(gguf, asked_for=on_this_machine, stack=stack, parallel=1)
            limit = max_tokens or (None if gguf else DEMO_MAX_TOKENS)
            options |= {"model": server.model, "base_url": server.base_url, "max_tokens": limit}
            on_this_machine = True
        conversation = Conversation(_chat_model(options), system, free=on_this_machine)
        if question is None:
            conversation.run()
        else:
            conversation.ask(question)


def _with_stdin(question: str | None) -> str | None:
    """Return what to ask: the question, a blank line, and what is piped in. None for a conversation."""
    if sys.stdin is not None and sys.stdin.isatty() and question != STDIN:
        return question
    text = "" if sys.stdin is None else _piped(sys.stdin)  # None where it was closed, as with `<&-`
    if question is None or question == STDIN:
        return text
    return f"{question}\n\n{text}" if text.strip() else question


def _piped(stdin: TextIO) -> str:
    if isinstance(stdin, TextIOWrapper):
        stdin.reconfigure(errors="replace")
    # Programs may start this one with a pipe that they never close, as Node's `exec` does.
    with suppress(OSError, ValueError):  # Windows cannot wait for a pipe
        if not select.select([stdin], [], [], STDIN_WAIT_S)[0]:
            note("Waiting for the end of what is piped in. Without any: < /dev/null")
    return stdin.read()


def _chat_model(options: dict[str, Any]) -> ChatLFM:
    from pydantic import ValidationError

    from lfm_adapter import ChatLFM

    given = {name: value for name, value in options.items() if value is not None}
    # The default model is retired, and who has not chosen it wants an answer.
    chosen = "model" in given or os.environ.get("LFM_MODEL")
    try:
        return ChatLFM(**given, when_retired="raise" if chosen else "successor")
    except ValidationError as error:
        problems = (detail.get("ctx", {}).get("error") or detail["msg"] for detail in error.errors())
        raise ConfigurationError("; ".join(map(str, problems))) from error
