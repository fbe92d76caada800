"""What a call reports to a ledger and to budgets: its maximum cost before, and its real cost after."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lfm_adapter import catalog
from lfm_adapter._json import as_count, as_dict, as_number, dicts
from lfm_adapter.catalog._usage import chat_usage
from lfm_adapter.errors import (
    APIConnectionError,
    APIError,
    BudgetExceededError,
    InvalidDecisionError,
    LFMError,
    StreamInterruptedError,
)
from lfm_adapter.ledger import CallRecord, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfm_adapter.ledger import Budget, Reservation
    from lfm_adapter.types import DecisionReply, EmbeddingReply, JSONDict, ModelCard, Reply

    AnyReply: TypeAlias = Reply | EmbeddingReply | DecisionReply

_ZERO = Decimal(0)

# Tokens that a decision model's template adds to a question, and more.
_QUESTION_TOKENS = 256

# https://openrouter.ai/docs/guides/features/plugins
_FREE_PLUGINS = ("context-compression", "response-healing")

# With these, no connection was made, so that no request was sent.
_BEFORE_SENDING = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class Recorder(Protocol):
    """What records calls, as `Ledger` does."""

    def record(self, call: CallRecord) -> None:
        """Record a call. Returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class Meter:
    """Where the calls of a client are recorded, and which budgets limit them.

    Attributes:
        recorder: Records each call; None for no record.
        ledger: Stores what is reserved and spent of the budgets; None if there are none.
        budgets: The budgets.
        app: The app's name.
        source: See `CallRecord.source`.
        is_free: Whether the server charges nothing: a model on this machine.
        card: The model, with its prices, where the catalogue does not have them.
        inquire: Called with the id of a stream that ended without its cost, and with a function to call with the cost
            once it is known. None to count the maximum.
    """

    recorder: Recorder | None = None
    ledger: Ledger | None = None
    budgets: tuple[Budget, ...] = ()
    app: str = "python"
    source: str = "python"
    is_free: bool = False
    card: ModelCard | None = None
    inquire: Callable[[str, Callable[[Decimal | None], None]], None] | None = None

    @classmethod
    def of_ledger(
        cls, ledger: Ledger | None, budget: Budget | None, app: str, source: str = "python", *, is_free: bool = False
    ) -> Meter:
        """Return a meter that records calls in a ledger, if there is one. Else the user's own stores the budget."""
        if budget is None:
            return cls(ledger, None, (), app, source, is_free)
        return cls(ledger, ledger or Ledger(), (budget,), app, source, is_free)


class CallMeter:
    """Follows one call: `reserve` before each attempt, `refuse` after one that failed, `end` at its end."""

    def __init__(self, meter: Meter, model: str, card: ModelCard, *, is_stream: bool) -> None:
        self._meter = meter
        self._has_rate_limit = any(budget.rpm is not None for budget in meter.budgets)
        self._model = model
        self._card = meter.card or card
        self._is_stream = is_stream
        self._reserved: list[Reservation] = []
        self._is_ended = False
        self._time = time.time()
        self._began = time.monotonic()
        self._first: float | None = None
        self._generation_id: str | None = None

    def reserve(self, body: bytes | None, *, wait: bool = True) -> bool:
        """Reserve the maximum cost of an attempt; return False if that has to wait for other programs, and may not.

        Raises:
            BudgetExceededError: It does not fit into a budget.
            RateLimitError: Too many requests were made.
        """
        ledger = self._meter.ledger
        if ledger is None:
            return True
        usd = _ZERO if self._meter.is_free else max_cost(body or b"{}", self._card)
        if usd is None:
            self._refuse_unpriced(body or b"{}")
        elif not usd and not self._has_rate_limit:
            return True
        reserve = ledger.reserve if wait else ledger.try_reserve
        reservation = reserve(self._meter.budgets, usd, model=self._model)
        if reservation is None:
            return False
        self._reserved.append(reservation)
        if self._is_ended and reservation in self._reserved:  # the call was cancelled while a thread waited
            self._reserved.remove(reservation)
            ledger.settle(reservation, _ZERO)
        return True

    def _refuse_unpriced(self, body: bytes) -> None:
        extra = _unpriced_extra(json.loads(body))
        if extra and any(budget.needs_price for budget in self._meter.budgets):
            raise BudgetExceededError(
                f"The cost of {extra} is not known beforehand, so it cannot be checked against the budget. Nothing was "
                "sent. Leave it out of the request, or let the budget allow unknown prices.",
                model=self._model,
            )

    def refuse(self, error: APIError) -> None:
        """Give the reservation of the last attempt back if nothing can have been charged for it."""
        is_unsent = isinstance(error.__cause__, _BEFORE_SENDING) and not isinstance(error, StreamInterruptedError)
        is_refused = error.status_code is not None and error.status_code >= 400 and error.partial is None
        if self._meter.ledger is not None and self._reserved and (is_refused or is_unsent):
            self._meter.ledger.settle(self._reserved.pop(), _ZERO)

    def on_token(self, generation_id: str | None) -> None:
        """Note the time of the first token of a stream, and the stream's id."""
        if self._first is None:
            self._first = time.monotonic()
            self._generation_id = generation_id

    def end(self, reply: AnyReply | None, error: BaseException | None) -> None:
        """Settle the reservations, and record the call. `error` ended it, if it was not its reply."""
        self._is_ended = True
        answered = reply or arrived(error)
        cost = None if answered is None or answered.cost is None else answered.cost.total
        if self._meter.ledger is not None and self._reserved:
            reserved: list[Reservation] = []
            while self._reserved:  # a thread may still add one
                reserved.append(self._reserved.pop())
            if cost is None and self._generation_id and self._meter.inquire:
                self._meter.inquire(self._generation_id, partial(_settle, self._meter.ledger, reserved, 1))
            else:
                turns = 0 if answered is None else 1 + getattr(answered, "output_retries", 0)
                _settle(self._meter.ledger, reserved, turns, cost)
        if self._meter.recorder is not None:
            self._meter.recorder.record(self._record(answered, _ZERO if self._meter.is_free else cost, reply, error))

    def _record(
        self, answered: AnyReply | None, cost: Decimal | None, reply: AnyReply | None, error: BaseException | None
    ) -> CallRecord:
        usage = chat_usage((answered.usage if answered else None) or {})
        status = "ok" if reply is not None else _kind(error)
        return CallRecord(
            time=self._time,
            source=self._meter.source,
            app=self._meter.app,
            model=self._model,
            served_model=answered.model if answered else None,
            provider=answered.provider if answered else getattr(error, "provider", None),
            is_stream=self._is_stream,
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            completion_tokens=as_count(usage.get("completion_tokens")),
            reasoning_tokens=as_count(as_dict(usage.get("completion_tokens_details")).get("reasoning_tokens")),
            cached_tokens=as_count(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens")),
            cost=cost,
            first_token_s=None if self._first is None else self._first - self._began,
            duration_s=time.monotonic() - self._began,
            status=status,
            http_status=None if status == "ok" else getattr(error, "status_code", None),
        )


def _settle(ledger: Ledger, reserved: Sequence[Reservation], turns: int, cost: Decimal | None) -> None:
    """Settle the attempts that were answered, `turns` of them, with the cost, and the others with their maximum."""
    # Which ones were interrupted is unknown, so the cheapest are taken for those that were answered.
    for number, reservation in enumerate(sorted(reserved, key=lambda one: one.amount)):
        if cost is None or number >= turns:
            ledger.settle(reservation, None)
        else:
            ledger.settle(reservation, cost if number == 0 else _ZERO)


def arrived(error: BaseException | None) -> AnyReply | None:
    """Return what had come of a reply when a call failed."""
    if isinstance(error, InvalidDecisionError):
        return error.reply
    return error.partial if isinstance(error, APIError) else None


def _unpriced_extra(fields: JSONDict) -> str | None:
    """Return what a chat request has OpenRouter do at a price of its own, beside asking a model; None for nothing.

    The model also reads what was found, which the length of the request does not show.
    """
    for plugin in dicts(fields.get("plugins")):
        if plugin.get("enabled") is not False and plugin.get("id") not in _FREE_PLUGINS:
            return f"the plugin {plugin.get('id')!r}"
    for tool in dicts(fields.get("tools")):
        if str(tool.get("type")).startswith("openrouter:"):  # they run on OpenRouter's servers
            return f"the tool {tool.get('type')!r}"
    if as_dict(fields.get("web_search_options")):
        return "`web_search_options`"
    models = [fields.get("model"), *_fallbacks(fields)]
    return next((f"the web search of {model!r}" for model in models if ":online" in str(model)), None)


def _fallbacks(fields: JSONDict) -> list[str]:
    models = fields.get("models")
    return [model for model in models if isinstance(model, str)] if isinstance(models, list) else []


def max_cost(body: bytes, card: ModelCard) -> Decimal | None:
    """Return the maximum cost of a request in US$; None if a price is unknown.

    No tokenizer makes more tokens of a text than it has bytes, and the JSON around each message is longer than what a
    chat template adds. Each question of a decision pays for the state again, and an image fills at most the context.

    Args:
        body: The request's JSON. Any of its `models` may answer: https://openrouter.ai/docs/features/model-routing
        card: The model to ask.
    """
    fields = json.loads(body)
    if _unpriced_extra(fields):
        return None
    others = map(catalog.get, _fallbacks(fields))
    costs = [_max_cost(body, fields, one) for one in (card, *others)]
    known = [cost for cost in costs if cost is not None]
    return max(known) if len(known) == len(costs) else None


def _max_cost(body: bytes, fields: JSONDict, card: ModelCard) -> Decimal | None:
    if card.is_free and card.status != "unknown":  # anybody can name a model so, on a server of their own
        return _ZERO
    pricing = card.pricing
    if pricing.prompt is None or pricing.completion is None:
        return None
    if card.kind == "decisions":
        questions = fields.get("questions") or ()
        bound = card.context_length if b";base64," in body else len(body) + _QUESTION_TOKENS
        return None if bound is None else len(questions) * bound * pricing.prompt
    max_tokens = fields.get("max_tokens") or card.max_output_tokens or card.context_length
    if max_tokens is None:
        return None
    answers = max(1, int(as_number(fields.get("n")) or 1))
    prompt_price = max(pricing.prompt, pricing.input_cache_write or _ZERO)
    return len(body) * prompt_price + answers * max_tokens * pricing.completion + (pricing.request or _ZERO)


def _kind(error: BaseException | None) -> str:
    """Return the kind of an error as a word: "rate_limit" for a `RateLimitError`."""
    if not isinstance(error, LFMError):
        return "cancelled"
    name = type(error).__name__.removesuffix("Error")
    if isinstance(error, APIConnectionError) and not isinstance(error, StreamInterruptedError):
        name = "Connection"
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.removeprefix("API")).lower()
