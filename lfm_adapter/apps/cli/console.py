"""Output of the commands: answers go to stdout, everything else to stderr. Rich is loaded only where it is needed."""

from __future__ import annotations

import os
import re
import sys
import warnings
from decimal import Decimal, InvalidOperation
from io import TextIOWrapper
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from lfm_adapter.errors import LFMError

# A model's text could otherwise move the cursor or set the title of the terminal that shows it.
_CONTROL_CHARACTERS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - set(map(ord, "\t\n")))

# How a program that writes to a closed pipe ends in a shell: 128 and the number of SIGPIPE.
BROKEN_PIPE_STATUS = 141

# How the warning about a retired model ends.
_CHOOSE_MODEL = re.compile(r"(?:Choose|Pass) [^.]*`model=.*", re.DOTALL)
_SET_KEY = re.compile(r"Set the `OPENROUTER_API_KEY` environment variable or pass `api_key`")
_CHECK_KEY = re.compile(r"Check the API key: `api_key`, or the `OPENROUTER_API_KEY` environment variable\.")
_NO_OPTION = re.compile(r",? or pass `when_retired=[^`]*`| or pass `(?:api_key|allow_http=True)`(?: to allow it)?")
_COMPRESSION = re.compile(r", (choose a model with a longer context), or let OpenRouter shorten [^`]*`plugins=[^`]*`")
_CLIENT_METHOD = re.compile(r"`client\.(chat|decide)\(\.\.\.\)`, or `\w+` in LangChain")
_ARGUMENT = re.compile(
    r"`(base_url|by|context_length|max_tokens|model|parallel|questions|temperature|threads)=?['\"]?([^`'\"]*)['\"]?`",
)


def safe(text: str) -> str:
    """Return a text without the characters that control a terminal."""
    return text.translate(_CONTROL_CHARACTERS)


def answer(text: str) -> None:
    """Write a model's text to stdout at once. A terminal gets it without control characters, a file as it is."""
    sys.stdout.write(safe(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def note(text: str, *, style: str | None = None, end: str = "\n") -> None:
    """Write something other than the answer to stderr, in a color, or dimmed without one."""
    text = safe(text)
    if end == "\n":
        text = wrapped(text, sys.stderr)
    if not os.environ.get("NO_COLOR"):
        text = typer.style(text, fg=style, dim=style is None)
    typer.echo(text + end, nl=False, err=True)


def wrapped(text: str, stream: TextIO, *, indent: int = 0) -> str:
    """Return a text whose lines fit the terminal. A pipe or a file gets it as it is.

    Args:
        text: The text.
        stream: Where it will be printed.
        indent: Spaces before each line that continues another.
    """
    if not stream.isatty():
        return text
    wrapper = TextWrapper(
        get_terminal_size().columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(map(wrapper.fill, text.split("\n")))


def print_error(error: Exception) -> None:
    """Write an error to stderr, in one paragraph."""
    note(f"Error: {with_option_names(str(error))}", style="red")


def with_option_names(text: str) -> str:
    """Replace the names of Python arguments in a message by those of the options.

    >>> with_option_names('Lower `max_tokens`. Use `model="lfm-3b"` instead, or pass `when_retired="successor"`.')
    'Lower `--max-tokens`. Use `--model lfm-3b` instead.'
    """
    text = _CHOOSE_MODEL.sub("Choose it with `--model` or `LFM_MODEL`.", text)
    text = _SET_KEY.sub("Run `lfm keys set` or set OPENROUTER_API_KEY", text)
    text = _CHECK_KEY.sub("Check the key: `lfm keys show` says which one is sent.", text)
    text = _NO_OPTION.sub("", text)
    text = _COMPRESSION.sub(r", or \1", text)
    text = _CLIENT_METHOD.sub(r"`lfm \1`", text)
    text = text.replace("For a model on this machine, pass `base_url`.", "For a model on this machine, pass `--local`.")
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


class UsageError(typer.BadParameter):
    """Wrong usage that is not about the value of a single option."""

    def format_message(self) -> str:
        """Return the message as it is, without "Invalid value"."""
        return self.message


class Commands(TyperGroup):
    """The commands of `lfm`. An error is one line on stderr, without a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command and flush stdout."""
        # A character outside of stdout's encoding must not lose the answer.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            try:
                return super().main(*args, **kwargs)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
        except OSError as error:
            _discard_stdout()
            if isinstance(error, BrokenPipeError):
                sys.exit(BROKEN_PIPE_STATUS)
            what = f"{error.filename}: " if error.filename else "Cannot write: "
            note(f"Error: {what}{error.strerror or error}.", style="red")
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises:
            typer.Exit: With status 1, after an `LFMError` was printed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = lambda message, *_args, **_kwargs: note(with_option_names(str(message)))
            try:
                return super().invoke(ctx)
            except BrokenPipeError:  # Click's own status for it is 1
                _discard_stdout()
                raise typer.Exit(BROKEN_PIPE_STATUS) from None
            except LFMError as error:
                print_error(error)
                raise typer.Exit(1) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command in any case."""
        return super().resolve_command(ctx, [args[0].lower(), *args[1:]])


def _discard_stdout() -> None:
    """Discard the rest of stdout's buffer: Python would fail again when it flushes it at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # not a file, as in tests
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
