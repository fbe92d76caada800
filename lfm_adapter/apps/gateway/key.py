"""The key of one's own gateway: made once, so that clients stay set up when it starts again."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import typer

from lfm_adapter.errors import ConfigurationError

__all__ = ["checked", "stored_key"]

MIN_KEY_CHARS = 20  # LiteLLM refuses some that are weak, and a short one is guessed


def stored_key() -> str:
    """Return the key of this user's gateways, and make it where there is none. Only this user may read its file.

    Raises:
        ConfigurationError: The file cannot be read or written.
    """
    file = Path(typer.get_app_dir("lfm-adapter")) / "gateway-key"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return checked(file.read_text(encoding="utf-8").strip(), f"The key in {file}")
        key = f"sk-{secrets.token_urlsafe(32)}"
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(f"{key}\n")
    except OSError as error:
        raise ConfigurationError(
            f"The gateway's key cannot be kept in {file}: {error.strerror}. Name one with LITELLM_MASTER_KEY."
        ) from error
    return key


def checked(key: str, what: str) -> str:
    """Return a key that LiteLLM takes.

    Raises:
        ConfigurationError: It is none.
    """
    if not key.startswith("sk-") or len(key) < MIN_KEY_CHARS or not key.isascii() or any(map(str.isspace, key)):
        raise ConfigurationError(
            f"{what} has to begin with `sk-` and to have {MIN_KEY_CHARS} characters or more, without spaces: "
            "LiteLLM takes no other."
        )
    return key
