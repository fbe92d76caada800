"""`lfm gateway`: OpenAI's and Anthropic's APIs on this machine, for programs in any language."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path  # noqa: TC003 # typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import note
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Ledger, ledger_from_env

if TYPE_CHECKING:
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.apps.gateway.access import Access
    from lfm_adapter.apps.gateway.models import Models

DAILY_BUDGET_USD = "1"
ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104
LOCAL_WAIT_S = 600.0  # a laptop may take minutes to read a long prompt


def gateway(
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="Port to listen on. Default: 4000 or the next free port."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="LFM_GATEWAY_KEY",
            metavar="KEY",
            help="API key that clients must send, of 8 or more characters. Default: a key that is created once and "
            "stored for this user.",
        ),
    ] = None,
    is_open: Annotated[
        bool,
        typer.Option("--open", help="Accept any key or none, on this machine only, for apps that send a fixed key."),
    ] = False,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Allow a web page, such as https://app.example.com. May be repeated."),
    ] = None,
    model: Annotated[str | None, backend.model_option("Model in the printed settings. Default: LFM_MODEL.")] = None,
    budget_usd: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL=|app:NAME=]AMOUNT",
            help="Daily budget in US$ (days in UTC), in total, per model or per app. May be repeated. Default: 1.",
        ),
    ] = None,
    rpm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL=|app:NAME=]COUNT",
            help="Requests per minute, in total, per model or per app. May be repeated.",
        ),
    ] = None,
    allow_unknown_price: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-price",
            help="Within a budget, also allow requests whose price is not known beforehand, such as web searches and "
            "`:nitro`. Their cost counts afterwards.",
        ),
    ] = False,
    any_model: Annotated[bool, typer.Option("--any-model", help="Also serve OpenRouter's other models.")] = False,
    on_this_machine: backend.LocalOption = False,
    gguf: backend.GGUFOption = None,
    context_length: backend.ContextLengthOption = backend.CONTEXT_LENGTH,
    embeddings: backend.EmbeddingsOption = False,
) -> None:
    """Serve OpenAI's and Anthropic's APIs on this machine.

    Serves Liquid's models until Ctrl-C or SIGTERM. Prints the base URL, the key, and the settings for common clients.
    Without a key for OpenRouter, a small model on this machine answers.
    """
    from lfm_adapter.apps.gateway.call import Gateway
    from lfm_adapter.apps.gateway.errors import GatewayError
    from lfm_adapter.apps.gateway.limits import parse_limits
    from lfm_adapter.apps.gateway.page import Sessions
    from lfm_adapter.apps.gateway.prices import Prices
    from lfm_adapter.apps.gateway.server import listen, serve

    access = _access(key, host, is_open=is_open, origins=allow_origin or ())
    is_requested = backend.is_local_requested(local=on_this_machine, gguf=gguf, model=model)
    ledger = ledger_from_env(default=True)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        for kind in (signal.SIGINT, signal.SIGTERM):  # a script ignores SIGINT for `lfm gateway &`
            signal.signal(kind, signal.default_int_handler)
        listener = stack.enter_context(listen(host, port))
        if is_requested or not backend.has_openrouter():
            settings, models = _on_this_machine(
                gguf, context_length, embeddings=embeddings, is_requested=is_requested, stack=stack
            )
            options: dict[str, Any] = {"wait_s": LOCAL_WAIT_S}
        else:
            settings, models = _at_openrouter(model, any_model=any_model)
            options = {"prices": Prices(settings) if any_model else None}
        try:
            name = models.default_name(settings)
            limits = parse_limits(
                budget_usd or [DAILY_BUDGET_USD],
                rpm or [],
                model_id=models.model_id,
                ledger=ledger or Ledger(),
                allow_unknown_price=allow_unknown_price,
            )
        except GatewayError as error:  # of a model that is not served
            raise ConfigurationError(error.message) from error
        shared = Gateway(
            settings=settings, models=models, access=access, default_model=name, ledger=ledger, limits=limits, **options
        )
        sessions = Sessions()

        def introduce() -> None:
            _introduce(_base_url(host, listener.getsockname()[1]), access, models.names(), name, sessions.token)
            if host in ANY_ADDRESS:
                note("Other machines can connect: anyone who has the key can spend your credit.", style="yellow")
            note("Ctrl-C stops it.")

        serve(shared, sessions, listener, introduce)
    note("Stopped.")


def _base_url(host: str, port: int) -> str:
    address = "127.0.0.1" if host in ANY_ADDRESS else f"[{host}]" if ":" in host else host
    return f"http://{address}:{port}/v1"


def _access(key: str | None, host: str, *, is_open: bool, origins: list[str] | tuple[()]) -> Access:
    from lfm_adapter.apps.gateway.access import Access, is_on_this_machine
    from lfm_adapter.apps.gateway.key import checked_key, gateway_key, key_file

    if is_open and not is_on_this_machine(f"[{host}]" if ":" in host else host):
        raise ConfigurationError(
            f"`--open` needs no key, so `--host` must be this machine, such as 127.0.0.1; got {host!r}."
        )
    if key is None:
        value, place = gateway_key(lambda text: note(text, style="yellow")), f"it is stored in {key_file()}"
    else:
        value = checked_key(key, "`--key` (or LFM_GATEWAY_KEY)")
        place = "it was set by `--key` or LFM_GATEWAY_KEY"
    return Access(
        value, f"`lfm gateway` prints it when it starts, and {place}", is_open, frozenset(map(str.lower, origins))
    )


def _at_openrouter(model: str | None, *, any_model: bool) -> tuple[Settings, Models]:
    from lfm_adapter._client.settings import DEFAULT_MODEL, Settings
    from lfm_adapter.apps.gateway.models import CatalogModels

    # The default is named, since other servers may have another default.
    name = model or os.environ.get("LFM_MODEL") or DEFAULT_MODEL
    settings = Settings.from_env(model=name, max_retries=0, keeps_empty_fields=True)
    return settings, CatalogModels(is_openrouter=settings.is_openrouter, any_model=any_model)


def _on_this_machine(
    gguf: Path | None, context_length: int, *, embeddings: bool, is_requested: bool, stack: ExitStack
) -> tuple[Settings, Models]:
    """Start a model on this machine."""
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.apps.gateway.models import LocalModel

    server = backend.serve_here(
        gguf, is_requested=is_requested, stack=stack, context_length=context_length, embeddings=embeddings
    )
    settings = Settings.from_env(
        model=server.model,
        base_url=server.base_url,
        max_retries=0,
        timeout=LOCAL_WAIT_S,
        stream_chunk_timeout=LOCAL_WAIT_S,
        # llama.cpp leaves tools out of the prompt if the chat template has no place for them, as the demo model's. It
        # is too small to call any: it took 1 s without 35 tools, and 45 s to read them (2 CPUs, 2026-11-26).
        tool_calling="native" if gguf is None else "prompted",
        keeps_empty_fields=True,
    )
    max_tokens = backend.DEMO_MAX_TOKENS if gguf is None else None
    return settings, LocalModel(server.model, context_length, max_tokens)


def _introduce(base_url: str, access: Access, models: list[str], model: str, token: str | None) -> None:
    from lfm_adapter.apps.gateway.client_setups import client_setups

    key = access.key
    typer.echo(f"Base URL  {base_url}")
    typer.echo(f"Key       {key}")
    typer.echo(f"Models    {', '.join(models)}")
    if find_spec("jinja2") and find_spec("leather"):
        typer.echo(f"Dashboard {base_url.removesuffix('v1')}?token={token} (usage and cost; this link works once)")
    # LiteLLM, and so aider, reads OPENAI_API_BASE.
    typer.echo(f"Shell     export OPENAI_BASE_URL={base_url} OPENAI_API_BASE={base_url} OPENAI_API_KEY={key}")
    typer.echo("\nIn that shell, or in the settings of the program:")
    setups = client_setups(base_url, model)
    width = max(map(len, setups))
    for client, line in setups.items():
        typer.echo(f"  {client:<{width}}  {line}")
    if access.is_open:
        note("The gateway is open: programs on this machine need no key.", style="yellow")
