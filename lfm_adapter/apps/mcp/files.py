"""Reads text files inside the folders that the user has opened to this server."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are refused."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_FILE_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | _NO_LINK
)  # does not wait for a pipe


class FileAccessError(LFMError):
    """A file cannot be read, or must not be read."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders whose files may be read.

    Attributes:
        folders: Absolute paths without links.
    """

    folders: tuple[Path, ...] = ()

    @classmethod
    def from_paths(cls, folders: Iterable[Path] = (), uris: Iterable[str] = ()) -> Roots:
        """Return roots from folders and from the URIs that a client lists.

        Folders that do not exist and URIs with schemes other than `file` are ignored.
        """
        paths = [*folders, *(Path(path) for uri in uris if (path := local_path(uri)) is not None)]
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
        folder, file = self._find(path)
        try:
            descriptor = _open(folder, file)
        except OSError as error:
            raise FileAccessError(f"Cannot read {path!r}: {error.strerror}.") from error
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise FileAccessError(f"{path!r} is a folder. Pass the files in it instead.")
            if not stat.S_ISREG(status.st_mode):
                raise FileAccessError(f"{path!r} is not a regular file.")
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
        return _text(data, path)

    def _find(self, path: str) -> tuple[Path, Path]:
        """Return a root and the file inside it, both without links."""
        named = local_path(path) if path.lower().startswith("file:") else path
        # The check is on the path without links. Errors do not reveal which files exist outside.
        try:
            found = [] if named is None else [(folder / named).resolve() for folder in self.folders]
        except (OSError, RuntimeError, ValueError):  # a loop of links, or an impossible file name
            found = []
        inside = [(folder, file) for file in found for folder in self.folders if file.is_relative_to(folder)]
        if not inside:
            listed = ", ".join(map(str, self.folders))
            raise FileAccessError(f"{path!r} is outside the folders that may be read: {listed}.")
        for folder, file in inside:
            if os.path.exists(file):  # noqa: PTH110 - unlike `Path.exists`, it never raises
                return folder, file
        raise FileAccessError(f"No such file: {path!r}")


def _open(folder: Path, file: Path) -> int:
    """Open a file inside a folder, both resolved. A link that has since replaced a part of the path is not followed."""
    if os.open not in os.supports_dir_fd:  # Windows
        descriptor = os.open(file, _FILE_FLAGS)
        if file.resolve() == file and os.path.samestat(os.fstat(descriptor), file.lstat()):
            return descriptor
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    parts = file.relative_to(folder).parts
    descriptor = os.open(folder, _FOLDER_FLAGS)
    for depth, part in enumerate(parts, 1):
        parent = descriptor
        try:
            descriptor = os.open(part, _FILE_FLAGS if depth == len(parts) else _FOLDER_FLAGS, dir_fd=parent)
        finally:
            os.close(parent)
    return descriptor


def local_path(uri: str, *, is_windows: bool = os.name == "nt") -> str | None:
    r"""Return the path of a `file` URI on this machine, or None.

    >>> local_path("file:///c%3A/temp", is_windows=True)
    'c:\\temp'
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    named = unquote(parts.path, errors="surrogateescape")
    path = PureWindowsPath(named[1:]) if is_windows else PurePosixPath(named)
    is_local = parts.scheme == "file" and parts.netloc in {"", "localhost"}
    return str(path) if is_local and path.is_absolute() and "\0" not in named else None


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
