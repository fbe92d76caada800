"""Reads text files, but only inside the folders that the user has opened to this server."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_FILE_BYTES", "FileAccessError", "Roots"]

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are refused."""

# Do not wait for a pipe, and do not follow a link that was created after the check.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class FileAccessError(LFMError):
    """A file cannot be read, or must not be."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders whose files may be read.

    Attributes:
        folders: Absolute paths without links.
    """

    folders: tuple[Path, ...] = ()

    @classmethod
    def from_paths(cls, folders: Iterable[Path] = (), uris: Iterable[str] = ()) -> Roots:
        """Return roots from folders and from the `file://…` URIs that a client lists.

        What does not exist, or has another scheme, is ignored.
        """
        paths = [*folders, *(path for uri in uris if (path := _path_of(uri)) is not None)]
        return cls(tuple(dict.fromkeys(path.resolve() for path in paths if path.is_dir())))

    def read(self, path: str) -> str:
        """Return the text of a file.

        Args:
            path: An absolute path, a `file://…` URI, or a path relative to one of the roots.

        Raises:
            FileAccessError: The file is outside the roots, too large, or not a text file.
        """
        if not self.folders:
            raise FileAccessError(
                "This server cannot read files: neither the client nor the user has opened a folder to it. Pass "
                "the text itself, or ask the user to start the server with `--root FOLDER`."
            )
        file = self._find(path)
        try:
            descriptor = os.open(file, _OPEN_FLAGS)
        except OSError as error:
            raise FileAccessError(f"Cannot read {path!r}: {error.strerror}.") from error
        try:
            status = os.fstat(descriptor)
            if not _is_still(file, status):
                raise FileAccessError(f"{path!r} was moved while it was opened. Try again.")
            if stat.S_ISDIR(status.st_mode):
                raise FileAccessError(f"{path!r} is a folder. Pass the files in it instead.")
            if not stat.S_ISREG(status.st_mode):
                raise FileAccessError(f"{path!r} is not a regular file.")
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
        return _text(data, path)

    def _find(self, path: str) -> Path:
        """Return the file without links, if it is inside a root."""
        named = _path_of(path) if path.startswith("file:") else Path(path)
        candidates = [] if named is None or "\0" in path else [folder / named for folder in self.folders]
        # Only the real location counts. Errors do not reveal what exists outside.
        try:
            inside = [found for found in (file.resolve() for file in candidates) if self._holds(found)]
        except (OSError, RuntimeError, ValueError):  # a loop of links, or an impossible file name
            inside = []
        if not inside:
            listed = ", ".join(map(str, self.folders))
            raise FileAccessError(f"{path!r} is outside the folders that may be read: {listed}.")
        # Unlike `Path.exists`, it never raises.
        found = next((file for file in inside if os.path.exists(file)), None)  # noqa: PTH110
        if found is None:
            raise FileAccessError(f"No such file: {path!r}")
        return found

    def _holds(self, file: Path) -> bool:
        return any(file.is_relative_to(folder) for folder in self.folders)


def _is_still(file: Path, status: os.stat_result) -> bool:
    """Return whether the opened file is the checked one, and no parent folder was replaced by a link."""
    try:
        return file.resolve(strict=True) == file and os.path.samestat(status, file.lstat())
    except OSError:
        return False


def _path_of(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path:
        return None
    path = Path(url2pathname(parts.path))
    return path if path.is_absolute() and "\0" not in str(path) else None


def _text(data: bytes, path: str) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise FileAccessError(f"{path!r} is larger than {MAX_FILE_BYTES // 2**20} MiB. Pass a part of it as text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileAccessError(f"{path!r} is not UTF-8 text. Convert it first.") from error
    if "\0" in text:
        raise FileAccessError(f"{path!r} is a binary file. Convert it to text first.")
    return text
