"""`lfm log`: list, show, search and delete the conversations that are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lfm_adapter.apps.cli.config import keeps_conversations
from lfm_adapter.apps.cli.console import UsageError, note, safe

if TYPE_CHECKING:
    from lfm_adapter.apps.cli.store import ConversationStore

log = typer.Typer()

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="Number of conversations to list.")]


@log.callback(invoke_without_command=True)
def list_conversations(context: typer.Context, *, limit: LimitOption = 20) -> None:
    """List, show, search and delete kept conversations.

    Without a command, lists the conversations that `lfm chat` keeps, the newest first.
    """
    if context.invoked_subcommand is None:
        _print_list("", limit)


@log.command("show")
def show_conversation(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the conversation in the list.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as JSON.")] = False,
) -> None:
    """Show a conversation."""
    kept = _store().get(number)
    if as_json:
        typer.echo(json.dumps(kept.messages, indent=2, ensure_ascii=False))
        return
    typer.echo("\n\n".join(f"## {message['role']}\n\n{safe(str(message['content']))}" for message in kept.messages))


@log.command("search")
def search_conversations(
    text: Annotated[list[str], typer.Argument(metavar="TEXT", help="Text to find; case does not matter.")],
    *,
    limit: LimitOption = 20,
) -> None:
    """List the conversations that contain a text."""
    _print_list(" ".join(text), limit)


@log.command("delete")
def delete_conversations(
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="Numbers of the conversations in the list.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Delete all conversations.")] = False,
) -> None:
    """Delete conversations."""
    if everything == bool(numbers):
        raise UsageError("Name the conversations to delete, or pass `--all`.")
    note(f"Deleted {_store().delete(None if everything else numbers)}.")


def _store() -> ConversationStore:
    from lfm_adapter.apps.cli.store import ConversationStore  # on use: it loads SQLite

    return ConversationStore()


def _print_list(text: str, limit: int) -> None:
    found = _store().find(text, limit)
    for kept in found:
        when = datetime.fromtimestamp(kept.updated, tz=UTC).astimezone()
        typer.echo(
            f"{kept.id:4}  {when:%Y-%m-%d %H:%M}  {kept.model.removeprefix('liquid/'):18}  {safe(kept.title)}"[:80]
        )
    if not found:
        hint = "" if keeps_conversations() else " `lfm config keep-conversations on` keeps them from now on."
        note(f"No conversations{' with that text' if text else ''}.{hint}")
