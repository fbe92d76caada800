"""`lfm run`: a program that takes LiteLLM's model strings, with `lfm/...` among them.

LiteLLM has no entry points for providers, so somebody has to call `register` in the process that asks. A file that
Python runs at each start (`.pth`) would do so everywhere, unasked; this does it for one program.
"""

from __future__ import annotations

import runpy
import shutil
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter._extras import how_to_install
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]


def run(
    program: Annotated[
        list[str], typer.Argument(help="A command of this Python environment, a .py file, or -m and a module.")
    ],
) -> None:
    """Run a Python program with Liquid's models in LiteLLM, as in: lfm run -- aider --model lfm/lfm-3-1.7b .

    The program has to be installed in the same environment as lfm-adapter. Programs that it starts itself do not know
    the models.
    """
    name, *arguments = program
    start = _module(arguments) if name == "-m" else _file(name) if name.endswith(".py") else _command(name)
    try:
        from lfm_adapter.litellm import register
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "litellm":
            raise ConfigurationError(str(error)) from error
        told = f"LiteLLM does not load ({error}). Try `{how_to_install('litellm')}`."
        raise ConfigurationError(told) from error
    register()
    sys.argv = arguments if name == "-m" else [shutil.which(name) or name, *arguments]
    sys.exit(start())


def _module(arguments: list[str]) -> Callable[[], Any]:
    if not arguments:
        raise typer.BadParameter("`-m` needs the name of a module.")
    sys.path.insert(0, "")  # as `python -m` does
    if not _is_runnable(arguments[0]):
        raise ConfigurationError(f"There is no module {arguments[0]!r} to run, in this folder or in {sys.prefix}.")

    def start() -> None:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)

    return start


def _is_runnable(module: str) -> bool:
    """Tell whether `python -m` would find it. Errors in packages above it, which are imported, pass through."""
    try:
        spec = find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{module}.__main__")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return False
    return spec is not None


def _file(name: str) -> Callable[[], Any]:
    file = Path(name)
    if not file.is_file():
        raise ConfigurationError(f"There is no file {name}.")

    def start() -> None:
        sys.path.insert(0, str(file.resolve().parent))  # as `python FILE` does
        runpy.run_path(name, run_name="__main__")

    return start


def _command(name: str) -> Callable[[], Any]:
    command = next(iter(entry_points(group="console_scripts", name=name)), None)
    if command is None:
        elsewhere = shutil.which(name)
        where = f"{elsewhere} is none of this environment's" if elsewhere else "this environment has none"
        raise ConfigurationError(
            f"There is no Python command {name!r} to run: {where} ({sys.prefix}). Install it and lfm-adapter into one "
            "environment."
        )

    def start() -> Any:
        return command.load()()

    return start
