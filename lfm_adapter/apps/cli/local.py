"""`lfm local`: a model on this machine, for other programs."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - typer evaluates the annotation
from typing import Annotated

import typer

from lfm_adapter.apps.cli.screen import note

__all__ = ["local"]


def local(
    gguf: Annotated[
        Path | None, typer.Argument(help="The model's file. Default: the demo model, which is no LFM.")
    ] = None,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 for a free port.")] = 0,
    context_length: Annotated[int, typer.Option(min=1, help="Tokens of prompt and answer for each request.")] = 8192,
    parallel: Annotated[int, typer.Option(min=1, help="Requests answered at the same time.")] = 2,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads that write. Default: half of the CPUs.")] = None,
    chat_template: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A Jinja file in place of the model's template.")
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Show llama.cpp's log on stderr.")] = False,
) -> None:
    """Serve a model on this machine over OpenAI's API until Ctrl-C."""
    from lfm_adapter.apps.local import serve

    server = serve(
        gguf,
        context_length=context_length,
        parallel=parallel,
        threads=threads,
        port=port,
        chat_template=None if chat_template is None else chat_template.read_text(encoding="utf-8"),
        verbose=verbose,
    )
    with server as base_url:
        typer.echo(f"Base URL  {base_url}")
        typer.echo(f"Model     {server.model}")
        typer.echo(f'Python    ChatLFM(base_url="{base_url}", model="{server.model}")')
        typer.echo(f'Shell     lfm chat --base-url {base_url} --model {server.model} "..."')
        note("Ctrl-C stops it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            note("Stopped.")
