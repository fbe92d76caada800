"""A whole reply (`Reply`) with its cost, a piece of a streamed one (`Delta`), and the streams that yield them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal  # noqa: TC003  # `typing.get_type_hints` needs it
from typing import TYPE_CHECKING, Literal, Self

from lfm_adapter.types._request import JSONDict  # noqa: TC001  # `typing.get_type_hints` needs it

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Sequence


@dataclass(slots=True)
class ToolCall:
    """A tool call, or in a `Delta` the next piece of one.

    Attributes:
        index: Its position among the calls of the reply, from 0; the pieces of one call share it.
        id: Its id, only on the first piece; generated here if the provider sent none, or the same one twice.
        name: The tool's name, only on the first piece.
        arguments: JSON as the model wrote it, possibly invalid or cut off; in a piece, the characters that it adds.
        error: Why a call that was read from text is invalid for its tool; else None.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str
    error: str | None = None


@dataclass(slots=True)
class Choice:
    """One answer of a reply. There are several only with `n`.

    Attributes:
        text: The answer.
        reasoning: The reasoning in plain text.
        reasoning_details: OpenRouter's reasoning blocks, to send back unmodified in the next turn.
        tool_calls: The tool calls, in order.
        refusal: The model's reason for refusing, or None.
        annotations: Citations and file annotations.
        parts: Content parts other than text.
        images: Generated images.
        audio: Generated audio, or None.
        logprobs: `{"content": [...], "refusal": [...]}`, or None.
        finish_reason: "stop", "length", "tool_calls", "content_filter", or a newer one; None if missing.
        native_finish_reason: The provider's own finish reason.
        extra: Other fields of the message.
    """

    text: str = ""
    reasoning: str = ""
    reasoning_details: list[JSONDict] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str | None = None
    annotations: list[JSONDict] = field(default_factory=list)
    parts: list[JSONDict] = field(default_factory=list)
    images: list[JSONDict] = field(default_factory=list)
    audio: JSONDict | None = None
    logprobs: JSONDict | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    extra: JSONDict = field(default_factory=dict)

    def metadata(self) -> JSONDict:
        """Return `native_finish_reason` and `tool_call_errors` (by call id) of a choice, where there are any."""
        facts = {
            "native_finish_reason": self.native_finish_reason,
            "tool_call_errors": {call.id: call.error for call in self.tool_calls if call.error},
        }
        return {name: fact for name, fact in facts.items() if fact}


@dataclass(slots=True)
class Reply:
    """A whole reply, the same whether streamed or not.

    Attributes:
        choices: The answers, at least one. `text`, `reasoning` and `tool_calls` are those of the first.
        id: OpenRouter's generation id ("gen-…").
        model: The model that served: possibly another than the requested one, or its dated slug. The requested one if
            the server names none.
        provider: The provider that served ("Liquid").
        created: Unix time in seconds.
        system_fingerprint: The provider's build, if reported.
        service_tier: The service tier, if reported.
        usage: Tokens and cost as OpenRouter sent them, or None.
        cost: The cost, from the reply or else from the catalogue; None if unknown.
        token_limits: How `max_tokens` was fitted to the model's context before sending.
        output_retries: How often the model had to correct an invalid answer. `usage` and `cost` include all answers.
        validation_error: Why the answer is still invalid, if `on_invalid_output` is "return"; else None.
        headers: The useful headers of the response, their names in lower case: the generation id,
            whether the answer came from a cache (`x-openrouter-cache-status` and others), rate limits, ids for support.
        extra: Other fields of the reply.
    """

    choices: list[Choice]
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    usage: JSONDict | None = None
    cost: Cost | None = None
    token_limits: TokenLimits | None = None
    output_retries: int = 0
    validation_error: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    extra: JSONDict = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.choices[0].text

    @property
    def reasoning(self) -> str:
        """The answer's reasoning."""
        return self.choices[0].reasoning

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The answer's tool calls."""
        return self.choices[0].tool_calls

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended."""
        return self.choices[0].finish_reason

    def metadata(self) -> JSONDict:
        """Return the facts about the reply as a whole; those that are unknown are left out.

        Returns:
            Fields that are not attributes, unchanged; `provider`, `cost` (US$, a float), `cost_source`,
            `cost_details`, `is_byok`, `server_tool_use_details`, `output_retries`, `validation_error` and
            `max_tokens_clamped`.
        """
        usage = self.usage or {}
        limits = self.token_limits
        is_clamped = limits is not None and limits.clamped_from is not None
        facts = {
            **self.extra,
            "provider": self.provider,
            "cost": None if self.cost is None else float(self.cost.total),
            "cost_source": None if self.cost is None else self.cost.source,
            "cost_details": usage.get("cost_details"),
            "is_byok": usage.get("is_byok"),
            "server_tool_use_details": usage.get("server_tool_use_details"),
            "output_retries": self.output_retries or None,
            "validation_error": self.validation_error,
            "max_tokens_clamped": {"from": limits.clamped_from, "to": limits.max_tokens}
            if limits and is_clamped
            else None,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request, in US$.

    Attributes:
        total: The total.
        prompt: The prompt's share; None if OpenRouter reported the total, which it does not split.
        completion: The answer's share, reasoning included; None likewise.
        source: "openrouter" for the amount charged, "catalog" for an amount computed from catalogue prices.
    """

    total: Decimal
    prompt: Decimal | None
    completion: Decimal | None
    source: Literal["openrouter", "catalog"]

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of two requests; its source is "openrouter" only if both were reported."""
        return Cost(
            total=self.total + other.total,
            prompt=_sum(self.prompt, other.prompt),
            completion=_sum(self.completion, other.completion),
            source=self.source if self.source == other.source else "catalog",
        )


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """The token count and limits of a request, after the check of its context.

    Attributes:
        estimated_tokens: The fewest tokens that the prompt can have, or the count of a `token_counter`. None if it was
            not counted, because the context is unknown or far larger than the prompt.
        max_tokens: The maximum to request; None for the server's default.
        clamped_from: The user's `max_tokens`, if it was reduced.
    """

    estimated_tokens: int | None
    max_tokens: int | None
    clamped_from: int | None


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


@dataclass(slots=True)
class Delta:
    """What one event of a stream adds. The last delta of a stream has only `reply`, the whole reply.

    Attributes:
        text: Characters of the answer.
        reasoning: Characters of the reasoning.
        reasoning_details: Pieces of OpenRouter's reasoning blocks, as sent.
        tool_calls: Pieces of tool calls.
        refusal: Characters of a refusal.
        logprobs: The log probabilities of these tokens.
        index: The choice that it belongs to.
        generation_id: OpenRouter's id of the generation, once known.
        reply: The whole reply on the last delta, else None.
        reasoning_end: How many characters of `text` end reasoning that came as text, since the model wrote `</think>`
            there and no `<think>` before.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str = ""
    logprobs: JSONDict | None = None
    index: int = 0
    generation_id: str | None = None
    reasoning_details: list[JSONDict] = field(default_factory=list)
    reply: Reply | None = None
    reasoning_end: int = 0


class Stream:
    """The deltas of one reply, in order. Close it, or leave its `with` block, to stop the model and its cost.

    Attributes:
        reply: The whole reply, once the stream has ended.
    """

    def __init__(self, deltas: Generator[Delta]) -> None:
        self.reply: Reply | None = None
        self._deltas = deltas

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        delta = next(self._deltas)
        self.reply = delta.reply
        return delta

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection at once, unless the reply is complete."""
        self._deltas.close()


class AsyncStream:
    """`Stream` for asyncio.

    Attributes:
        reply: The whole reply, once the stream has ended.
    """

    def __init__(self, batches: AsyncGenerator[Sequence[Delta]]) -> None:
        self.reply: Reply | None = None
        self._batches = batches
        self._batch: Iterator[Delta] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        delta = next(self._batch, None)
        if delta is None:
            self._batch = iter(await anext(self._batches))
            delta = next(self._batch)
        self.reply = delta.reply
        return delta

    async def _next_batch(self) -> Sequence[Delta]:
        """Return the deltas that came at once, at least one: for servers that pass the stream on."""
        deltas: Sequence[Delta] = list(self._batch)
        if not deltas:
            deltas = await anext(self._batches)
        self.reply = deltas[-1].reply
        return deltas

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection at once, unless the reply is complete."""
        self._batch = iter(())
        await self._batches.aclose()
