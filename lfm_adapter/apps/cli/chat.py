"""`lfm chat`: one question, or a conversation."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.config import keeps_conversations
from lfm_adapter.apps.cli.console import UsageError
from lfm_adapter.apps.cli.question import question_of, read_schema
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import ledger_from_env

if TYPE_CHECKING:
    from lfm_adapter.apps.cli.store import ConversationStore
    from lfm_adapter.types import Reply


def chat(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION",
            help="Question to ask; - reads stdin. Default: stdin, or a conversation in a terminal.",
        ),
    ] = None,
    *,
    model: backend.ModelOption = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="TEXT", help="System message, such as how to answer.")
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Continue the last conversation that was kept.")
    ] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Text file to send with the question. May be repeated."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            "-t",
            metavar="TEXT|FILE",
            help="Text that contains {input} where the question goes, or a file with it.",
        ),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Schema file; the answer is JSON that matches it.")
    ] = None,
    base_url: backend.BaseURLOption = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Maximum tokens of the answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, metavar="X", help="Randomness, from 0 (most likely answer) to 2.")
    ] = None,
    on_this_machine: backend.LocalOption = False,
    gguf: backend.GGUFOption = None,
    context_length: backend.ContextLengthOption = backend.CONTEXT_LENGTH,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with the answer, its usage and its cost.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Print plain text instead of rendering Markdown.")] = False,
    reasoning: Annotated[bool, typer.Option(help="Show reasoning on stderr.")] = True,
    drop_oldest: Annotated[
        bool, typer.Option("--drop-oldest", help="Drop the oldest turns when a conversation gets too long.")
    ] = False,
) -> None:
    """Ask a model, or start a conversation.

        lfm chat What is water

        cat notes.txt | lfm chat Summarise > summary.txt

    Asks OpenRouter if a key is set (`lfm keys set`), otherwise a small model on this machine. Piped text follows the
    question. Only the answer goes to stdout.
    """
    is_requested = backend.is_local_requested(local=on_this_machine, gguf=gguf, base_url=base_url, model=model)
    asked = question_of(question or [], file or [], template)
    if asked is None and (as_json or schema):
        raise UsageError("`--json` and `--schema` need a question.")
    is_local = is_requested or not (base_url or model or backend.has_openrouter())
    if not (is_local or base_url or backend.has_openrouter()):
        raise ConfigurationError(backend.NO_KEY)
    parameters = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "response_format": None if schema is None else read_schema(schema),
    }

    from lfm_adapter._client.metering import Meter
    from lfm_adapter._client.settings import Settings
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.apps.cli.conversation import Conversation

    with ExitStack() as stack:
        if is_local:
            server = backend.serve_here(
                gguf, is_requested=is_requested, stack=stack, parallel=1, context_length=context_length
            )
            model, base_url = server.model, server.base_url
            parameters["max_tokens"] = max_tokens or (None if gguf else backend.DEMO_MAX_TOKENS)
        meter = Meter(ledger_from_env(default=True), app="lfm chat", source="chat", is_free=is_local)
        client = LFMClient.from_settings(Settings.from_env(model=model, base_url=base_url, meter=meter))
        store = _store(is_needed=go_on)
        kept = store.find(limit=1) if store is not None and go_on else []
        if go_on and not kept:
            raise ConfigurationError("There is no conversation to continue, because none has been kept.")
        conversation = Conversation(
            client,
            system,
            parameters,
            is_free=is_local,
            is_plain=plain or schema is not None or not sys.stdout.isatty(),
            shows_reasoning=reasoning,
            store=store,
            kept=kept[0] if kept else None,
        )
        if asked is None:
            from lfm_adapter.apps.cli.prompt import Prompt

            Prompt(conversation, drops_oldest=drop_oldest).run()
        elif as_json:
            _print_json(conversation.ask_quietly(asked), is_free=is_local)
        else:
            conversation.ask(asked)


def _store(*, is_needed: bool) -> ConversationStore | None:
    """Return where conversations are kept; None if they are not."""
    if ledger_from_env(default=True) is None or not keeps_conversations():
        if is_needed:
            raise ConfigurationError(
                "Conversations are not kept. To keep them, run `lfm config keep-conversations on`, and unset "
                "LFM_LEDGER if it is 0."
            )
        return None
    from lfm_adapter.apps.cli.store import ConversationStore

    return ConversationStore()


def _print_json(reply: Reply, *, is_free: bool) -> None:
    facts = {
        "text": reply.text,
        "reasoning": reply.reasoning or None,
        "model": reply.model,
        "provider": reply.provider,
        "id": reply.id,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        "cost": 0.0 if is_free else None if reply.cost is None else float(reply.cost.total),
    }
    typer.echo(json.dumps(facts, ensure_ascii=False))
