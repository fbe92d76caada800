"""`lfm decide`: typed questions about a text, answered with probabilities."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lfm_adapter import catalog
from lfm_adapter.apps.cli import backend
from lfm_adapter.apps.cli.console import UsageError, note
from lfm_adapter.apps.cli.question import read_json_file, state_of
from lfm_adapter.errors import ConfigurationError, InvalidDecisionError
from lfm_adapter.ledger import ledger_from_env

if TYPE_CHECKING:
    from lfm_adapter.types import DecisionReply

QUESTION_ID = "question"
WHICH_LABEL = "Which of these fits best?"
MAX_LABELS, MAX_LEVELS = 255, 10


def decide(
    question: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", help="Question with yes or no as its answer.")
    ] = None,
    *,
    labels: Annotated[
        str | None, typer.Option("--labels", "-l", metavar="A,B,…", help="Labels to choose from, instead of yes or no.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Levels of a scale, the lowest first, instead of yes or no.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON file with several typed questions by their names.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Text file or image to decide about. May be repeated."),
    ] = None,
    model: Annotated[
        str | None,
        backend.model_option(
            "Model to ask; see `lfm models --kind decisions`. Default: liquid/d1.2.", kind="decisions"
        ),
    ] = None,
    base_url: backend.BaseURLOption = None,
    on_this_machine: Annotated[
        bool, typer.Option("--local", help="Ask a demo on this machine, whose judgement means nothing.")
    ] = False,
    gguf: backend.GGUFOption = None,
    context_length: backend.ContextLengthOption = backend.CONTEXT_LENGTH,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole reply as one JSON object.")] = False,
) -> None:
    """Ask a decision model: yes or no, a label, or a level.

        lfm decide "Is this urgent?" < mail.txt

        lfm decide "Who should answer?" --labels billing,shipping < mail.txt

    The text comes from stdin or `--file`. Prints the probability of each answer. A chat model answers, too, but its
    probabilities say little about how often it is right.
    """
    is_local = backend.is_local_requested(local=on_this_machine, gguf=gguf, base_url=base_url, model=model)
    asked = _questions(question or [], labels, scale, questions)
    state = state_of(question or [], file or [])
    if not (is_local or base_url or backend.has_openrouter()):
        raise ConfigurationError(backend.NO_KEY)

    from lfm_adapter._client.metering import Meter
    from lfm_adapter._client.settings import Settings
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.apps.cli.screen import spinner

    via = _via(model, gguf)
    with ExitStack() as stack:
        if is_local:
            options = {"parallel": 1, "context_length": context_length, "decisions": via == "decisions"}
            server = backend.serve_here(gguf, is_requested=True, stack=stack, **options)
            model, base_url = server.model, server.base_url
            if gguf is None:
                note("It is a demo of a decision model: its judgement means nothing.")
        meter = Meter(ledger_from_env(default=True), app="lfm decide", source="decide", is_free=is_local)
        client = LFMClient.from_settings(Settings.from_env(base_url=base_url, meter=meter))
        started_s = time.monotonic()
        try:
            with spinner("deciding"):
                reply = client.decide(state, asked, model=model, via=via)
        except InvalidDecisionError as error:  # the answers that arrived are paid for
            if error.reply is not None:
                _print(error.reply, time.monotonic() - started_s, is_free=is_local, as_json=as_json)
            raise
        _print(reply, time.monotonic() - started_s, is_free=is_local, as_json=as_json)


def _via(model: str | None, gguf: Path | None) -> Literal["decisions", "chat"]:
    """Return "chat" for a known chat model, and "decisions" for all others."""
    if gguf is not None:
        from lfm_adapter.apps.local.gguf import find_decision_type

        return "decisions" if find_decision_type(gguf) else "chat"
    card = catalog.get(model or "")
    return "chat" if card.kind == "chat" and card.status != "unknown" else "decisions"


def _questions(words: list[str], labels: str | None, scale: str | None, file: Path | None) -> dict[str, Any]:
    """Return the questions by their names."""
    text = " ".join(word for word in words if word != "-").strip()
    if file is not None:
        if text or labels or scale:
            raise UsageError("`--questions` has all questions; leave out QUESTION, `--labels` and `--scale`.")
        found = read_json_file(file)
        if not isinstance(found, dict) or not found:
            raise ConfigurationError(
                f'{file} must be a JSON object with questions by their names, such as {{"urgent": "Is it urgent?"}}.'
            )
        return found
    if labels and scale:
        raise UsageError("Choose one of `--labels` and `--scale`.")
    if labels:
        criteria = dict.fromkeys(_split(labels, "--labels", MAX_LABELS))
        return {QUESTION_ID: {"type": "choice", "instructions": text or WHICH_LABEL, "criteria": criteria}}
    if not text:
        raise UsageError('Ask something: `lfm decide "Is this urgent?" < mail.txt`.')
    if scale:
        levels = _split(scale, "--scale", MAX_LEVELS)
        return {QUESTION_ID: {"type": "score", "instructions": text, "criteria": levels}}
    return {QUESTION_ID: {"type": "noul", "instructions": text}}


def _split(text: str, option: str, most: int) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not 2 <= len(names) <= most:
        raise UsageError(f"`{option}` needs 2 to {most} names, separated by commas; got {len(names)}.")
    if len(set(names)) < len(names):
        raise UsageError(f"`{option}` has a name twice.")
    return names


def _print(reply: DecisionReply, elapsed_s: float, *, is_free: bool, as_json: bool) -> None:
    if as_json:
        cost = 0.0 if is_free else None if reply.cost is None else float(reply.cost.total)
        facts = {**reply.to_wire(), "calibrated": reply.calibrated, "cost": cost}
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    from lfm_adapter.apps.cli.bars import decision_summary, show_answers

    show_answers(reply.answers)
    note(decision_summary(reply, elapsed_s, is_free=is_free))
