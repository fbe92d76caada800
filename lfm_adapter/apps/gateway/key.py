"""The gateway's API key. It is created once, so that clients need no new setup after a restart."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lfm_adapter.apps.user_files import user_file, write_private
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIN_KEY_CHARS = 8


def key_file() -> Path:
    """Return the path of the file with the key of this user's gateways."""
    return user_file("gateway-key")


def gateway_key(on_damage: Callable[[str], None]) -> str:
    """Return the key of this user's gateways; create it on first use, in a file that only the user can read.

    Args:
        on_damage: Called with a message if the file contained no key and was replaced.

    Raises:
        ConfigurationError: The file cannot be read or written.
    """
    file = key_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(file.with_suffix(".lock")):  # several gateways may start for the first time at once
            found = file.read_bytes() if file.exists() else None
            key = (found or b"").decode("utf-8", "replace").strip()
            if _problem(key) is None:
                return key
            key = f"sk-{secrets.token_urlsafe(32)}"
            write_private(file, f"{key}\n")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot store the gateway's key in {file}: {error.strerror}. Set LFM_GATEWAY_KEY instead."
        ) from error
    if found is not None:
        on_damage(f"{file} did not contain a key, so a new key was created. Enter it in your apps.")
    return key


def checked_key(key: str, source: str) -> str:
    """Return `key` without surrounding spaces.

    Args:
        key: The key.
        source: The option or variable that it comes from, for the error.

    Raises:
        ConfigurationError: It is too short, or cannot be sent in a header.
    """
    key = key.strip()
    if problem := _problem(key):
        raise ConfigurationError(f"{source} {problem}.")
    return key


def _problem(key: str) -> str | None:
    if len(key) < MIN_KEY_CHARS:
        return f"must have at least {MIN_KEY_CHARS} characters"
    return None if key.isprintable() and "\ufffd" not in key else "must be text without line breaks"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock on `file`, where the system has `flock`."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
