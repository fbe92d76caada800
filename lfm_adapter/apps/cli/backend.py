"""Where a command's requests go: OpenRouter, another server, or a model on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli.console import UsageError, note
from lfm_adapter.apps.cli.screen import spinner
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lfm_adapter.apps.local import LocalServer


def model_named(name: str) -> str:
    """Return the id of one of the catalogue's models, named in any case; any other name as it is."""
    from lfm_adapter import catalog

    card = catalog.get(name.strip().lower())
    return card.id if card in catalog.models() else name


def model_option(help_text: str, *, kind: str | None = None) -> Any:
    """Return the option `--model`.

    Args:
        help_text: Its help.
        kind: The kind of models that the shell completes; None for all.
    """

    def complete(incomplete: str) -> list[str]:
        from lfm_adapter import catalog

        cards = [card for card in catalog.models() if card.status != "retired" and kind in (None, card.kind)]
        names = [name for card in cards for name in (card.id, *card.aliases)]
        return [name for name in names if name.startswith(incomplete.lower())]

    return typer.Option("--model", "-m", help=help_text, autocompletion=complete, parser=model_named, metavar="MODEL")


ModelOption = Annotated[str | None, model_option("Model to ask; see `lfm models`. Default: LFM_MODEL.")]
BaseURLOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Ask another server with an OpenAI-compatible API.")
]
LocalOption = Annotated[bool, typer.Option("--local", help="Ask the demo model on this machine.")]
GGUFOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Serve and ask a GGUF file on this machine.")]
EmbeddingsOption = Annotated[
    bool, typer.Option("--embeddings", help="Serve /v1/embeddings too, for an embedding model on this machine.")
]
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


def is_local_requested(
    *, local: bool, gguf: Path | None, base_url: str | None = None, model: str | None = None
) -> bool:
    """Return whether the options ask for a model on this machine.

    Raises:
        UsageError: They also ask for another one.
    """
    if not (local or gguf):
        return False
    if base_url or model:
        raise UsageError("`--local` and `--gguf` choose the model; leave out `--base-url` and `--model`.")
    return True


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
