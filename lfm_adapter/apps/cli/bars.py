"""Shows the answers of a decision model: bars of probabilities on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from lfm_adapter.apps.cli.console import answer, safe
from lfm_adapter.apps.cli.screen import charged
from lfm_adapter.catalog._usage import chat_usage
from lfm_adapter.types import BoxAnswer, ChoiceAnswer, NoulAnswer, ScoreAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from lfm_adapter.types import Answer, DecisionReply

BAR_WIDTH = 30
MIN_BAR_WIDTH = 10
LABEL_WIDTH = 40
NUMBER_WIDTH = len(" 100% ")
MAX_BARS = 20  # of the most probable labels, on a terminal

Row = tuple[str, float | None]  # None: a chat model chose the label without a probability


def show_answers(answers: Mapping[str, Answer]) -> None:
    """Print answers, by the names of the questions, to stdout.

    In a pipe or a file, each line has a label and its probability, after the name of the question if there are several.
    The first line of a question is its answer.
    """
    if sys.stdout.isatty():
        _show_bars(answers)
        return
    for name, one in answers.items():
        prefix = [name] if len(answers) > 1 else []
        for label, value in _lines(one):
            cells = [*prefix, label, *([] if value is None else [f"{value:.4f}"])]
            answer("\t".join(" ".join(cell.split()) for cell in cells) + "\n")


def decision_summary(reply: DecisionReply, elapsed_s: float, *, is_free: bool) -> str:
    """Return one line about a reply: tokens, time, cost, model and provider.

    Args:
        reply: The reply.
        elapsed_s: Seconds that it took.
        is_free: Whether it cost nothing.
    """
    tokens = chat_usage(reply.usage or {}).get("prompt_tokens")
    facts = [f"{tokens:,} tokens" if isinstance(tokens, int) else None, f"{elapsed_s:.1f} s"]
    facts += [charged(reply.cost, is_free=is_free), reply.model, reply.provider]
    if reply.calibrated is False:
        facts.append("a chat model, whose probabilities say little about how often it is right")
    return " · ".join(fact for fact in facts if fact)


def _lines(one: Answer) -> list[Row]:
    """Return the lines of an answer, the chosen label first."""
    match one:
        case ScoreAnswer(score=score):
            return [("score", score), *_rows(one)]
        case BoxAnswer(box=box):
            return [*asdict(box).items()]
        case ChoiceAnswer(choice=choice):
            return sorted(_rows(one), key=lambda row: (row[0] != choice, -(row[1] or 0)))
        case NoulAnswer():
            return sorted(_rows(one), key=lambda row: -(row[1] or 0))
    return [(json.dumps({"type": one.type, **one.extra}, ensure_ascii=False), None)]


def _rows(one: NoulAnswer | ChoiceAnswer | ScoreAnswer) -> list[Row]:
    """Return the labels of an answer, and their probabilities."""
    match one:
        case NoulAnswer(noul=float() as yes):
            return [("yes", yes), ("no", 1 - yes)]
        case NoulAnswer():
            return [("yes" if one.yes else "no", None)]
        case ChoiceAnswer():
            return [*one.probabilities.items()] or [(one.choice, None)]
    levels = [(one.legend.get(level, level), p) for level, p in one.probabilities.items()]
    return [(name if isinstance(name, str) else json.dumps(name, ensure_ascii=False), p) for name, p in levels]


def _show_bars(answers: Mapping[str, Answer]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, width=get_terminal_size().columns)
    for number, (name, one) in enumerate(answers.items()):
        if len(answers) > 1:
            console.print("\n" * bool(number) + safe(name), style="bold")
        match one:
            case NoulAnswer():
                _show_rows(console, _rows(one))
            case ChoiceAnswer(confidence=confidence):
                _show_rows(console, _lines(one))
                _show_facts(console, confidence)
            case ScoreAnswer(score=score, legend=legend, confidence=confidence):
                _show_rows(console, _rows(one))
                _show_facts(console, confidence, f"score {score:.2f} from 0 to {len(legend) - 1}")
            case _:
                for label, value in _lines(one):
                    console.print(safe(label) if value is None else f"{label:8}{value:.0%}")


def _show_rows(console: Console, rows: list[Row]) -> None:
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    highest = max((p or 0 for _, p in rows), default=0)
    label_width = min(LABEL_WIDTH, max(1, console.width - NUMBER_WIDTH - MIN_BAR_WIDTH))
    bar_width = min(BAR_WIDTH, max(1, console.width - NUMBER_WIDTH - label_width))
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=label_width, no_wrap=True, overflow="ellipsis")
    table.add_column(width=bar_width)
    table.add_column(min_width=len("100%"), no_wrap=True)
    for label, p in rows[:MAX_BARS]:
        style, color = ("bold", "green") if (p or 0) == highest else ("none", "default")
        if p is None:
            table.add_row(Text(safe(label), style))
        else:
            table.add_row(Text(safe(label), style), Bar(1, 0, p, color=color), Text(f"{p:4.0%}", style))
    console.print(table)
    if len(rows) > MAX_BARS:
        console.print(f"and {len(rows) - MAX_BARS} less probable ones", style="dim")


def _show_facts(console: Console, confidence: float | None, *facts: str) -> None:
    shown = [*facts, *([] if confidence is None else [f"confidence {confidence:.2f}"])]
    console.print(" · ".join(shown), style="dim")
