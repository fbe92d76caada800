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

from lfm_adapter.cli.screen import note
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.openrouter.request import base_url_of, is_loopback

if TYPE_CHECKING:
    from lfm_adapter import ChatLFM

__all__ = ["DEMO_MAX_TOKENS", "NO_KEY", "chat", "has_openrouter"]

# The demo model does not always find an end, and its context would hold a minute of it.
DEMO_MAX_TOKENS = 512

STDIN = "-"
STDIN_WAIT_S = 2.0

NO_KEY = (
    "OPENROUTER_API_KEY is not set, so {model} answers, on this machine: small, often wrong, and no LFM. "
    "For Liquid's models set it to a key of https://openrouter.ai/settings/keys."
)

NOBODY = (
    "Nobody can answer. For Liquid's models, set OPENROUTER_API_KEY to a key of https://openrouter.ai/settings/keys. "
    "{why}"
)


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
    if on_this_machine and (base_url or model):
        raise typer.BadParameter("`--local` and `--gguf` choose the model; leave `--base-url` and `--model` out.")
    if base_url and not (model or os.environ.get("LFM_MODEL") or is_loopback(base_url_of(base_url))):
        raise typer.BadParameter("`--base-url` needs `--model`: which of the server's models to ask.")
    question = _with_stdin(question)
    if question is not None and not question.strip():
        raise typer.BadParameter("The question is empty.")

    from lfm_adapter.cli.conversation import Conversation

    options = {"model": model, "base_url": base_url, "temperature": temperature, "max_tokens": max_tokens}
    with ExitStack() as stack:
        if on_this_machine or not (base_url or model or has_openrouter()):
            options |= _serve(gguf, max_tokens, asked_for=on_this_machine, stack=stack)
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


def has_openrouter() -> bool:
    """Tell whether the environment says how to reach OpenRouter, or what stands in for it."""
    return any(os.environ.get(name) for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"))


def _serve(gguf: Path | None, max_tokens: int | None, *, asked_for: bool, stack: ExitStack) -> dict[str, Any]:
    """Start a model in this process, to be closed with `stack`; return the arguments of `ChatLFM` that lead to it."""
    from lfm_adapter import local

    name = gguf.name if gguf else "SmolLM2-135M-Instruct"
    if asked_for:
        note(f"Starting {name} on this machine.")
    try:
        server = local.serve(gguf, parallel=1)
    except ConfigurationError as error:
        if asked_for:
            raise
        raise ConfigurationError(NOBODY.format(why=error.message)) from error
    stack.callback(server.close)
    if not asked_for:
        note(NO_KEY.format(model=name))
    limit = max_tokens or (None if gguf else DEMO_MAX_TOKENS)
    return {"model": server.model, "base_url": server.base_url, "max_tokens": limit}


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
