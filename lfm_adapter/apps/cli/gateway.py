"""`lfm gateway`: OpenAI's and Anthropic's APIs on this machine, for programs that are not Python."""

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

from lfm_adapter.apps.cli.answerer import DEMO_MAX_TOKENS, has_openrouter, serve_here
from lfm_adapter.apps.cli.screen import note
from lfm_adapter.apps.gateway.client_setups import client_setups, exports
from lfm_adapter.apps.gateway.key import checked, stored_key
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gateway"]

FIRST_PORT = 4000
PORTS_TRIED = 50
LOCAL_CONTEXT_LENGTH = 8192

OPEN_TO_ALL = "It listens on more than this machine: whoever reaches it and has the key can ask, and spend."


def gateway(
    *,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its port. Default: 4000, or the next that is free.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="LITELLM_MASTER_KEY", help="What clients show. Default: made once, and kept for this user."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model in the lines for clients. Default: LFM_MODEL.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file of `lfm proxy-config`, as it is.")
    ] = None,
    on_this_machine: Annotated[bool, typer.Option("--local", help="Serve the demo model on this machine.")] = False,
    gguf: Annotated[Path | None, typer.Option(help="Serve a GGUF file of yours on this machine.")] = None,
    verbose: Annotated[bool, typer.Option(help="Show the log of LiteLLM's Proxy on stderr.")] = False,
) -> None:
    """Serve Liquid's models over OpenAI's and Anthropic's APIs on this machine, until Ctrl-C.

    Without OPENROUTER_API_KEY a model on this machine answers. Prints the base URL, the key, and how to set up clients.
    """
    from lfm_adapter.apps.gateway.proxy_process import ProxyProcess

    on_this_machine = on_this_machine or gguf is not None
    if config and (on_this_machine or key):
        raise typer.BadParameter("`--config` names models and key itself; leave `--local`, `--gguf` and `--key` out.")
    key = _key_of(config) if config else checked(key, "`--key` (or LITELLM_MASTER_KEY)") if key else stored_key()
    port = _free_port(host, port)
    with _ended_by_signals(), ExitStack() as stack:
        if config is None:
            local = on_this_machine or not has_openrouter()
            text, model = (
                _on_this_machine(gguf, model, asked_for=on_this_machine, stack=stack) if local else _openrouter(model)
            )
            config = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lfm-gateway-"))) / "config.yaml"
            config.write_text(text, encoding="utf-8")
        note("Starting LiteLLM's Proxy: some ten seconds.")
        proxy = stack.enter_context(ProxyProcess(config, host=host, port=port, key=key, verbose=verbose))
        models = proxy.models()
        _introduce(f"http://{_reached_at(host)}:{port}/v1", key, models, model or models[0])
        if _reached_at(host) != host:
            note(OPEN_TO_ALL, style="yellow")
        note("Ctrl-C stops it.")
        proxy.wait()


def _introduce(base_url: str, key: str, models: list[str], model: str) -> None:
    typer.echo(f"Base URL  {base_url}")
    typer.echo(f"Key       {key}")
    typer.echo(f"Models    {', '.join(models)}")
    typer.echo(f"Shell     {exports(base_url, key)}")
    typer.echo("\nIn that shell, or in the settings of the program:")
    setups = client_setups(base_url, model)
    width = max(map(len, setups))
    for client, line in setups.items():
        typer.echo(f"  {client:<{width}}  {line}")


def _openrouter(model: str | None) -> tuple[str, str]:
    """Return the Proxy's configuration for OpenRouter, and the model for clients to ask."""
    from lfm_adapter import catalog
    from lfm_adapter._client.settings import DEFAULT_MODEL
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.apps.proxy_config import MASTER_KEY_VARIABLE, ProxyOptions, proxy_config

    text = proxy_config(ProxyOptions(master_key=MASTER_KEY_VARIABLE, attribution=Attribution.from_env()))
    card = catalog.get(model or os.environ.get("LFM_MODEL") or DEFAULT_MODEL)
    if model is None and "LFM_MODEL" not in os.environ and card.successors:
        card = catalog.get(card.successors[0])  # the default is retired, and nobody chose it
    return text, card.aliases[0] if card.aliases else card.id


def _on_this_machine(
    gguf: Path | None, model: str | None, *, asked_for: bool, stack: ExitStack
) -> tuple[str, str | None]:
    """Start a model in this process, to be closed with `stack`; return the Proxy's configuration, and `model`."""
    from lfm_adapter.apps.gateway.local_config import local_config

    server = serve_here(gguf, asked_for=asked_for, stack=stack, context_length=LOCAL_CONTEXT_LENGTH)
    text = local_config(
        server.model,
        server.base_url,
        context_length=LOCAL_CONTEXT_LENGTH,
        # llama.cpp leaves tools out of the prompt where a chat template has no place for them, as the demo model's. It
        # is too small to call any, and answered in 1 s without the 35 tools that it read for 45 s (2 CPUs, 2026-11-26).
        tool_calling="native" if gguf is None else "prompted",
        # The demo model does not always find an end.
        max_tokens=DEMO_MAX_TOKENS if gguf is None else None,
    )
    return text, model


def _key_of(config: Path) -> str:
    """Return the key that a configuration asks for, or the one that the Proxy then gets from the environment."""
    import yaml

    try:
        settings: Any = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{config} is no YAML that can be read: {error}") from error
    general = settings.get("general_settings") if isinstance(settings, dict) else None
    named = str((general or {}).get("master_key") or "os.environ/LITELLM_MASTER_KEY")
    variable = named.removeprefix("os.environ/")
    if variable == named:
        return named
    key = os.environ.get(variable) or (stored_key() if variable == "LITELLM_MASTER_KEY" else None)
    if key is None:
        raise ConfigurationError(f"{config} takes the key from {variable}, which is not set.")
    return checked(key, f"The key ({variable})")


def _free_port(host: str, port: int | None) -> int:
    wanted = [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    why: str | None = None
    for candidate in wanted:
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if os.name != "nt":  # there it would let two programs share the port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
        except OSError as error:
            why = error.strerror
        else:
            return candidate
    tried = f"{host}:{port}" if port else f"{host}, ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1},"
    raise ConfigurationError(f"The gateway cannot listen on {tried}: {why}. Name another with `--host` and `--port`.")


def _reached_at(host: str) -> str:
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else f"[{host}]" if ":" in host else host  # noqa: S104


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C, and a service manager's SIGTERM, close what is open and end well."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped.")
        sys.exit(0)
    finally:
        signal.signal(signal.SIGTERM, before)
