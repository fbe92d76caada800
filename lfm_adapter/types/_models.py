"""What is known of a model, and what a request to it costs: plain data, filled by `lfm_adapter.catalog`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Capabilities",
    "Cost",
    "Endpoint",
    "Kind",
    "ModelCard",
    "Pricing",
    "Source",
    "Status",
    "TokenLimits",
    "ToolDialect",
]

Kind: TypeAlias = Literal["chat", "embedding", "decisions"]
Status: TypeAlias = Literal["live", "retired", "preview", "unknown"]
ToolDialect: TypeAlias = Literal["none", "lfm2", "lfm3"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices in US$, as exact decimals; None where unknown or variable (OpenRouter writes "-1" for the latter).

    Attributes:
        prompt: Per token of the prompt.
        completion: Per token of the answer, reasoning included.
        input_cache_read: Per token of the prompt that was read from a cache.
        input_cache_write: Per token of the prompt that was written to a cache.
        request: Per request.
    """

    prompt: Decimal | None = None
    completion: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    request: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can be asked for natively; None where unknown.

    Attributes:
        tools: `tools` in the request, tool calls in the reply.
        tool_choice: `tool_choice`.
        response_format: `response_format` with `json_object`.
        structured_outputs: `response_format` with `json_schema`.
        logprobs: `logprobs`.
        reasoning: The model can reason before it answers.
        reasoning_mandatory: It always does; asking it not to is an error (400).
    """

    tools: bool | None = None
    tool_choice: bool | None = None
    response_format: bool | None = None
    structured_outputs: bool | None = None
    logprobs: bool | None = None
    reasoning: bool | None = None
    reasoning_mandatory: bool | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider's offer of a model, as `GET /models/{id}/endpoints` has it (https://openrouter.ai/docs/api-reference).

    Attributes:
        provider: Its display name ("Liquid"), which is also what replies call it.
        tag: What `provider.order` and its like in a request call it ("liquid/fp8").
        quantization: Such as "fp8".
        context_length: Tokens of prompt and answer together.
        max_output_tokens: Tokens of the answer, reasoning included.
        max_prompt_tokens: Tokens of the prompt.
        pricing: Its prices.
        supported_parameters: The request fields that it honours; None where not said.
        supports_tool_choice: Which forms of `tool_choice` it honours: "none", "auto", "required", "function".
        status: 0 when healthy; OpenRouter does not document its negative values.
        uptime_5m_percent: Share of requests that succeeded in the last 5 minutes, 0 to 100.
        uptime_30m_percent: The same for the last 30 minutes.
        uptime_1d_percent: The same for the last day.
        latency_30m: As OpenRouter gives it: a number, percentiles by name, or None without a key.
        throughput_30m: As OpenRouter gives it: a number, percentiles by name, or None without a key.
    """

    provider: str | None = None
    tag: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    max_output_tokens: int | None = None
    max_prompt_tokens: int | None = None
    pricing: Pricing = Pricing()
    supported_parameters: frozenset[str] | None = None
    supports_tool_choice: Mapping[str, bool] = field(default_factory=dict, hash=False)
    status: int | None = None
    uptime_5m_percent: float | None = None
    uptime_30m_percent: float | None = None
    uptime_1d_percent: float | None = None
    latency_30m: Any = field(default=None, hash=False)
    throughput_30m: Any = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from.

    Attributes:
        url: A public address, or a public repository with path and commit.
        read: The day it was read.
        says: What it says.
    """

    url: str
    read: date
    says: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of one model. Cards are shared: treat them, and the mappings in them, as constants.

    Attributes:
        id: What to send as `model`.
        name: For people.
        aliases: Other names that `get` understands.
        canonical_slug: OpenRouter's dated name without the variant; replies may carry it in `model`.
        kind: "chat", or what else the model does; chat completions refuse the others.
        status: "live" or "retired" as of `checked`, "preview", or "unknown" for a model the catalogue does not have.
        retired_between: The last ISO date on which a public list still had it, and the first on which one did not.
        successors: Ids of living models to ask instead, the nearest first; free before paid for a free model, and the
            other way round.
        created: When OpenRouter listed it.
        context_length: Tokens of prompt and answer together.
        max_output_tokens: Tokens of the answer, reasoning included.
        pricing: Its prices.
        supported_parameters: The request fields that it honours; None where no source has them. OpenRouter drops others
            in silence (https://openrouter.ai/docs/api-reference/parameters).
        default_parameters: Sampling that OpenRouter applies where a request says nothing.
        capabilities: What it can be asked for natively.
        tool_dialect: How it writes tool calls as text: "lfm2" is a Pythonic list between `<|tool_call_start|>` and
            `<|tool_call_end|>`, "lfm3" is XML, "none" is not at all; None where unknown.
        license: Of the weights.
        provider: Who serves it, where that is one.
        quantization: How it is served, where that is one.
        expires: The day on which OpenRouter will remove it, where it says so.
        sources: Where the facts come from.
        checked: When they were last compared with their sources.
        endpoints: Today's offers; only a card from `refresh` or `from_listing` has them.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    canonical_slug: str | None = None
    kind: Kind = "chat"
    status: Status = "unknown"
    retired_between: tuple[str, str] | None = None
    successors: tuple[str, ...] = ()
    created: date | None = None
    context_length: int | None = None
    max_output_tokens: int | None = None
    pricing: Pricing = Pricing()
    supported_parameters: frozenset[str] | None = None
    default_parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    capabilities: Capabilities = Capabilities()
    tool_dialect: ToolDialect | None = None
    license: str | None = None
    provider: str | None = None
    quantization: str | None = None
    expires: date | None = None
    sources: tuple[Source, ...] = ()
    checked: date | None = None
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether requests cost nothing: OpenRouter marks that by the id's `:free`, not by a price of 0."""
        return self.id.endswith(":free")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost, in US$.

    Attributes:
        total: All of it.
        prompt: The prompt's share; None where OpenRouter reported the total, which it does not split.
        completion: The answer's share, reasoning included; None likewise.
        source: "openrouter" for the amount that was charged, "catalog" for an amount computed here.
    """

    total: Decimal
    prompt: Decimal | None
    completion: Decimal | None
    source: Literal["openrouter", "catalog"]

    def __add__(self, other: Cost) -> Cost:
        """Return what two requests cost together; "openrouter" is its source only if it is that of both."""
        return Cost(
            total=self.total + other.total,
            prompt=None if self.prompt is None or other.prompt is None else self.prompt + other.prompt,
            completion=(
                None if self.completion is None or other.completion is None else self.completion + other.completion
            ),
            source=self.source if self.source == other.source else "catalog",
        )


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """How a request fits its model.

    Attributes:
        estimate: Tokens that the prompt has at least, or has by the `token_counter`. None where they were not counted,
            because the context is unknown or far larger than the prompt.
        max_tokens: What to ask for; None where nothing was asked for.
        clamped_from: What was asked for, where `max_tokens` is less.
    """

    estimate: int | None
    max_tokens: int | None
    clamped_from: int | None
