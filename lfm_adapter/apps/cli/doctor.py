"""`lfm doctor`: what stands between you and an answer."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["doctor"]

COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


def doctor(
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that has to be there. Default: LFM_MODEL.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Another server with OpenAI's API.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask OpenRouter about the model too.")] = False,
) -> None:
    """Check versions, connection, key, attribution and model, a line for each.

    Ends with 1 if a line says `fail`. It shows no key, and asks nothing that costs anything.
    """
    from lfm_adapter.apps.cli.findings import connection, installation

    failed = False
    for finding in (*installation(), *connection(model=model, base_url=base_url, live=live)):
        failed |= finding.level == "fail"
        typer.secho(f"{finding.level:6}", fg=COLORS[finding.level], nl=False)
        typer.echo(finding.text)
    if failed:
        raise typer.Exit(1)
