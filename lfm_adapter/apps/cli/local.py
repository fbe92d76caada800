"""`lfm local`: serve a model on this machine to other programs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path  # noqa: TC003 - typer evaluates the annotation
from typing import Annotated

import typer

from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import note
from lfm_adapter.apps.cli.question import read_text

FIRST_PORT = 8080  # llama-server's own
PORTS_TRIED = 50


def local(
    gguf: Annotated[
        Path | None,
        typer.Argument(metavar="GGUF", help="GGUF file of the model. Default: a demo model, which is not an LFM."),
    ] = None,
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on. Default: 8080 or the next free port."),
    ] = None,
    context_length: backend.ContextLengthOption = backend.CONTEXT_LENGTH,
    parallel: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of requests to answer at the same time.")
    ] = 2,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads for generation. Default: half of the CPUs.")
    ] = None,
    chat_template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Jinja file that replaces the model's chat template.")
    ] = None,
    embeddings: backend.EmbeddingsOption = False,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="Serve a decision model at /v1/systemone; without a file, a demo of one."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Write llama.cpp's log to stderr.")] = False,
) -> None:
    """Serve a model on this machine.

        lfm local LFM2-1.2B-Q4_K_M.gguf

    Serves an OpenAI-compatible API until Ctrl-C, and prints the base URL for clients.
    """
    from lfm_adapter.apps.local import serve
    from lfm_adapter.apps.local.gguf import find_decision_type

    server = serve(
        gguf,
        context_length=context_length,
        parallel=parallel,
        threads=threads,
        port=_free_port() if port is None else port,
        chat_template=None if chat_template is None else read_text(chat_template),
        embeddings=embeddings,
        decisions=decisions,
        verbose=verbose,
    )
    with server as base_url:
        typer.echo(f"Base URL  {base_url}")
        typer.echo(f"Model     {server.model}")
        if decisions or (gguf is not None and find_decision_type(gguf)):
            typer.echo(f'Python    LFMClient(base_url="{base_url}").decide("...", {{"urgent": "Is this urgent?"}})')
            typer.echo(f'Shell     lfm decide --base-url {base_url} "Is this urgent?" < mail.txt')
        else:
            typer.echo(f'Python    ChatLFM(base_url="{base_url}", model="{server.model}")')
            typer.echo(f'Shell     lfm chat --base-url {base_url} --model {server.model} "..."')
        note("Ctrl-C stops it.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            note("Stopped.")


def _free_port() -> int:
    """Return the first free port, so that the address stays the same from day to day; 0 if there is none."""
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return 0
