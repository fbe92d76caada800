"""`lfm keys`: keep the key for OpenRouter, in the system's keyring or a file that only the user can read."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.user_files import read_user_file, user_file, write_private
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

FILE = "keys.json"
SERVICE = "openrouter"
VARIABLE = "OPENROUTER_API_KEY"
IN_KEYRING = {"keyring": True}

keys = typer.Typer(help="Store, show or delete the key for OpenRouter.", no_args_is_help=True)


def use_stored_key() -> None:
    """Set OPENROUTER_API_KEY to the stored key, unless it is set. Commands and the programs that they start read it."""
    if not os.environ.get(VARIABLE) and (key := stored_key()):
        os.environ[VARIABLE] = key


def stored_key() -> str | None:
    """Return the stored key, or None.

    Raises:
        ConfigurationError: The file, or the keyring that it points to, cannot be read.
    """
    entry = _read()
    if entry != IN_KEYRING:
        return entry if isinstance(entry, str) else None
    keyring = _keyring()
    if keyring is None:
        raise ConfigurationError(
            f"The key is in the system's keyring, which cannot be reached. Set {VARIABLE}, or run `lfm keys delete`."
        )
    key: str | None = keyring.get_password("lfm-adapter", SERVICE)
    return key


@keys.command("set")
def set_key(
    *, in_file: Annotated[bool, typer.Option("--file", help="Store it in a file even if there is a keyring.")] = False
) -> None:
    """Store the key.

    Asks for it without showing it, or reads it from a pipe.
    """
    key = typer.prompt("Key for OpenRouter", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError("The key must be one word of ASCII characters, such as sk-or-v1-….")
    keyring = None if in_file else _keyring()
    if keyring is not None:
        keyring.set_password("lfm-adapter", SERVICE, key)
    file = user_file(FILE)
    try:
        write_private(file, json.dumps({SERVICE: key if keyring is None else IN_KEYRING}))
    except OSError as error:
        raise ConfigurationError(f"Cannot store the key in {file}: {error.strerror}.") from error
    note(f"Stored {_masked(key)} in {file if keyring is None else 'the keyring'}.")
    if os.environ.get(VARIABLE):
        note(f"{VARIABLE} is set too, and overrides the stored key.", style="yellow")


@keys.command("show")
def show_key(*, reveal: Annotated[bool, typer.Option("--reveal", help="Print the whole key.")] = False) -> None:
    """Show the key that is sent.

    Shows its last four characters, and where it comes from.
    """
    key, place = os.environ.get(VARIABLE), VARIABLE
    if not key:
        key, place = stored_key(), "the keyring" if _read() == IN_KEYRING else str(user_file(FILE))
    if key is None:
        raise ConfigurationError(f"No API key is set. Run `lfm keys set` or set {VARIABLE}.")
    typer.echo(f"{key if reveal else _masked(key)}  (from {place})")


@keys.command("delete")
def delete_key() -> None:
    """Delete the stored key."""
    entry = _read()
    if entry is None:
        note("There was no stored key.")
        return
    keyring = _keyring() if entry == IN_KEYRING else None
    if keyring is not None:
        keyring.delete_password("lfm-adapter", SERVICE)
    user_file(FILE).unlink()
    note("Deleted the stored key.")


def _masked(key: str) -> str:
    return f"…{key[-4:]}" if len(key) >= 16 else "…"


def _read() -> Any:
    """Return the stored key, `IN_KEYRING` if the keyring has it, or None."""
    try:
        entries = json.loads(read_user_file(FILE) or "{}")
    except ValueError as error:
        raise ConfigurationError(f"{user_file(FILE)} is damaged. Delete it, and run `lfm keys set` again.") from error
    return entries.get(SERVICE) if isinstance(entries, dict) else None


def _keyring() -> ModuleType | None:
    """Return the module `keyring` if it is installed and reaches a keyring of the system."""
    try:
        import keyring  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    # Backends that store nothing, or plain text, have a priority below 1.
    return keyring if keyring.get_keyring().priority >= 1 else None
