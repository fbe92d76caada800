"""Where a command's requests go: OpenRouter, another server, or a model on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.cli.screen import spinner
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lfm_adapter.apps.local import LocalServer

__all__ = [
    "CONTEXT_LENGTH", "DEMO_MAX_TOKENS", "NO_KEY", "BaseURLOption", "ContextLengthOption", "GGUFOption", "LocalOption",
    "ModelOption", "check_choice", "complete_decision_model", "complete_model", "has_openrouter", "model_named",
    "serve_here",
]  # fmt: skip


def complete_model(incomplete: str) -> list[str]:
    """Return the ids and aliases that complete what is typed, for the shell."""
    from lfm_adapter import catalog

    names = [name for card in catalog.models() if card.status != "retired" for name in (card.id, *card.aliases)]
    return [name for name in names if name.startswith(incomplete.lower())]


def complete_decision_model(incomplete: str) -> list[str]:
    """Return what `complete_model` returns, of decision models."""
    from lfm_adapter import catalog

    return [name for name in complete_model(incomplete) if catalog.get(name).kind == "decisions"]


def model_named(name: str) -> str:
    """Return the id of one of the catalogue's models, named in any case; any other name as it is."""
    from lfm_adapter import catalog

    card = catalog.get(name.strip().lower())
    return card.id if card in catalog.models() else name


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Model to ask; see `lfm models`. Default: LFM_MODEL.",
        autocompletion=complete_model,
        parser=model_named,
        metavar="MODEL",
    ),
]
BaseURLOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Ask another server with an OpenAI-compatible API.")
]
LocalOption = Annotated[bool, typer.Option("--local", help="Ask the demo model on this machine.")]
GGUFOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Serve and ask a GGUF file on this machine.")]
ContextLengthOption = Annotated[
    int, typer.Option(min=1, metavar="TOKENS", help="Context per request of a model on this machine.")
]

CONTEXT_LENGTH = 8192
"""The default of `--context-length`."""

DEMO_MAX_TOKENS = 512
"""The demo model sometimes does not stop by itself, and would take a minute to fill its context."""

_SET_KEY = "create a key at https://openrouter.ai/settings/keys and run `lfm keys set`, or set OPENROUTER_API_KEY"

NO_KEY = f"No API key is set. To use Liquid's models, {_SET_KEY}. `--local` uses a small demo model instead."

_DEMO_ANSWERS = (
    "No API key is set, so {model} on this machine answers. It is small, often wrong, and not an LFM. "
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
    """Start a model and print which one it is.

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
        with spinner(f"loading {name}"):
            server = local.serve(gguf, **options)
    except ConfigurationError as error:
        if is_requested:
            raise
        raise ConfigurationError(_NO_MODEL.format(reason=error.message)) from error
    stack.callback(server.close)
    if not is_requested:
        note(_DEMO_ANSWERS.format(model=name))
    return server
