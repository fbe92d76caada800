"""Puts a question together: words of the command line, files, stdin, a template, and the schema of the answer."""

from __future__ import annotations

import json
import select
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from lfm_adapter.apps.cli.console import note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["attached", "question_of", "read_json", "read_schema", "read_text", "stdin_text"]

STDIN = "-"
STDIN_WAIT_S = 2.0
PLACE = "{input}"


def question_of(words: Sequence[str], files: Sequence[Path], template: str | None) -> str | None:
    """Return the question; None for a conversation, which a terminal without a question starts.

    Args:
        words: The words of the command line; "-" stands for stdin.
        files: Files whose text follows the question.
        template: A text with `{input}` where the question goes, or a file with such a text.
    """
    text = " ".join(word for word in words if word != STDIN)
    piped = stdin_text(words)
    if piped is None and not (text or files):
        return None
    piped = piped or ""
    parts = [text, piped if text or piped.strip() else "", *attached(files)]
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise typer.BadParameter("The question is empty.")
    return question if template is None else _template(template).replace(PLACE, question)


def stdin_text(words: Sequence[str]) -> str | None:
    """Return what is piped in; None at a terminal, unless the word "-" asks for what is typed there."""
    if sys.stdin is None:
        return ""
    return None if sys.stdin.isatty() and STDIN not in words else _piped(sys.stdin)


def attached(files: Iterable[Path]) -> list[str]:
    """Return the text of each file under its name, to follow a question."""
    return [f"{file.name}:\n\n{read_text(file)}" for file in files]


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigurationError: It cannot be read, or is no text.
    """
    try:
        text = file.expanduser().read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{file} is not UTF-8 text. Only text files can be sent.")
    return text


def read_schema(file: Path) -> dict[str, Any]:
    """Return the `response_format` that a file with a JSON Schema asks for.

    Raises:
        ConfigurationError: The file cannot be read, or holds no JSON Schema.
    """
    schema = read_json(file)
    if not isinstance(schema, dict):
        raise ConfigurationError(f"{file} must contain a JSON Schema, which is a JSON object.")
    name = "".join(letter if letter.isalnum() else "_" for letter in str(schema.get("title") or file.stem))[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def read_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        ConfigurationError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid JSON: {error}.") from error


def _template(text: str) -> str:
    template = text if PLACE in text else read_text(Path(text))
    if PLACE not in template:
        raise ConfigurationError(f"The template must contain {PLACE}, where the question goes.")
    return template


def _piped(stdin: TextIO) -> str:
    if isinstance(stdin, TextIOWrapper):
        stdin.reconfigure(errors="replace")
    # Some programs start others with a pipe that they never close, as Node's `exec` does.
    with suppress(OSError, ValueError):  # Windows cannot wait for a pipe
        if not select.select([stdin], [], [], STDIN_WAIT_S)[0]:
            note("Waiting for the end of stdin. If nothing is piped in, add: < /dev/null")
    return stdin.read()
