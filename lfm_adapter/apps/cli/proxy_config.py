"""`lfm proxy-config`: write a configuration for LiteLLM's Proxy."""

from __future__ import annotations

import os
import secrets
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from lfm_adapter.apps.cli.console import UsageError, note, usd
from lfm_adapter.errors import ConfigurationError

STDOUT = Path("-")

START = "LITELLM_LOCAL_MODEL_COST_MAP=True litellm --config {file} --host 127.0.0.1 --port 4000"


def proxy_config(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File to write; - for stdout, without the key.")
    ] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file and its key.")] = False,
    rpm: Annotated[
        int, typer.Option(min=1, metavar="N", help="Requests per minute per model; at most 20 for free models.")
    ] = 60,
    budget_usd: Annotated[
        Decimal, typer.Option(parser=usd, metavar="AMOUNT", help="Daily budget per paid model, in US$.")
    ] = Decimal(1),
    redis: Annotated[
        bool,
        typer.Option("--redis", help="Share limits, budgets, cooldowns and a cache with other Proxies through Redis."),
    ] = False,
    redis_host: Annotated[str | None, typer.Option(metavar="HOST", help="Host of Redis. Default: 127.0.0.1.")] = None,
    redis_port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Port of Redis. Default: 6379.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also accept the personal keys in this file, with their own limits."),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Add a personal key to the file of --keys, and write nothing else."),
    ] = None,
) -> None:
    """Write a configuration for LiteLLM's Proxy.

    With it, the Proxy serves Liquid's models over OpenAI's and Anthropic's APIs, without a database. The file has
    limits, budgets, fallbacks, metrics and a new key. Set OPENROUTER_APP_URL and OPENROUTER_APP_TITLE to credit your
    app.
    """
    from lfm_adapter.apps.proxy.config import MASTER_KEY_VARIABLE, yaml_config

    if new_key is not None and keys is None:
        raise UsageError("`--new-key` needs `--keys FILE`, the file to add the key to.")
    if keys is not None:
        from lfm_adapter.apps.proxy.keys import add_key, read_people

        if new_key is not None:
            typer.echo(add_key(keys, new_key))
            note(f"Added {new_key} to {keys}. The key is shown only here: the file has its hash. Limits go there.")
            return
        read_people(keys)
    to_stdout = output == STDOUT
    text = yaml_config(
        # Only a file that its owner alone can read gets the key.
        master_key=MASTER_KEY_VARIABLE if to_stdout else f"sk-{secrets.token_urlsafe(32)}",
        rpm=rpm,
        daily_budget_usd=budget_usd,
        keys=keys,
        redis=(redis_host or "127.0.0.1", redis_port or 6379) if redis or redis_host or redis_port else None,
    )
    if to_stdout:
        typer.echo(text, nl=False)
        note('This has no key. Before you start the Proxy: export LITELLM_MASTER_KEY="sk-$(openssl rand -hex 32)"')
        return
    _write(output, text, replace=force)
    note(f"Wrote {output}. Only you can read it, because it contains the Proxy's `master_key`.")
    typer.echo(f"Start     {START.format(file=output)}")
    typer.echo("Base URL  http://127.0.0.1:4000/v1")


def _write(file: Path, text: str, *, replace: bool) -> None:
    """Write a file that only its owner can read."""
    if file.exists() and not replace:
        raise ConfigurationError(f"{file} exists. Choose another file with `--output`, or overwrite it with `--force`.")
    try:
        if replace:
            file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {file}: {error.strerror}.") from error
