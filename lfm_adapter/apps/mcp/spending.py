"""A spending limit for a session, which also holds for calls at the same time.

Before a request is sent, its maximum cost is reserved. Afterwards the actual cost replaces the reservation.
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

__all__ = ["MeteredTransport", "SpendingLimit", "SpendingLimitError", "max_cost"]

_ZERO = Decimal(0)

# With these, no connection was made, so that no request was sent.
_BEFORE_SENDING = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class SpendingLimitError(LFMError):
    """A request was not sent, because it could cost more than is left."""


@dataclass
class SpendingLimit:
    """What a session may spend, and what it has spent.

    Attributes:
        limit_usd: The limit; None for no limit.
        allow_unknown_price: Also ask models without a known price, to which the limit cannot apply.
        spent_usd: What was charged. Where that is unknown, the maximum that may have been charged.
        reserved_usd: The maximum cost of the requests in progress.
    """

    limit_usd: Decimal | None = None
    allow_unknown_price: bool = False
    spent_usd: Decimal = _ZERO
    reserved_usd: Decimal = _ZERO

    @property
    def left_usd(self) -> Decimal | None:
        """What is neither spent nor reserved; None without a limit."""
        return None if self.limit_usd is None else max(_ZERO, self.limit_usd - self.spent_usd - self.reserved_usd)

    def reserve(self, max_usd: Decimal | None, model: str) -> Decimal:
        """Reserve the maximum cost of a request.

        Args:
            max_usd: The amount; None if the price is unknown.
            model: The model, for the error.

        Returns:
            The reserved amount, for `settle`.

        Raises:
            SpendingLimitError: The amount is more than is left.
        """
        left = self.left_usd
        if left is not None and max_usd is None and not self.allow_unknown_price:
            raise SpendingLimitError(
                f"There is a spending limit, and the price of `{model}` is not known, so nothing was sent. Ask a model "
                "that the tool `models` lists with a price. The user can allow this with `--allow-unknown-price`."
            )
        amount = max_usd or _ZERO
        if left is not None and amount > left:  # free models still answer when nothing is left
            reserved = (
                f" (US$ {_usd(self.reserved_usd)} is reserved for calls in progress)" if self.reserved_usd else ""
            )
            raise SpendingLimitError(
                f"The spending limit of US$ {self.limit_usd:f} leaves US$ {_usd(left)}{reserved}, but asking `{model}` "
                f"could cost up to US$ {_usd(amount)}. Nothing was sent. Lower `max_tokens`, shorten the text, or ask "
                "a free model (see the tool `models`). Only the user can raise the limit, with `--max-cost-usd`."
            )
        self.reserved_usd += amount
        return amount

    def settle(self, reserved_usd: Decimal, spent_usd: Decimal) -> None:
        """Replace a reservation by the actual cost."""
        self.reserved_usd -= reserved_usd
        self.spent_usd += spent_usd


def _usd(amount: Decimal) -> str:
    """Format an amount with four significant digits and without an exponent."""
    return f"{Decimal(f'{amount:.4g}'):f}"


def max_cost(body: bytes, card: ModelCard) -> Decimal | None:
    """Return the maximum cost of a chat request in US$; None if the prices do not tell.

    No tokenizer makes more tokens of a text than it has bytes, and the JSON around each message is longer than what a
    chat template adds.

    Args:
        body: The request's JSON.
        card: The model to ask.
    """
    max_tokens = json.loads(body).get("max_tokens") or card.max_output_tokens or card.context_length
    pricing = card.pricing
    if pricing.prompt is None or pricing.completion is None or max_tokens is None:
        return None
    prompt_price = max(pricing.prompt, pricing.input_cache_write or _ZERO)
    return len(body) * prompt_price + max_tokens * pricing.completion + (pricing.request or _ZERO)


class MeteredTransport:
    """Sends the requests of one question, including retries, within a spending limit.

    Args:
        transport: Sends the requests.
        spending: The limit.
        max_cost: Returns the maximum cost of a request's body, or None if it is unknown.
        model: The model, for errors.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        spending: SpendingLimit,
        max_cost: Callable[[bytes], Decimal | None],
        model: str,
    ) -> None:
        self._transport = transport
        self._spending = spending
        self._max_cost = max_cost
        self._model = model
        self._reserved: list[Decimal] = []

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """See `AsyncTransport.send`.

        Raises:
            SpendingLimitError: The request could cost more than is left.
        """
        self._reserved.append(self._spending.reserve(self._max_cost(request.body or b"{}"), self._model))
        try:
            response = await self._transport.send(request)
        except APIConnectionError as error:
            if isinstance(error.__cause__, _BEFORE_SENDING):
                self._spending.settle(self._reserved.pop(), _ZERO)
            raise
        if response.status_code >= 400:  # refused, so nothing is charged
            self._spending.settle(self._reserved.pop(), _ZERO)
        return response

    def settle(self, reply: Reply | None) -> Decimal:
        """Settle all reservations once the question was answered or has failed.

        A request that was interrupted, cancelled or timed out counts with its maximum cost, because no reply has its
        actual cost. So the limit holds whatever was charged.

        Returns:
            How much of the spent amount is such a maximum.
        """
        priced = 0 if reply is None or reply.cost is None else 1 + reply.output_retries
        # Which of the requests were interrupted is unknown, so the most expensive ones are assumed.
        uncertain = sum(sorted(self._reserved, reverse=True)[: max(0, len(self._reserved) - priced)], _ZERO)
        certain = _ZERO if reply is None or reply.cost is None else reply.cost.total
        self._spending.settle(sum(self._reserved, _ZERO), certain + uncertain)
        self._reserved.clear()
        return uncertain
