"""What the ledger holds of a call, the totals of many calls, and the unit of its amounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

PICO = Decimal(10) ** 12
"""The ledger keeps amounts in 10^-12 US$, as integers, whose sums are exact."""


def to_pico(usd: Decimal) -> int:
    """Return an amount in 10^-12 US$, rounded up."""
    return int((usd * PICO).to_integral_value(rounding="ROUND_CEILING"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call.

    Attributes:
        time: When it began, in Unix seconds.
        source: The caller: "gateway", "chat", "decide", "mcp" or "python".
        app: The app's name.
        model: The model that was asked.
        served_model: The model that answered, as the reply names it, or None.
        provider: The provider that served, or None.
        is_stream: Whether the answer was streamed.
        prompt_tokens: Tokens of the prompt, or None.
        completion_tokens: Tokens of the answer, reasoning included, or None.
        reasoning_tokens: Tokens of the reasoning, or None.
        cached_tokens: Tokens of the prompt that were read from a cache, or None.
        cost: US$, or None if unknown.
        first_token_s: Seconds until the first token of a stream, or None.
        duration_s: Seconds of the whole call.
        status: "ok", "cancelled", or the kind of error, such as "rate_limit".
        http_status: The HTTP status of an error, or None.
    """

    time: float
    source: str
    app: str
    model: str
    served_model: str | None = None
    provider: str | None = None
    is_stream: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: Decimal | None = None
    first_token_s: float | None = None
    duration_s: float = 0.0
    status: str = "ok"
    http_status: int | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of the answer per second, from the first token on if its time is known."""
        seconds = self.duration_s - (self.first_token_s or 0.0)
        return self.completion_tokens / seconds if self.completion_tokens and seconds > 0 else None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The totals of a group of calls.

    Attributes:
        key: What they have in common, in the order of `by`: days ("2026-11-28"), models, apps.
        calls: How many there were.
        errors: How many failed; cancelled calls do not count.
        prompt_tokens: Tokens of their prompts.
        completion_tokens: Tokens of their answers.
        cost: US$; calls of unknown cost count as 0.
        unknown_costs: How many answered calls have an unknown cost.
    """

    key: tuple[str, ...]
    calls: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    unknown_costs: int


@dataclass(slots=True)
class ModelStats:
    """Statistics of the calls of one model.

    Attributes:
        model: The model that was asked.
        calls: How many calls there were.
        answered: How many were answered.
        errors: How many failed, by kind.
        prompt_tokens: Tokens of the prompts.
        completion_tokens: Tokens of the answers.
        cost: US$; calls of unknown cost count as 0.
        first_token_s: Seconds until the first token of a stream: the median and the 95th percentile, or None.
        tokens_per_second: Tokens of an answer per second: the median and the 5th percentile, or None.
    """

    model: str
    calls: int = 0
    answered: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    first_token_s: tuple[float, float] | None = None
    tokens_per_second: tuple[float, float] | None = None
