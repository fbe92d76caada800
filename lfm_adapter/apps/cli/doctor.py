"""`lfm doctor`: diagnose the installation, the key and the model."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lfm_adapter.apps.cli import backend  # noqa: TC001 - typer evaluates the annotations
from lfm_adapter.apps.cli.console import with_option_names, wrapped

INDENT = 6
COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


def doctor(
    *,
    model: backend.ModelOption = None,
    base_url: backend.BaseURLOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask OpenRouter whether it serves the model today.")] = False,
) -> None:
    """Check installation, key and model.

    Also checks connection and attribution. Prints a line for each check, and exits with status 1 if one fails. Never
    prints the key. The checks cost nothing.
    """
    from lfm_adapter.apps.cli.checks import check_connection, check_installation

    has_failed = False
    for result in (*check_installation(), *check_connection(model=model, base_url=base_url, live=live)):
        has_failed |= result.level == "fail"
        line = wrapped(f"{result.level:{INDENT}}{with_option_names(result.text)}", sys.stdout, indent=INDENT)
        typer.secho(line[:INDENT], fg=COLORS[result.level], nl=False)
        typer.echo(line[INDENT:])
    if has_failed:
        raise typer.Exit(1)
