"""`lfm mcp`: tools for coding assistants and chat apps."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path  # noqa: TC003 - typer evaluates the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.cli.answerer import DEMO_MAX_TOKENS, check_choice, has_openrouter, serve_here
from lfm_adapter.apps.cli.screen import note
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from lfm_adapter.apps.mcp.session import Session

__all__ = ["mcp"]

LOCAL_CONTEXT_TOKENS = 8192
"""So much of a text is read at once. Each of the two requests at a time takes it as memory."""

# A CPU may read for minutes before it writes. Who does not want to wait for that cancels the call.
LOCAL_TIMEOUT_S = 3600.0


def mcp(
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="What to ask: see `lfm models`. Default: LFM_MODEL.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Another server with OpenAI's API. Needs --model, unless on this machine.")
    ] = None,
    on_this_machine: Annotated[bool, typer.Option("--local", help="Ask the demo model on this machine.")] = False,
    gguf: Annotated[Path | None, typer.Option(help="Ask a GGUF file of yours on this machine.")] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, file_okay=False, help="A folder whose files may be read, beside the client's own roots."
        ),
    ] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="US$ that all calls together may cost. Default: no limit.")
    ] = None,
    allow_unknown_price: Annotated[
        bool, typer.Option("--allow-unknown-price", help="Under a limit, ask also what has no known price.")
    ] = False,
    http: Annotated[bool, typer.Option("--http", help="Serve over streamable HTTP, on this machine only.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --http: where to listen; 0 for a free port.")
    ] = 8808,
) -> None:
    """Serve tools to coding assistants and chat apps over the Model Context Protocol, on stdin and stdout.

    An assistant starts it by itself, once it is configured to. Asks OpenRouter where OPENROUTER_API_KEY is set, else a
    model on this machine. With --http, clients need a token: that of LFM_MCP_TOKEN, or one that is made and shown.
    """
    on_this_machine = on_this_machine or gguf is not None
    check_choice(on_this_machine=on_this_machine, base_url=base_url, model=model)
    _forget_placeholder()
    limit_usd = None if max_cost_usd is None else _amount(max_cost_usd)
    try:
        from lfm_adapter.apps.mcp.budget import Budget
        from lfm_adapter.apps.mcp.server import create_server
    except ImportError as error:
        raise ConfigurationError(f"The MCP SDK does not load ({error}). {how_to_install('mcp')}") from error
    with ExitStack() as stack:
        if on_this_machine or not (base_url or model or has_openrouter()):
            session = _local_session(gguf, asked_for=on_this_machine, stack=stack)
        else:
            session = _session({"model": model, "base_url": base_url})
        session.budget = Budget(limit_usd, allow_unknown_price)
        session.folders = tuple(root or ())
        server = create_server(session)
        if http:
            _serve_http(server, port)
            return
        if sys.stdin.isatty():
            note("Waiting for a client on stdin. Assistants start this by themselves; Ctrl-D ends it.")
        # Ctrl-C would wait for the thread that waits for stdin.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        server.run("stdio")


def _forget_placeholder() -> None:
    """Take for unset what a client was to replace by the key, and could not: it passes `${…}` on as it stands."""
    if os.environ.get("OPENROUTER_API_KEY", "").startswith("${"):
        note("OPENROUTER_API_KEY is not set in the environment of the program that started this.")
        del os.environ["OPENROUTER_API_KEY"]


def _serve_http(server: MCPServer, port: int) -> None:
    from lfm_adapter.apps.mcp.http import serve_http

    chosen = os.environ.get("LFM_MCP_TOKEN")
    token = chosen or secrets.token_urlsafe(32)

    def tell(url: str) -> None:
        typer.echo(f"URL     {url}")
        typer.echo(f"Header  Authorization: Bearer {'$LFM_MCP_TOKEN' if chosen else token}")
        note("Ctrl-C stops it.")

    serve_http(server, token, port, tell)


def _local_session(gguf: Path | None, *, asked_for: bool, stack: ExitStack) -> Session:
    server = serve_here(gguf, asked_for=asked_for, stack=stack, context_length=LOCAL_CONTEXT_TOKENS)
    patient: dict[str, Any] = {"timeout": LOCAL_TIMEOUT_S, "stream_chunk_timeout": None}
    session = _session({"model": server.model, "base_url": server.base_url, **patient})
    session.free = True
    session.context_length = LOCAL_CONTEXT_TOKENS
    if gguf is None:
        session.max_tokens = DEMO_MAX_TOKENS
        session.notice = "It is very small, often wrong, and no LFM: check what it says."
    return session


def _session(options: dict[str, Any]) -> Session:
    from lfm_adapter import AsyncLFMClient
    from lfm_adapter.apps.mcp.session import Session

    # The default model is retired, and who has not chosen it wants an answer.
    chosen = options["model"] or os.environ.get("LFM_MODEL")
    return Session(AsyncLFMClient(**options, when_retired="raise" if chosen else "successor"))


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise typer.BadParameter(f"`--max-cost-usd` is an amount from 0, not {text!r}.")
    return amount
