"""Text files, and only those below the folders that the user has opened to this server."""

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
"""A larger file is refused."""

# A pipe must not be waited for, and a link that was put there after the check must not be followed.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class FileAccessError(LFMError):
    """A file is not to be read, or cannot be."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders whose files may be read.

    Attributes:
        folders: Absolute, with all links followed.
    """

    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folders: Iterable[Path] = (), uris: Iterable[str] = ()) -> Roots:
        """Return roots.

        Args:
            folders: Folders of this machine. Such as do not exist open nothing.
            uris: What a client lists, `file://…`. Other schemes open nothing.
        """
        named = [*folders, *(path for uri in uris if (path := _path_of(uri)) is not None)]
        return cls(tuple(dict.fromkeys(folder.resolve() for folder in named if folder.is_dir())))

    def read(self, path: str) -> str:
        """Return the text of a file.

        Args:
            path: Absolute, `file://…`, or relative to one of the roots.

        Raises:
            FileAccessError: It lies outside, or is no text file of a size that is read.
        """
        if not self.folders:
            raise FileAccessError(
                "No files may be read: the client has opened no folder to this server, and the user has named none. "
                "Pass the text itself, or ask the user to start the server with `--root FOLDER`."
            )
        file = self._find(path)
        try:
            descriptor = os.open(file, _OPEN_FLAGS)
        except OSError as error:
            raise FileAccessError(f"{path!r} cannot be read: {error.strerror}.") from error
        try:
            status = os.fstat(descriptor)
            if not _is_still(file, status):
                raise FileAccessError(f"{path!r} was moved while it was opened. Try again.")
            if stat.S_ISDIR(status.st_mode):
                raise FileAccessError(f"{path!r} is a folder. Name the files in it that are to be read.")
            if not stat.S_ISREG(status.st_mode):
                raise FileAccessError(f"{path!r} is no regular file.")
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
        return _text(data, path)

    def _find(self, path: str) -> Path:
        """Return the file that `path` means, with all links followed, if it lies below a root."""
        named = _path_of(path) if path.startswith("file:") else Path(path)
        candidates = [] if named is None or "\0" in path else [folder / named for folder in self.folders]
        # Where it really lies decides. Whether something exists outside is not told.
        try:
            inside = [found for found in (file.resolve() for file in candidates) if self._holds(found)]
        except (OSError, RuntimeError, ValueError):  # a loop of links, or no name that a file can have
            inside = []
        if not inside:
            listed = ", ".join(map(str, self.folders))
            raise FileAccessError(f"{path!r} lies outside of the folders that may be read: {listed}.")
        # Unlike `Path.exists`, it raises for no name.
        found = next((file for file in inside if os.path.exists(file)), None)  # noqa: PTH110
        if found is None:
            raise FileAccessError(f"There is no file {path!r}.")
        return found

    def _holds(self, file: Path) -> bool:
        return any(file.is_relative_to(folder) for folder in self.folders)


def _is_still(file: Path, status: os.stat_result) -> bool:
    """Tell whether what was opened is the file that was checked, and no folder above it has become a link meanwhile."""
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
        raise FileAccessError(
            f"{path!r} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB. Pass a part of it as text."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileAccessError(f"{path!r} is no text in UTF-8. Convert it to text first.") from error
    if "\0" in text:
        raise FileAccessError(f"{path!r} is a binary file, and not text. Convert it to text first.")
    return text
