"""`lfm proxy-config`: a gateway of one's own."""

from __future__ import annotations

import os
import secrets
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from lfm_adapter.apps.cli.screen import note
from lfm_adapter.errors import ConfigurationError

__all__ = ["proxy_config"]

STDOUT = Path("-")

START = "LITELLM_LOCAL_MODEL_COST_MAP=True litellm --config {file} --host 127.0.0.1 --port 4000"


def proxy_config(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; - for stdout, without a key.")
    ] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file, and its key.")] = False,
    rpm: Annotated[int, typer.Option(min=1, help="Requests a minute to each model; at most 20 to free ones.")] = 60,
    budget_usd: Annotated[str, typer.Option(help="US$ that each model that is not free may cost a day.")] = "1",
    redis: Annotated[
        bool, typer.Option("--redis", help="Share limits, budgets, cooldowns and a cache with other Proxies.")
    ] = False,
    redis_host: Annotated[str | None, typer.Option(help="Where Redis is, if not on 127.0.0.1.")] = None,
    redis_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its port, if not 6379.")] = None,
) -> None:
    """Write a config.yaml for LiteLLM's Proxy: Liquid's models behind OpenAI's and Anthropic's APIs.

    It starts as it is, with limits, budgets, fallbacks and metrics, and a key of its own. No database is needed.
    Credits the app of OPENROUTER_APP_URL and OPENROUTER_APP_TITLE, if these are set.
    """
    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.apps import proxy_config as proxy

    to_stdout = output == STDOUT
    options = proxy.ProxyOptions(
        # A secret stands in a file that only its owner reads, and in nothing that is shown.
        master_key=proxy.MASTER_KEY_VARIABLE if to_stdout else f"sk-{secrets.token_urlsafe(32)}",
        rpm=rpm,
        daily_budget_usd=_amount(budget_usd),
        attribution=Attribution.from_env(),
        redis=proxy.RedisAddress(redis_host or "127.0.0.1", redis_port or 6379)
        if redis or redis_host or redis_port
        else None,
    )
    text = proxy.proxy_config(options)
    if to_stdout:
        typer.echo(text, nl=False)
        note('The key is not in it. Before the start: export LITELLM_MASTER_KEY="sk-$(openssl rand -hex 32)"')
        return
    _write(output, text, replace=force)
    note(f"Wrote {output}. Only you may read it: it holds the key of your gateway, as `master_key`.")
    typer.echo(f"Start     {START.format(file=output)}")
    typer.echo("Base URL  http://127.0.0.1:4000/v1")


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"`--budget-usd` is a number, not {text!r}.") from None


def _write(file: Path, text: str, *, replace: bool) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    if file.exists() and not replace:
        raise ConfigurationError(f"{file} exists. Name another with `--output`, or replace it with `--force`.")
    try:
        if replace:
            file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from error
