"""The files of this user, in one folder: settings, keys and the history of questions."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import typer

from lfm_adapter.errors import ConfigurationError


def user_file(name: str) -> Path:
    """Return the path of one of the user's files."""
    return Path(typer.get_app_dir("lfm-adapter")) / name


def read_user_file(name: str) -> str:
    """Return the text of one of the user's files, or "" if it does not exist.

    Raises:
        ConfigurationError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    file = user_file(name)
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error


def write_private(file: Path, text: str) -> None:
    """Write a file that its owner alone can read, and its folder. Other processes see the old text or the new one.

    Raises:
        OSError: It cannot be written.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
