"""`lfm run`: run a program with `lfm/...` among LiteLLM's models.

LiteLLM has no entry points for providers, so `register` must be called in the process that uses it. A `.pth` file would
call it in every Python program of the environment.
"""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.cli.console import UsageError
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def run(
    program: Annotated[
        list[str],
        typer.Argument(
            metavar="PROGRAM",
            help="Command of this Python environment, .py file, or -m and a module; then arguments.",
        ),
    ],
) -> None:
    """Run a Python program with Liquid's models in LiteLLM.

        lfm run -- aider --model lfm/lfm-3-1.7b

    The program must be installed in the same environment as lfm-adapter. Python programs that it starts itself do not
    get the models.
    """
    name, *arguments = program
    start = _module(arguments) if name == "-m" else _file(name) if name.endswith(".py") else _command(name)
    try:
        from lfm_adapter.litellm import register
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "litellm":
            raise ConfigurationError(str(error)) from error
        raise ConfigurationError(f"LiteLLM cannot be imported ({error}). Run `{how_to_install('litellm')}`.") from error
    register()
    sys.argv = arguments if name == "-m" else [shutil.which(name) or name, *arguments]
    start()


def _module(arguments: list[str]) -> Callable[[], object]:
    if not arguments:
        raise UsageError("`-m` needs a module name.")
    sys.path.insert(0, "")  # as `python -m` does
    if not _is_runnable(arguments[0]):
        raise ConfigurationError(
            f"No module {arguments[0]!r} that can be run was found in this folder or in {sys.prefix}."
        )
    return partial(runpy.run_module, arguments[0], run_name="__main__", alter_sys=True)


def _is_runnable(module: str) -> bool:
    """Return whether `python -m` would find a module. Errors of its parent packages, which are imported, propagate."""
    try:
        spec = find_spec(module)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{module}.__main__")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return False
    return spec is not None


def _file(name: str) -> Callable[[], object]:
    file = Path(name)
    if not file.is_file():
        raise ConfigurationError(f"No such file: {name}")
    sys.path.insert(0, str(file.resolve().parent))  # as `python FILE` does
    return partial(runpy.run_path, name, run_name="__main__")


def _command(name: str) -> Callable[[], object]:
    command = next(iter(entry_points(group="console_scripts", name=name)), None)
    if command is None:
        raise ConfigurationError(_not_found(name))
    return lambda: sys.exit(command.load()())


def _not_found(name: str) -> str:
    if re.fullmatch(r"python[\d.]*", name):
        return f"Leave `{name}` out: `lfm run -- agent.py`."
    elsewhere = shutil.which(name)
    where = f"{elsewhere} is outside of it" if elsewhere else "it is not installed"
    return f"No Python command {name!r} in {sys.prefix}: {where}. Install it in the same environment as lfm-adapter."
