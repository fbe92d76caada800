"""`lfm config`: the settings that the command remembers."""

from __future__ import annotations

import json
import os
import tomllib
from typing import Annotated, Any

import typer

from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.user_files import read_user_file, user_file, write_private
from lfm_adapter.errors import ConfigurationError

FILE = "config.toml"
KEEP, MODEL = "keep-conversations", "model"
SETTINGS = {
    KEEP: "whether `lfm chat` keeps conversations, for `lfm log` and `lfm chat -c`: on or off. Default: off.",
    MODEL: "the model to ask without `--model` and LFM_MODEL",
}
_SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def config(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help=f"Setting: {KEEP} or {MODEL}. Default: show all.")
    ] = None,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="New value. Default: show the current one.")
    ] = None,
    *,
    unset: Annotated[bool, typer.Option("--unset", help="Restore the default.")] = False,
) -> None:
    """Show or change the settings of `lfm`.

        lfm config keep-conversations on

    Without a name, shows all settings.
    """
    settings = _read()
    if name is None:
        for known, what in SETTINGS.items():
            typer.echo(f"{known:20}{_shown(settings.get(known))}")
            note(f"  {what}")
        return
    name = name.lower()
    if name not in SETTINGS:
        raise ConfigurationError(f"Unknown setting: {name!r}. The settings are {' and '.join(SETTINGS)}.")
    if value is None and not unset:
        typer.echo(_shown(settings.get(name)))
        return
    settings.pop(name, None)
    if value is not None:
        settings[name] = _checked(name, value)
    _write(settings)


def keeps_conversations() -> bool:
    """Return whether `lfm chat` keeps conversations."""
    return _read().get(KEEP) is True


def use_configured_model() -> None:
    """Set LFM_MODEL to the configured model, unless it is set."""
    if not os.environ.get("LFM_MODEL") and (model := _read().get(MODEL)):
        os.environ["LFM_MODEL"] = str(model)


def _checked(name: str, value: str) -> bool | str:
    if name == MODEL:
        if not value.isprintable() or '"' in value or "\\" in value or not value.strip():
            raise ConfigurationError(f"Invalid model name: {value!r}.")
        return value.strip()
    if value.lower() not in _SWITCH:
        raise ConfigurationError(f"`{name}` must be 'on' or 'off', got {value!r}.")
    return _SWITCH[value.lower()]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not set" if value is None else str(value)


def _read() -> dict[str, Any]:
    try:
        return tomllib.loads(read_user_file(FILE))
    except ValueError as error:
        raise ConfigurationError(f"{user_file(FILE)} is not valid TOML: {error}. Correct it, or delete it.") from error


def _write(settings: dict[str, Any]) -> None:
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items()]
    try:
        write_private(user_file(FILE), "".join(lines))
    except OSError as error:
        raise ConfigurationError(f"Cannot write {user_file(FILE)}: {error.strerror}.") from error
