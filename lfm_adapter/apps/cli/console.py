"""Output of the commands: answers go to stdout, everything else to stderr."""

from __future__ import annotations

import re
import sys
import warnings
from decimal import Decimal, InvalidOperation
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from lfm_adapter.errors import LFMError

__all__ = ["Commands", "answer", "note", "print_error", "usd", "with_option_names"]

# A model's text could otherwise move the cursor or set the title of the terminal that shows it.
_CONTROL_CHARACTERS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - set(map(ord, "\t\n")))

# How the warning about a retired model ends.
_CHOOSE_MODEL = re.compile(r"(?:Choose|Pass) [^.]*`model=.*", re.DOTALL)
_NO_OPTION = re.compile(
    r",? or pass `when_retired=[^`]*`|`api_key`, or the (?=`OPENROUTER_API_KEY`)| or pass `api_key`",
)
_ARGUMENT = re.compile(
    r"`(base_url|context_length|max_tokens|model|parallel|temperature|threads)=?['\"]?([^`'\"]*)['\"]?`",
)


def answer(text: str, *, end: str = "") -> None:
    """Write a model's text to stdout at once. A terminal gets it without control characters, a file as it is."""
    sys.stdout.write((text.translate(_CONTROL_CHARACTERS) if sys.stdout.isatty() else text) + end)
    sys.stdout.flush()


def note(text: str, *, style: str = "dim", end: str = "\n") -> None:
    """Write something other than the answer to stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(text.translate(_CONTROL_CHARACTERS), style=style, markup=False, end=end)


def print_error(error: LFMError) -> None:
    """Write an error to stderr, in one paragraph."""
    note(f"Error: {with_option_names(str(error))}", style="red")


def with_option_names(text: str) -> str:
    """Replace the names of Python arguments in a message by those of the options.

    >>> with_option_names('Lower `max_tokens`. Use `model="lfm-3b"` instead, or pass `when_retired="successor"`.')
    'Lower `--max-tokens`. Use `--model lfm-3b` instead.'
    """
    text = _CHOOSE_MODEL.sub("Choose it with `--model` or `LFM_MODEL`.", text)
    text = _NO_OPTION.sub("", text)
    return _ARGUMENT.sub(lambda found: f"`--{found[1].replace('_', '-')}{found[2] and ' ' + found[2]}`", text)


def usd(text: str) -> Decimal:
    """Return an amount of US$, for `typer.Option(parser=usd)`."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"{text!r} is not an amount in US$, such as 0.50.")
    return amount


class Commands(TyperGroup):
    """The commands of `lfm`. Prints errors and warnings of the library as plain lines, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises:
            typer.Exit: With status 1, after an `LFMError` was printed.
        """
        # A character that stdout's encoding lacks must not lose the answer.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_kwargs: note(with_option_names(str(message)))
            try:
                return super().invoke(ctx)
            except LFMError as error:
                print_error(error)
                raise typer.Exit(1) from error
