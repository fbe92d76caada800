"""The gateway's API key, which is created once so that clients stay set up."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import typer

from lfm_adapter.errors import ConfigurationError

__all__ = ["checked_key", "stored_key"]

MIN_KEY_CHARS = 20  # LiteLLM refuses some weak keys, and a short one can be guessed


def stored_key() -> str:
    """Return the key of this user's gateways; create it on first use, in a file that only the user can read.

    Raises:
        ConfigurationError: The file cannot be read or written.
    """
    file = Path(typer.get_app_dir("lfm-adapter")) / "gateway-key"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return checked_key(file.read_text(encoding="utf-8").strip(), f"The key in {file}")
        key = f"sk-{secrets.token_urlsafe(32)}"
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(f"{key}\n")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot store the gateway's key in {file}: {error.strerror}. Set LITELLM_MASTER_KEY instead."
        ) from error
    return key


def checked_key(key: str, source: str) -> str:
    """Return `key`.

    Args:
        key: The key.
        source: Where it comes from, for the error.

    Raises:
        ConfigurationError: LiteLLM would refuse the key.
    """
    if not key.startswith("sk-") or len(key) < MIN_KEY_CHARS or not key.isascii() or any(map(str.isspace, key)):
        raise ConfigurationError(
            f"{source} must start with `sk-` and have at least {MIN_KEY_CHARS} ASCII characters without spaces, as "
            "LiteLLM requires."
        )
    return key
