"""`lfm gateway`: OpenAI's and Anthropic's APIs on this machine, for programs in any language."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.gateway.client_setups import client_setups
from lfm_adapter.apps.gateway.key import checked_key, stored_key
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gateway"]

FIRST_PORT = 4000
PORTS_TRIED = 50
LOCAL_CONTEXT_LENGTH = 8192


def gateway(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on. Default: 4000 or the next free port.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="LITELLM_MASTER_KEY",
            help="API key that clients must send. Default: a key that is created once and stored for this user.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model in the printed settings. Default: LFM_MODEL.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Use this file, written by `lfm proxy-config`.")
    ] = None,
    on_this_machine: backend.LocalOption = False,
    gguf: backend.GGUFOption = None,
    verbose: Annotated[bool, typer.Option(help="Print the log of LiteLLM's Proxy to stderr.")] = False,
) -> None:
    """Serve Liquid's models over OpenAI's and Anthropic's APIs on this machine, until Ctrl-C or SIGTERM.

    Without OPENROUTER_API_KEY, a small model on this machine answers. Prints the base URL, the key, and the settings of
    common clients.
    """
    from lfm_adapter.apps.gateway.proxy_process import ProxyProcess

    on_this_machine = on_this_machine or gguf is not None
    if config and (on_this_machine or key):
        raise typer.BadParameter("`--config` sets models and key; leave out `--local`, `--gguf` and `--key`.")
    key = _key_in(config) if config else checked_key(key, "`--key` (or LITELLM_MASTER_KEY)") if key else stored_key()
    port = _free_port(host, port)
    with _stopped_by_signals(), ExitStack() as stack:
        if config is None:
            if on_this_machine or not backend.has_openrouter():
                text = _local_config(gguf, is_requested=on_this_machine, stack=stack)
            else:
                text, model = _openrouter_config(model)
            config = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lfm-gateway-"))) / "config.yaml"
            config.write_text(text, encoding="utf-8")
        proxy = stack.enter_context(ProxyProcess(config, host=host, port=port, key=key, verbose=verbose))
        note("Starting LiteLLM's Proxy, which takes about ten seconds.")
        models = proxy.list_models()
        address = "127.0.0.1" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host  # noqa: S104
        _introduce(f"http://{address}:{port}/v1", key, models, model or models[0])
        if address != host:
            note("Other machines can connect: anyone who has the key can spend your credit.", style="yellow")
        note("Ctrl-C stops it.")
        proxy.wait()


def _introduce(base_url: str, key: str, models: list[str], model: str) -> None:
    typer.echo(f"Base URL  {base_url}")
    typer.echo(f"Key       {key}")
    typer.echo(f"Models    {', '.join(models)}")
    # LiteLLM, and so aider, reads OPENAI_API_BASE.
    typer.echo(f"Shell     export OPENAI_BASE_URL={base_url} OPENAI_API_BASE={base_url} OPENAI_API_KEY={key}")
    typer.echo("\nIn that shell, or in the settings of the program:")
    setups = client_setups(base_url, model)
    width = max(map(len, setups))
    for client, line in setups.items():
        typer.echo(f"  {client:<{width}}  {line}")


def _openrouter_config(model: str | None) -> tuple[str, str]:
    """Return the Proxy's configuration for OpenRouter, and the model for the printed client settings."""
    from lfm_adapter import catalog
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.apps.proxy_config import MASTER_KEY_VARIABLE, ProxyOptions, proxy_config

    text = proxy_config(ProxyOptions(master_key=MASTER_KEY_VARIABLE, attribution=Attribution.from_env()))
    card = catalog.get(LFMClient(model)._settings.resolve_model())
    return text, card.aliases[0] if card.aliases else card.id


def _local_config(gguf: Path | None, *, is_requested: bool, stack: ExitStack) -> str:
    """Start a model in this process and return the Proxy's configuration for it."""
    from lfm_adapter.apps.gateway.local_config import local_config

    server = backend.serve_here(gguf, is_requested=is_requested, stack=stack, context_length=LOCAL_CONTEXT_LENGTH)
    return local_config(
        server.model,
        server.base_url,
        context_length=LOCAL_CONTEXT_LENGTH,
        # llama.cpp leaves tools out of the prompt if the chat template has no place for them, as the demo model's. It
        # is too small to call any: it took 1 s without 35 tools, and 45 s to read them (2 CPUs, 2026-11-26).
        tool_calling="native" if gguf is None else "prompted",
        max_tokens=backend.DEMO_MAX_TOKENS if gguf is None else None,
    )


def _key_in(config: Path) -> str:
    """Return the key that a configuration sets, or reads from the environment."""
    import yaml

    try:
        settings: Any = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{config} is not valid YAML: {error}") from error
    general = settings.get("general_settings") if isinstance(settings, dict) else None
    key = str((general or {}).get("master_key") or "os.environ/LITELLM_MASTER_KEY")
    variable = key.removeprefix("os.environ/")
    if variable == key:
        return key
    value = os.environ.get(variable) or (stored_key() if variable == "LITELLM_MASTER_KEY" else None)
    if value is None:
        raise ConfigurationError(f"{config} reads the key from {variable}, which is not set.")
    return checked_key(value, f"The key ({variable})")


def _free_port(host: str, port: int | None) -> int:
    reason: str | None = None
    for candidate in [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if os.name != "nt":  # on Windows, this would let two programs share the port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
        except OSError as error:
            reason = error.strerror
        else:
            return candidate
    tried = f"{host}:{port}" if port else f"{host}, ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1}"
    raise ConfigurationError(f"Cannot listen on {tried}: {reason}. Choose another with `--host` and `--port`.")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End with status 0 on Ctrl-C and SIGTERM, after everything was closed.

    SIGINT gets a handler even where it is ignored, as in `lfm gateway &` in a script: the Proxy would receive it too.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped.")
        sys.exit(0)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
