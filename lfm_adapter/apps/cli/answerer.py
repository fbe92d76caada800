"""Who answers a command: OpenRouter, another server, or a model on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from lfm_adapter._openrouter.request import base_url_of, is_loopback
from lfm_adapter.apps.cli.screen import note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from lfm_adapter.apps.local import LocalServer

__all__ = ["DEMO_MAX_TOKENS", "check_choice", "has_openrouter", "serve_here"]

# The demo model does not always find an end, and its context would hold a minute of it.
DEMO_MAX_TOKENS = 512

NO_KEY = (
    "OPENROUTER_API_KEY is not set, so {model} answers, on this machine: small, often wrong, and no LFM. "
    "For Liquid's models set it to a key of https://openrouter.ai/settings/keys."
)

NOBODY = (
    "Nobody can answer. For Liquid's models, set OPENROUTER_API_KEY to a key of https://openrouter.ai/settings/keys. "
    "{why}"
)


def has_openrouter() -> bool:
    """Tell whether the environment says how to reach OpenRouter, or what stands in for it."""
    return any(os.environ.get(name) for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"))


def check_choice(*, on_this_machine: bool, base_url: str | None, model: str | None) -> None:
    """Check the options that say who answers.

    Raises:
        BadParameter: They contradict each other, or leave open which model of a server to ask.
    """
    if on_this_machine and (base_url or model):
        raise typer.BadParameter("`--local` and `--gguf` choose the model; leave `--base-url` and `--model` out.")
    if base_url and not (model or os.environ.get("LFM_MODEL") or is_loopback(base_url_of(base_url))):
        raise typer.BadParameter("`--base-url` needs `--model`: which of the server's models to ask.")


def serve_here(gguf: Path | None, *, asked_for: bool, stack: ExitStack, **options: Any) -> LocalServer:
    """Start a model in this process, to be closed with `stack`, and say so.

    Args:
        gguf: Its file; None for the demo model.
        asked_for: Whether the user wants it, and not only has no key.
        stack: What ends it.
        **options: Arguments of `local.serve`.

    Raises:
        ConfigurationError: It cannot be served.
    """
    from lfm_adapter.apps import local

    name = gguf.name if gguf else "SmolLM2-135M-Instruct"
    if asked_for:
        note(f"Starting {name} on this machine.")
    try:
        server = local.serve(gguf, **options)
    except ConfigurationError as error:
        if asked_for:
            raise
        raise ConfigurationError(NOBODY.format(why=error.message)) from error
    stack.callback(server.close)
    if not asked_for:
        note(NO_KEY.format(model=name))
    return server
