"""Shows an answer while it is written: Markdown on a terminal, the plain text elsewhere."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from decimal import Decimal
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from lfm_adapter.apps.cli.console import answer, note, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.segment import Segment

    from lfm_adapter.types import Cost, Delta, Reply

SPINNER_DELAY_S = 0.3

FENCES = ("```", "~~~")


class Screen:
    """Prints one answer.

    Args:
        is_plain: Whether the text is printed as it comes, rather than as Markdown.
        shows_reasoning: Whether reasoning is printed, to stderr.
    """

    def __init__(self, *, is_plain: bool, shows_reasoning: bool) -> None:
        self._shows_reasoning = shows_reasoning
        self._markdown = None if is_plain else _Markdown()
        self._reasons = False
        self._text = ""

    def show(self, delta: Delta) -> None:
        """Print what a delta adds."""
        if delta.reasoning and self._shows_reasoning:
            note(delta.reasoning, end="")
            self._reasons = True
        text = delta.text + delta.refusal
        if not text:
            return
        if self._reasons and not self._text:
            note("\n")
        self._text += text
        if self._markdown is None:
            answer(text)
        else:
            self._markdown.show(safe(text))

    def close(self) -> None:
        """End the answer with a line break, whether it is complete or not."""
        if self._markdown is not None:
            self._markdown.close()
        elif self._text and not self._text.endswith("\n"):
            answer("\n")
        elif self._reasons and not self._text:
            note("")


class _Markdown:
    """Prints each block of Markdown once it is complete, and redraws the last block with each piece."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.markdown import Markdown

        self._render = Markdown
        # The terminal echoes Ctrl-C as ^C. Behind a full line it would start the next one, and this line would remain.
        self._console = Console(highlight=False, width=max(20, get_terminal_size().columns - len("^C")))
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._block = ""
        self._has_printed = False

    def show(self, text: str) -> None:
        from rich.console import Group

        self._block += text
        whole, self._block = _split_blocks(self._block)
        if not self._live.is_started:
            self._live.start()
        if whole.strip():
            self._live.update("", refresh=True)
            self._print(whole)
        block = self._render(self._block)
        self._live.update(Group("", block) if self._has_printed else block, refresh=True)

    def close(self) -> None:
        if self._live.is_started:
            self._live.stop()
            if self._block.strip():
                self._print(self._block)

    def _print(self, block: str) -> None:
        """Print a block, with one empty line before all but the first: Rich's own spacing differs by kind of block."""
        from rich.segment import Segment, Segments

        lines = self._console.render_lines(self._render(block), pad=False)
        while lines and _is_empty(lines[0]):
            lines.pop(0)
        while lines and _is_empty(lines[-1]):
            lines.pop()
        if self._has_printed:
            self._console.print()
        self._has_printed = True
        self._console.print(Segments([part for line in lines for part in (*line, Segment.line())]), end="")


def _is_empty(line: list[Segment]) -> bool:
    return all(not part.text.strip() and not (part.style and part.style.bgcolor) for part in line)


def _split_blocks(text: str) -> tuple[str, str]:
    r"""Split Markdown at its last empty line outside of fences, into complete blocks and the unfinished one.

    >>> _split_blocks("One.\n\n```\n\nx")
    ('One.\n\n', '```\n\nx')
    """
    split = position = 0
    fence = ""
    for line in text.splitlines(keepends=True):
        position += len(line)
        mark = line.lstrip()[:3]
        if fence:
            fence = "" if mark == fence else fence
        elif mark in FENCES:
            fence = mark
        elif not line.strip() and line.endswith("\n"):
            split = position
    return text[:split], text[split:]


@contextmanager
def spinner(text: str) -> Iterator[Callable[[], None]]:
    """Show a spinner on stderr, if it is a terminal, until the yielded function is called or the block ends.

    It starts after a moment, in a thread, so that Rich loads while the answer is awaited.
    """
    stopped = threading.Event()

    def spin() -> None:
        if stopped.wait(SPINNER_DELAY_S):
            return
        from rich.console import Console

        with Console(stderr=True).status(text):
            stopped.wait()

    thread = threading.Thread(target=spin, daemon=True)

    def stop() -> None:
        stopped.set()
        if thread.is_alive():
            thread.join()

    if sys.stderr.isatty():
        thread.start()
    try:
        yield stop
    finally:
        stop()


def summary(reply: Reply, elapsed_s: float, *, is_free: bool) -> str:
    """Return one line about an answer: tokens, speed, cost, model and provider.

    Args:
        reply: The whole answer.
        elapsed_s: Seconds from the question to the end of the answer.
        is_free: Whether the answer cost nothing.
    """
    facts = []
    speed = f"{elapsed_s:.1f} s"
    usage: dict[str, Any] = reply.usage or {}
    written = usage.get("completion_tokens")
    if isinstance(written, int):
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
        share = f" ({reasoning:,} for reasoning)" if reasoning else ""
        facts.append(f"{usage.get('prompt_tokens', 0):,} tokens in, {written:,} out{share}")
        speed += f" ({written / max(elapsed_s, 0.001):.0f} tokens/s)"
    facts.append(speed)
    facts.append(charged(reply.cost, is_free=is_free))
    facts += [str(fact) for fact in (reply.model, reply.provider) if fact]
    if reply.finish_reason == "length":
        facts.append("cut off at the token limit; see --max-tokens")
    return " · ".join(facts)


def charged(cost: Cost | None, *, is_free: bool) -> str:
    """Return the cost of a reply, in words."""
    if is_free:
        return "no cost"
    if cost is None:
        return "cost unknown"
    return cost_text(cost.total) + (" (catalogue price)" if cost.source == "catalog" else "")


def cost_text(cost_usd: Decimal) -> str:
    """Return an amount with three significant digits and no exponent: 4.5e-06 is hard to read.

    >>> cost_text(Decimal("0.00000451234"))
    'US$ 0.00000451'
    """
    return f"US$ {Decimal(f'{float(cost_usd):.3g}'):f}"
