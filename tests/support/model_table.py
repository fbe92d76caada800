"""The tables of models in README and docs/models.md. `python -m tests.support.model_table` writes them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lfm_adapter import catalog
from lfm_adapter._client.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from decimal import Decimal

    from lfm_adapter.types import ModelCard

__all__ = ["TABLES", "render", "table_in"]

ROOT = Path(__file__).parents[2]

HEAD = ["Model", "Status", "Context", "Max output", "Input", "Output", "Tools", "JSON schema", "Reasoning"]


def render(*, every_model: bool) -> str:
    """Return a table as Markdown: what is served first, then what was, the newest first.

    Args:
        every_model: Whether it has all models, or those that chat and are served, and the default.
    """
    cards = sorted(catalog.models(), key=lambda card: card.created or date.max, reverse=True)
    cards.sort(key=lambda card: (card.status == "retired", card.kind != "chat"))
    if not every_model:
        cards = [
            card for card in cards if card.id == DEFAULT_MODEL or (card.kind == "chat" and card.status != "retired")
        ]
    rows = [HEAD, ["---"] * len(HEAD), *map(_row, cards)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(card: ModelCard) -> list[str]:
    can = card.capabilities
    return [
        f"`{card.id}`",
        _status(card),
        _count(card.context_length),
        _count(card.max_output_tokens),
        _price(card.pricing.prompt),
        _price(card.pricing.completion),
        _answer(can.tools),
        _answer(can.structured_outputs),
        "always" if can.reasoning_mandatory else _answer(can.reasoning),
    ]


def _status(card: ModelCard) -> str:
    status = card.status if card.retired_between is None else f"retired by {card.retired_between[1]}"
    return status if card.kind == "chat" else f"{status} ({card.kind})"


def _count(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _price(price_usd_per_token: Decimal | None) -> str:
    if price_usd_per_token is None:
        return "?"
    return "free" if price_usd_per_token == 0 else f"{price_usd_per_token * 1_000_000:.3f}".rstrip("0")


def _answer(known: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[known]


TABLES = {ROOT / "README.md": False, ROOT / "docs" / "models.md": True}
"""The files that have a table, and whether it has every model."""


def table_in(text: str) -> str:
    """Return the table of models that stands in a document."""
    found = re.search(rf"^\| {HEAD[0]} \| {HEAD[1]} \|.*(?:\n\|.*)*", text, re.MULTILINE)
    assert found is not None
    return found[0]


if __name__ == "__main__":
    for file, every_model in TABLES.items():
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(table_in(text), render(every_model=every_model)), encoding="utf-8")
