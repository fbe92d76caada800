"""A limit on what a session may cost, which also holds where calls run side by side.

Before a request goes out, the most that it can cost is reserved; what it did cost takes the place of that afterwards.
"""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter.errors import APIConnectionError, LFMError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.types import AsyncHTTPResponse, AsyncTransport, HTTPRequest, ModelCard, Reply

__all__ = ["Budget", "MeteredTransport", "OverBudgetError", "worst_case_usd"]

_ZERO = Decimal(0)

# What keeps a connection from coming about, so that no request has gone out.
_BEFORE_SENDING = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class OverBudgetError(LFMError):
    """A request could cost more than is left. It was not sent."""


@dataclass
class Budget:
    """What may be spent, and what was.

    Attributes:
        limit_usd: The limit; None for none.
        allow_unknown_price: Send also what has no price in the catalogue, though the limit cannot hold then.
        spent_usd: What was charged, or may have been where nobody said.
        reserved_usd: The most that the requests under way can cost.
    """

    limit_usd: Decimal | None = None
    allow_unknown_price: bool = False
    spent_usd: Decimal = _ZERO
    reserved_usd: Decimal = _ZERO

    @property
    def left_usd(self) -> Decimal | None:
        """What is neither spent nor reserved; None where there is no limit."""
        return None if self.limit_usd is None else max(_ZERO, self.limit_usd - self.spent_usd - self.reserved_usd)

    def reserve(self, most_usd: Decimal | None, model: str) -> Decimal:
        """Set aside the most that a request can cost.

        Args:
            most_usd: The amount; None where the price is unknown.
            model: The model, for the error.

        Returns:
            What was set aside, to be given to `settle`.

        Raises:
            OverBudgetError: It is more than is left.
        """
        left = self.left_usd
        if left is not None and most_usd is None and not self.allow_unknown_price:
            raise OverBudgetError(
                f"There is a spending limit, and the price of `{model}` is not known, so it is not asked. Ask a model "
                "that the tool `models` lists with a price. The user may lift this with `--allow-unknown-price`."
            )
        amount = most_usd or _ZERO
        # What is free can be had when nothing is left.
        if left is not None and amount > left:
            raise OverBudgetError(self._refusal(amount, left, model))
        self.reserved_usd += amount
        return amount

    def settle(self, reserved_usd: Decimal, spent_usd: Decimal) -> None:
        """Put what a request did cost in the place of what was set aside for it."""
        self.reserved_usd -= reserved_usd
        self.spent_usd += spent_usd

    def _refusal(self, amount: Decimal, left: Decimal, model: str) -> str:
        waiting = f" (US$ {_usd(self.reserved_usd)} is set aside for calls under way)" if self.reserved_usd else ""
        return (
            f"The spending limit of US$ {self.limit_usd:f} leaves US$ {_usd(left)}{waiting}, and asking `{model}` "
            f"could cost up to US$ {_usd(amount)}. Nothing was sent. Lower `max_tokens`, shorten the text, or ask a "
            "free model (see the tool `models`). Only the user can raise the limit, with `--max-cost-usd`."
        )


def _usd(amount: Decimal) -> str:
    """Write an amount with four digits, and not as 4.5E-06."""
    return f"{Decimal(f'{amount:.4g}'):f}"


def worst_case_usd(body: bytes, card: ModelCard) -> Decimal | None:
    """Return the most that a chat request can cost by a card's prices, or None where they do not tell.

    No tokenizer makes more tokens of a text than it has bytes, and the JSON around each message is longer than what a
    chat template puts there.

    Args:
        body: The request's JSON.
        card: The model that is asked.
    """
    if card.is_free:
        return _ZERO
    longest = json.loads(body).get("max_tokens") or card.max_output_tokens or card.context_length
    pricing = card.pricing
    if pricing.prompt is None or pricing.completion is None or longest is None:
        return None
    dearest = max(pricing.prompt, pricing.input_cache_write or _ZERO)
    return len(body) * dearest + longest * pricing.completion + (pricing.request or _ZERO)


class MeteredTransport:
    """Sends the requests of one question, retries and repairs among them, as far as the budget goes.

    Args:
        transport: What sends them.
        budget: What they are set aside in.
        worst_case: Returns the most that a body can cost, or None where that is unknown.
        model: The model, for errors.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        budget: Budget,
        worst_case: Callable[[bytes], Decimal | None],
        model: str,
    ) -> None:
        self._transport = transport
        self._budget = budget
        self._worst_case = worst_case
        self._model = model
        self._open: list[Decimal] = []

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """See `AsyncTransport.send`.

        Raises:
            OverBudgetError: It could cost more than is left.
        """
        self._open.append(self._budget.reserve(self._worst_case(request.body or b"{}"), self._model))
        try:
            response = await self._transport.send(request)
        except APIConnectionError as error:
            if isinstance(error.__cause__, _BEFORE_SENDING):
                self._budget.settle(self._open.pop(), _ZERO)
            raise
        if response.status_code >= 400:  # refused: nothing was written that could be charged
            self._budget.settle(self._open.pop(), _ZERO)
        return response

    def settle(self, reply: Reply | None) -> Decimal:
        """Settle all that is set aside, once the question has been answered or has failed.

        What no reply tells the cost of, because it broke off, was cancelled or timed out, counts as the most that it
        can have cost: the limit holds whatever was charged.

        Returns:
            How much of what now counts as spent is such an upper bound.
        """
        told = 0 if reply is None or reply.cost is None else 1 + reply.output_retries
        # Nothing says which of them broke off: the dearest.
        uncertain = sum(sorted(self._open, reverse=True)[: max(0, len(self._open) - told)], _ZERO)
        certain = _ZERO if reply is None or reply.cost is None else reply.cost.total
        self._budget.settle(sum(self._open, _ZERO), certain + uncertain)
        self._open.clear()
        return uncertain
