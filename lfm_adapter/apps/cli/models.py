"""`lfm models`: list the catalogue."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lfm_adapter import catalog
from lfm_adapter.apps.cli.console import wrapped
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.types import ModelCard

_ORDER = ("live", "preview", "unknown", "retired")

_CAPABILITIES = {
    "tools": "tools",
    "tool_choice": "tool choice",
    "response_format": "JSON mode",
    "structured_outputs": "JSON schema",
    "logprobs": "logprobs",
    "reasoning": "reasoning",
}

INDENT = 16
_COLUMNS = ("Model", "Kind", "Status", "Context", "$/M in", "out", "Tools")
_NUMBERS = ("Context", "$/M in", "out")


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Model to show, by id or alias. Default: list all.")
    ] = None,
    *,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="List the models of one kind, such as chat.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Fetch current data from OpenRouter; needs no key.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models with their limits and prices, or show one."""
    if live:
        from lfm_adapter._client.sync_client import LFMClient

        cards = LFMClient().refresh_catalog()
    else:
        cards = catalog.models()
    if name is not None:
        card = _find(name, cards)
        if as_json:
            typer.echo(_json(asdict(card)))
            return
        for fact, value in _facts(card):
            typer.echo(wrapped(f"{fact:{INDENT}}{value}", sys.stdout, indent=INDENT))
        return
    kinds = sorted({card.kind for card in cards})
    if kind is not None and kind.lower() not in kinds:
        raise ConfigurationError(f"`--kind` must be one of {', '.join(kinds)}; got {kind!r}.")
    listed = [card for card in reversed(cards) if kind is None or card.kind == kind.lower()]
    listed.sort(key=lambda card: _ORDER.index(card.status))
    typer.echo(_json([asdict(card) for card in listed]) if as_json else _table(listed))


def _find(name: str, cards: tuple[ModelCard, ...]) -> ModelCard:
    wanted = catalog.get(name.strip().lower()).id
    found = next((card for card in cards if card.id == wanted), None)
    if found is None:
        known = [known for card in cards for known in (card.id, *card.aliases)]
        near = get_close_matches(name.lower(), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "See `lfm models`, or `lfm models --live` for newer ones."
        raise ConfigurationError(f"The catalogue has no model {name!r}. {hint}")
    return found


def _table(cards: list[ModelCard]) -> str:
    rows = [_COLUMNS, *map(_row, cards)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, row, widths, strict=True)
        ]
        lines.append(" ".join(cells).rstrip())
    return "\n".join(lines)


def _row(card: ModelCard) -> tuple[str, ...]:
    tools = _yes_no(card.capabilities.tools)
    return (card.id, card.kind, card.status, _count(card.context_length), *_prices(card), tools)


def _facts(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "Model", card.id
    yield "Name", card.name
    yield "Aliases", ", ".join(card.aliases) or "none"
    yield "Kind", card.kind
    if card.question_types:
        yield "Questions", ", ".join(sorted(card.question_types))
    yield "Input", ", ".join(sorted(card.input_modalities)) if card.input_modalities else "?"
    yield "Status", card.status + (", between {} and {}".format(*card.retired_between) if card.retired_between else "")
    if card.successors:
        yield "Ask instead", ", ".join(card.successors)
    yield "Context", f"{_count(card.context_length)} tokens"
    yield "Longest answer", f"{_count(card.max_output_tokens)} tokens"
    yield "US$ per million", "{} in, {} out".format(*_prices(card))
    can = card.capabilities
    yield "Capabilities", ", ".join(f"{label}: {_yes_no(getattr(can, name))}" for name, label in _CAPABILITIES.items())
    yield "Parameters", ", ".join(sorted(card.supported_parameters)) if card.supported_parameters else "?"
    yield "Tool dialect", card.tool_dialect or "?"
    yield "Provider", card.provider or "?"
    yield "License", card.license or "?"
    for offer in card.endpoints:
        uptime = "?" if offer.uptime_1d_percent is None else f"{offer.uptime_1d_percent:.1f} %"
        yield "Endpoint", f"{offer.provider or '?'}, {_count(offer.context_length)} tokens, up {uptime} of the last day"
    for source in card.sources:
        yield "Source", f"{source.url} ({source.read}): {source.says}"
    yield "Checked", str(card.checked or "?")


def _prices(card: ModelCard) -> list[str]:
    """Return the prices in US$ per million tokens, of the prompt and of the answer."""
    prices = (card.pricing.prompt, card.pricing.completion)
    return ["?" if price is None else f"{(price * 1_000_000).normalize():f}" for price in prices]


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _yes_no(fact: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[fact]


def _json(facts: object) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False, default=_jsonable)


def _jsonable(value: object) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
