"""Questions and streamed answers, with their history."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter.apps.cli.screen import answer, note
from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk

__all__ = ["Conversation", "summary"]


class Conversation:
    """What was said, and the model that is asked next.

    Args:
        model: The model.
        system: The system message.
        free: Whether the model is known to cost nothing.
    """

    def __init__(self, model: BaseChatModel, system: str | None = None, *, free: bool = False) -> None:
        self.model = model
        self.free = free
        self.history: list[tuple[str, str]] = [("system", system)] if system else []

    def run(self) -> None:
        """Ask what is typed, until Ctrl-D or `/exit`. Errors and Ctrl-C end an answer and not the conversation."""
        with suppress(ImportError):
            import readline  # noqa: F401 - importing it gives `input` line editing and the arrow keys
        note("Ctrl-C stops an answer, Ctrl-D or /exit ends the conversation.")
        while (question := _read_question()) is not None:
            try:
                self.ask(question)
            except LFMError as error:
                note(f"Error: {error}", style="red")
            except KeyboardInterrupt:
                note("(stopped)")

    def ask(self, question: str) -> None:
        """Stream the answer to the screen. What has come of it is remembered, even if it was cut off."""
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
            note(summary(whole, time.perf_counter() - started_s, free=self.free))


def summary(message: AIMessageChunk, elapsed_s: float, *, free: bool) -> str:
    """Return one line about an answer: tokens, speed, cost, and who gave it.

    Args:
        message: The whole answer.
        elapsed_s: Seconds from the question to its end.
        free: Whether it is known to have cost nothing.
    """
    metadata = message.response_metadata
    facts = []
    speed = f"{elapsed_s:.1f} s"
    if usage := message.usage_metadata:
        reasoning = usage.get("output_token_details", {}).get("reasoning")
        share = f" ({reasoning} for reasoning)" if reasoning else ""
        facts.append(f"{usage['input_tokens']} tokens in, {usage['output_tokens']} out{share}")
        speed += f" ({usage['output_tokens'] / elapsed_s:.0f} tokens/s)"
    facts += [speed, _cost(metadata.get("cost"), metadata.get("cost_source"), free=free)]
    facts += [str(metadata[name]) for name in ("model_name", "provider") if metadata.get(name)]
    if metadata.get("finish_reason") == "length":
        facts.append("cut off at its limit of tokens: see --max-tokens")
    return " · ".join(facts)


def _cost(cost_usd: float | None, source: str | None, *, free: bool) -> str:
    if free:
        return "no cost"
    if cost_usd is None:
        return "cost unknown"
    # Three digits, written out: 4.5e-06 is hard to read.
    exact = Decimal(f"{cost_usd:.3g}")
    return f"US$ {exact:f}" + (" by the catalogue's prices" if source == "catalog" else "")


def _show(chunk: AIMessageChunk, *, after: AIMessageChunk | None) -> None:
    """Print a piece: reasoning dim, on stderr, and a line's end between it and the answer."""
    reasoning = chunk.additional_kwargs.get("reasoning_content")
    if reasoning:
        note(reasoning, end="")
    if chunk.text:
        if after is not None and not after.text and after.additional_kwargs.get("reasoning_content"):
            note("\n")
        answer(chunk.text)


def _read_question() -> str | None:
    """Return the next line that says something, or None at the end."""
    while True:
        try:
            # The prompt goes to stdout, because line editing has to know of it; a file of answers is spared it.
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
