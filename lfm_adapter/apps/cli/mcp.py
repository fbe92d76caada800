"""`lfm mcp`: tools for coding assistants and chat apps."""

from __future__ import annotations

import os
import re
import secrets
import sys
from contextlib import ExitStack
from decimal import Decimal  # noqa: TC003 - typer evaluates the annotation
from pathlib import Path  # noqa: TC003 - typer evaluates the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lfm_adapter._extras import how_to_install
from lfm_adapter._openrouter.address import OPENROUTER_URL
from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import note, usd, with_option_names
from lfm_adapter.apps.cli.keys import use_stored_key
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, ledger_from_env

if TYPE_CHECKING:
    from lfm_adapter.apps.mcp.session import Session


# A CPU may take minutes to read a prompt. Users can cancel a call.
LOCAL_TIMEOUT_S = 3600.0

_VARIABLES = ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_API_BASE", "LFM_MODEL", "LFM_MCP_TOKEN")

# Notations in assistants' configurations and examples: ${X}, {env:X}, $X, $(X), %X%, <X>, "your-key-here", and a key of
# dots.
_PLACEHOLDER = re.compile(
    r"\$?\{.*\}|\$\w+|\$\(.*\)|%\w+%|<.*>|sk-or-(?:v1-)?(?:[.…]*|[xX*]{3,})|(?i:(?:sk-[\w-]*-)?your[-_ ].*)"
)

# Ignoring these options would ask another model than the user chose, or spend more than the user allows.
_NEEDED = {"--base-url", "--gguf", "--max-cost-usd"}


class PlaceholderCommand(TyperCommand):
    """Leaves out options whose value is a placeholder; `context.obj` has a message for each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`. Each argument of this command belongs to an option."""
        kept: list[str] = []
        ctx.obj = {}
        for word in args:
            option, _, value = word.partition("=")
            if kept and _PLACEHOLDER.fullmatch(word):
                option, value = kept.pop(), word
            elif not (option.startswith("--") and _PLACEHOLDER.fullmatch(value)):
                kept.append(word)
                continue
            ctx.obj[option] = (
                f"`{option} {value}` is ignored, because the program that started this has not replaced "
                f"`{value}`.{' Until it does, no model is asked.' * (option in _NEEDED)}"
            )
        return super().parse_args(ctx, kept)


def mcp(
    context: typer.Context,
    *,
    model: backend.ModelOption = None,
    base_url: backend.BaseURLOption = None,
    on_this_machine: backend.LocalOption = False,
    gguf: backend.GGUFOption = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Folder with files that may be read, besides the client's roots. May be repeated."
        ),
    ] = None,
    save_results: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for results that are too large for an assistant.")
    ] = None,
    max_cost_usd: Annotated[
        Decimal | None,
        typer.Option(parser=usd, metavar="AMOUNT", help="Spending limit for all calls, in US$. Default: no limit."),
    ] = None,
    allow_unknown_price: Annotated[
        bool, typer.Option("--allow-unknown-price", help="Allow models without a known price despite the limit.")
    ] = False,
    context_length: backend.ContextLengthOption = backend.CONTEXT_LENGTH,
    http: Annotated[bool, typer.Option("--http", help="Serve over streamable HTTP, on this machine only.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port for --http; 0 for any free port.")
    ] = 8808,
) -> None:
    """Serve tools to coding assistants, over MCP.

    Assistants start this command themselves and speak to it on stdin and stdout. It asks OpenRouter if a key is set,
    otherwise a small model on this machine. With --http, clients must send the token in LFM_MCP_TOKEN, or the one that
    is printed.
    """
    is_requested = backend.is_local_requested(local=on_this_machine, gguf=gguf, base_url=base_url, model=model)
    try:
        from lfm_adapter.apps.event_loop import run
        from lfm_adapter.apps.mcp.logs import log_short_lines
        from lfm_adapter.apps.mcp.server import create_server
        from lfm_adapter.apps.mcp.stdio import serve_stdio
    except ImportError as error:
        problem = f"The MCP SDK cannot be imported ({error}). Run `{how_to_install('mcp')}`."
        raise ConfigurationError(problem) from error
    log_short_lines(with_option_names)
    problems = [*_unset_placeholders(), *context.obj.values()]
    for option, folder in [("--root", path) for path in root or ()] + [("--save-results", save_results)]:
        if folder and not folder.is_dir():
            problems.append(f"`{option} {folder}` is ignored, because the folder does not exist.")
    with ExitStack() as stack:
        if not _NEEDED.isdisjoint(context.obj):
            session = _session_without_model()
        elif is_requested or not (base_url or model or backend.has_openrouter()):
            session = _local_session(gguf, context_length, is_requested=is_requested, stack=stack)
        else:
            session = _remote_session(model, base_url)
        session.ledger = ledger_from_env(default=True)
        if max_cost_usd is not None:
            session.budget = Budget(max_cost_usd, allow_unknown_price=allow_unknown_price)
        session.folders = tuple(root or ())
        session.results_folder = save_results.resolve() if save_results and save_results.is_dir() else None
        session.problems = [*problems, *session.problems]
        for problem in session.problems:
            note(problem)
        if http:
            _serve_http(session, port)
            return
        if sys.stdin.isatty():
            note("Waiting for a client on stdin. Assistants start this command themselves; Ctrl-D ends it.")
        server = create_server(session)
        run(lambda: serve_stdio(server))


def _unset_placeholders() -> list[str]:
    """Unset variables with a placeholder such as `${OPENROUTER_API_KEY}`, and return a message for each.

    Assistants pass a placeholder on as it is if they do not know the variable or the notation.
    """
    found = {name: value for name in _VARIABLES if _PLACEHOLDER.fullmatch(value := os.environ.get(name, ""))}
    for name in found:
        del os.environ[name]
    problems = []
    try:
        use_stored_key()
    except ConfigurationError as error:
        problems.append(error.message)
    return problems + [
        f"{name} is not set in the environment of the program that started this: it has the placeholder `{value}`."
        for name, value in found.items()
        if name not in os.environ
    ]


def _serve_http(session: Session, port: int) -> None:
    from lfm_adapter.apps.mcp.http import serve_http
    from lfm_adapter.apps.mcp.server import create_server

    given = os.environ.get("LFM_MCP_TOKEN")
    token = given or secrets.token_urlsafe(32)

    def introduce(url: str) -> None:
        typer.echo(f"URL     {url}")
        typer.echo(f"Header  Authorization: Bearer {'$LFM_MCP_TOKEN' if given else token}")
        note("Ctrl-C stops it.")

    serve_http(create_server(session), token, port, introduce)


def _remote_session(model: str | None, base_url: str | None) -> Session:
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter.apps.mcp.session import Session

    try:
        client = AsyncLFMClient(model, base_url=base_url)
    except ConfigurationError as error:
        return _session_without_model(error.message)
    needs_key = client._settings.is_openrouter and not client._settings.api_key
    return _session_without_model(backend.NO_KEY) if needs_key else Session(client)


def _session_without_model(*problems: str) -> Session:
    """Return a session that reports the problems to agents, which of an error here would see a closed connection."""
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter.apps.mcp.session import Session

    return Session(
        AsyncLFMClient(base_url=OPENROUTER_URL), problems=[*map(with_option_names, problems)], has_model=False
    )


def _local_session(gguf: Path | None, context_length: int, *, is_requested: bool, stack: ExitStack) -> Session:
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter.apps.mcp.session import Session

    try:
        server = backend.serve_here(gguf, is_requested=is_requested, stack=stack, context_length=context_length)
    except ConfigurationError as error:
        return _session_without_model(error.message)
    client = AsyncLFMClient(server.model, base_url=server.base_url, timeout=LOCAL_TIMEOUT_S, stream_chunk_timeout=None)
    session = Session(client, is_local=True, context_length=context_length)
    if gguf is None:
        session.max_tokens = backend.DEMO_MAX_TOKENS
        session.notice = "It is very small, often wrong, and not an LFM. Check its answers."
    return session
