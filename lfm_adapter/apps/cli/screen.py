"""What is printed where: answers on stdout, everything about them on stderr."""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from lfm_adapter.errors import LFMError

__all__ = ["Commands", "answer", "note"]

# A model's text could otherwise move the cursor or set the title of the terminal that shows it.
_CONTROL_CHARACTERS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - set(map(ord, "\t\n")))


def answer(text: str, *, end: str = "") -> None:
    """Write a model's text to stdout at once; as it is, unless a terminal would interpret it."""
    sys.stdout.write((text.translate(_CONTROL_CHARACTERS) if sys.stdout.isatty() else text) + end)
    sys.stdout.flush()


def note(text: str, *, style: str = "dim", end: str = "\n") -> None:
    """Write something that is not the answer to stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(text.translate(_CONTROL_CHARACTERS), style=style, markup=False, end=end)


class Commands(TyperGroup):
    """Commands whose expected failures are one message without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for.

        Raises:
            typer.Exit: With code 1, after an `LFMError` was printed.
        """
        # A character that stdout's encoding lacks is no reason to lose an answer.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_kwargs: note(str(message))
            try:
                return super().invoke(ctx)
            except LFMError as error:
                note(f"Error: {error}", style="red")
                raise typer.Exit(1) from error
