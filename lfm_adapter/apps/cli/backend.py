"""Where a command's requests go: OpenRouter, another server, or a model on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli.console import note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lfm_adapter.apps.local import LocalServer

__all__ = [
    "DEMO_MAX_TOKENS", "NO_KEY", "BaseURLOption", "GGUFOption", "LocalOption", "ModelOption", "check_choice",
    "has_openrouter", "serve_here",
]  # fmt: skip

ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="The model to ask; see `lfm models`. Default: LFM_MODEL.")
]
BaseURLOption = Annotated[str | None, typer.Option(help="Another server with an OpenAI-compatible API.")]
LocalOption = Annotated[bool, typer.Option("--local", help="Ask the demo model on this machine.")]
GGUFOption = Annotated[Path | None, typer.Option(help="Ask a GGUF file on this machine.")]

DEMO_MAX_TOKENS = 512
"""The demo model sometimes does not stop by itself, and would take a minute to fill its context."""

_SET_KEY = "set OPENROUTER_API_KEY to a key from https://openrouter.ai/settings/keys"

NO_KEY = (
    f"OPENROUTER_API_KEY is not set. To use Liquid's models, {_SET_KEY}. `--local` uses a small demo model instead."
)

_DEMO_ANSWERS = (
    "OPENROUTER_API_KEY is not set, so {model} answers, on this machine. It is small, often wrong, and not an LFM. "
    f"To use Liquid's models, {_SET_KEY}."
)
_NO_MODEL = f"No model is available. To use Liquid's models, {_SET_KEY}. {{reason}}"


def has_openrouter() -> bool:
    """Return whether the environment has a key for OpenRouter or the address of a server in its place."""
    return any(os.environ.get(name) for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"))


def check_choice(*, on_this_machine: bool, base_url: str | None, model: str | None) -> None:
    """Raise `BadParameter` if the options that choose a model contradict each other."""
    if on_this_machine and (base_url or model):
        raise typer.BadParameter("`--local` and `--gguf` choose the model; leave out `--base-url` and `--model`.")


def serve_here(gguf: Path | None, *, is_requested: bool, stack: ExitStack, **options: Any) -> LocalServer:
    """Start a model in this process and print which one it is.

    Args:
        gguf: The model's file; None for the demo model.
        is_requested: Whether the user asked for a local model, instead of having no key.
        stack: Closes the server.
        **options: Arguments of `local.serve`.

    Raises:
        ConfigurationError: The model cannot be served.
    """
    from lfm_adapter.apps import local

    name = gguf.name if gguf else "SmolLM2-135M-Instruct"
    if is_requested:
        note(f"Starting {name} on this machine.")
    try:
        server = local.serve(gguf, **options)
    except ConfigurationError as error:
        if is_requested:
            raise
        raise ConfigurationError(_NO_MODEL.format(reason=error.message)) from error
    stack.callback(server.close)
    if not is_requested:
        note(_DEMO_ANSWERS.format(model=name))
    return server
