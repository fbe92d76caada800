"""Builds the question from words of the command line, stdin, files and a template, and reads JSON files."""

from __future__ import annotations

import base64
import json
import select
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfm_adapter._toolcalls.json_schema import schema_error
from lfm_adapter.apps.cli.console import UsageError, note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STDIN = "-"
STDIN_WAIT_S = 2.0
PLACE = "{input}"
IMAGE_TYPES = {
    ".gif": "image/gif", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp",
}  # fmt: skip


def question_of(words: Sequence[str], files: Sequence[Path], template: str | None) -> str | None:
    """Return the question; None at a terminal without a question, which starts a conversation.

    Args:
        words: The words of the command line; "-" stands for stdin.
        files: Files whose text follows the question.
        template: A text in which the question replaces `{input}`, or a file with such a text.
    """
    text = " ".join(word for word in words if word != STDIN)
    piped = _piped_text(words)
    if piped is None and not (text or files):
        return None
    piped = piped or ""
    parts = [text, piped if text or piped.strip() else "", *attached(files)]
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise UsageError("The question is empty.")
    if template is None:
        return question
    if PLACE not in template:
        template = read_text(Path(template))
    if PLACE not in template:
        raise ConfigurationError(f"The template must contain {PLACE}, where the question goes.")
    return template.replace(PLACE, question)


def state_of(words: Sequence[str], files: Sequence[Path]) -> str | list[Any]:
    """Return the state to decide about: the text of stdin and files, in a list with the images if there are any.

    Args:
        words: The words of the command line; "-" stands for stdin.
        files: Text files and images.
    """
    piped = _piped_text(words) or ""
    images = [file for file in files if file.suffix.lower() in IMAGE_TYPES]
    texts = [file for file in files if file not in images]
    parts = [read_text(texts[0])] if len(texts) == 1 and not piped.strip() else [piped, *attached(texts)]
    parts = [part for part in parts if part.strip()]
    if not parts and not images:
        raise UsageError("There is nothing to decide about: pipe a text in, or name a file with `--file`.")
    return [*parts, *map(_image, images)] if images else "\n\n".join(parts)


def attached(files: Iterable[Path]) -> list[str]:
    """Return the text of each file under its name, to follow a question."""
    return [f"{file.name}:\n\n{read_text(file)}" for file in files]


def read_schema(file: Path) -> dict[str, Any]:
    """Return the `response_format` for a file with a JSON Schema.

    Raises:
        ConfigurationError: The file cannot be read, or is not a JSON Schema.
    """
    schema = read_json_file(file)
    if not isinstance(schema, dict):
        raise ConfigurationError(f"{file} must contain a JSON Schema, which is a JSON object.")
    if problem := schema_error(schema):
        raise ConfigurationError(f"{file} is not a valid JSON Schema: {problem}.")
    name = "".join(letter if letter.isalnum() else "_" for letter in str(schema.get("title") or file.stem))[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def read_json_file(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ConfigurationError: It cannot be read, or is not JSON.
    """
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file} is not valid JSON: {error}.") from error


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigurationError: It cannot be read, or is not UTF-8 text.
    """
    try:
        text = _read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{file} is not UTF-8 text.")
    return text


def _image(file: Path) -> dict[str, Any]:
    data = base64.b64encode(_read_bytes(file)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{IMAGE_TYPES[file.suffix.lower()]};base64,{data}"}}


def _read_bytes(file: Path) -> bytes:
    try:
        return file.expanduser().read_bytes()
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error


def _piped_text(words: Sequence[str]) -> str | None:
    """Return the text of stdin; None at a terminal, unless the word "-" asks to read it."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty() and STDIN not in words:
        return None
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    # Some programs start others with a pipe that they never close, as Node's `exec` does.
    with suppress(OSError, ValueError):  # Windows cannot wait for a pipe
        if not select.select([sys.stdin], [], [], STDIN_WAIT_S)[0]:
            note("Waiting for the end of stdin. If nothing is piped in, add: < /dev/null")
    return sys.stdin.read()
