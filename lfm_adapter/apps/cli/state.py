"""What `lfm decide` asks about: stdin, text files and images."""

from __future__ import annotations

import base64
import mimetypes
from typing import TYPE_CHECKING, Any

import typer

from lfm_adapter.apps.cli.question import attached, read_text
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["state_of"]

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def state_of(piped: str | None, files: Sequence[Path]) -> str | list[Any]:
    """Return the state: a text, or a list with texts and images.

    Args:
        piped: The text of stdin, or None.
        files: Text files and images.

    Raises:
        ConfigurationError: A file cannot be read, or is neither.
    """
    images = [file for file in files if _media_type(file) in IMAGE_TYPES]
    texts = [file for file in files if file not in images]
    if len(texts) == 1 and not (piped and piped.strip()):
        parts = [read_text(texts[0])]
    else:
        parts = [piped or "", *attached(texts)]
    parts = [part for part in parts if part.strip()]
    if not parts and not images:
        raise typer.BadParameter("There is nothing to decide about: pipe a text in, or name a file with `--file`.")
    return [*parts, *map(_image, images)] if images else "\n\n".join(parts)


def _media_type(file: Path) -> str | None:
    return mimetypes.guess_type(file.name)[0]


def _image(file: Path) -> dict[str, Any]:
    try:
        data = base64.b64encode(file.expanduser().read_bytes()).decode()
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error
    return {"type": "image_url", "image_url": {"url": f"data:{_media_type(file)};base64,{data}"}}
