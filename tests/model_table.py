"""README's table of models, from the catalogue. `python tests/model_table.py` prints it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from lfm_adapter import catalog

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["render"]

HEAD = ["Model", "Status", "Context", "Max output", "Input", "Output", "Tools", "JSON schema", "Reasoning"]


def render() -> str:
    """Return the table as Markdown: what is served first, then what was, the newest first."""
    cards = sorted(catalog.models(), key=lambda card: card.created or date.min, reverse=True)
    cards.sort(key=lambda card: (card.status == "retired", card.kind != "chat"))
    rows = [HEAD, ["---"] * len(HEAD), *map(_row, cards)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(card: catalog.ModelCard) -> list[str]:
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


def _status(card: catalog.ModelCard) -> str:
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


if __name__ == "__main__":
    print(render())  # noqa: T201 # its purpose
