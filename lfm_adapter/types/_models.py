"""The facts about a model: `ModelCard` and its parts. `lfm_adapter.catalog` fills them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

Kind: TypeAlias = Literal["chat", "decisions", "embeddings"]
Status: TypeAlias = Literal["live", "retired", "preview", "unknown"]
ToolDialect: TypeAlias = Literal["none", "lfm2", "lfm2.5", "lfm3"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices in US$, as exact decimals; None if unknown or variable (OpenRouter's "-1").

    Attributes:
        prompt: Per token of the prompt.
        completion: Per token of the answer, reasoning included.
        input_cache_read: Per token of the prompt read from a cache.
        input_cache_write: Per token of the prompt written to a cache.
        request: Per request.
    """

    prompt: Decimal | None = None
    completion: Decimal | None = None
    input_cache_read: Decimal | None = None
    input_cache_write: Decimal | None = None
    request: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model supports natively; None if unknown.

    Attributes:
        tools: `tools` in the request, tool calls in the reply.
        tool_choice: `tool_choice`.
        response_format: `response_format` with `json_object`.
        structured_outputs: `response_format` with `json_schema`.
        logprobs: `logprobs`.
        reasoning: The model can reason before it answers.
        reasoning_mandatory: It always reasons; disabling that is an error (400).
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
    """One provider's offer of a model, from `GET /models/{id}/endpoints` (https://openrouter.ai/docs/api-reference).

    Attributes:
        provider: Its display name ("Liquid"), as in replies.
        tag: Its name in a request's `provider.order` and the like ("liquid/fp8").
        quantization: Such as "fp8".
        context_length: Tokens of prompt and answer together.
        max_output_tokens: Tokens of the answer, reasoning included.
        max_prompt_tokens: Tokens of the prompt.
        pricing: Its prices.
        supported_parameters: The request fields that it supports; None if unknown.
        supports_tool_choice: Which forms of `tool_choice` it supports: "none", "auto", "required", "function".
        status: 0 when healthy; OpenRouter does not document its negative values.
        uptime_5m_percent: Share of requests that succeeded in the last 5 minutes, 0 to 100.
        uptime_30m_percent: The same for the last 30 minutes.
        uptime_1d_percent: The same for the last day.
        latency_30m: As OpenRouter reports it: a number, percentiles by name, or None without a key.
        throughput_30m: See `latency_30m`.
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
    """The source of a fact.

    Attributes:
        url: A public address, or a public repository with path and commit.
        read: The day it was read.
        says: Its content.
    """

    url: str
    read: date
    says: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The facts about one model. Cards are shared: do not modify them or the mappings in them.

    Attributes:
        id: The id to send as `model`.
        name: The display name.
        aliases: Other names that `catalog.get` accepts.
        canonical_slug: OpenRouter's dated name without the variant, as in the `model` of some replies.
        kind: "chat", "decisions" (typed questions about a state: `LFMClient.decide`) or "embeddings"
            (`LFMClient.embed`). Each API refuses the models of the others.
        input_modalities: What it takes: "text", "image", "audio"; None if unknown.
        question_types: The questions that a decision model answers: "noul" (yes or no), "choice", "score", "box".
        status: "live" or "retired" as of `checked`, "preview", or "unknown" for a model the catalogue does not have.
        retired_between: The last ISO date on which a public list had it, and the first on which one did not.
        successors: Ids of live models to use instead, the closest first; free before paid ones for a free model, else
            paid before free.
        created: When OpenRouter listed it.
        context_length: Tokens of prompt and answer together.
        max_output_tokens: Tokens of the answer, reasoning included.
        pricing: Its prices.
        supported_parameters: The request fields that it supports; None if unknown. OpenRouter silently ignores others
            (https://openrouter.ai/docs/api-reference/parameters).
        default_parameters: Sampling parameters that OpenRouter applies by default.
        capabilities: What it supports natively.
        tool_dialect: The form of its tool calls in text: "lfm2" and "lfm2.5" are Pythonic lists between
            `<|tool_call_start|>` and `<|tool_call_end|>`, "lfm2.5" with objects as JSON, "lfm3" is XML, "none" means it
            has none; None if unknown.
        license: The license of the weights.
        provider: The provider that serves it, if there is exactly one.
        quantization: Its quantization, if there is exactly one.
        expires: The day on which OpenRouter will remove it, if announced.
        sources: The sources of the facts.
        checked: The day on which the facts were last compared with their sources.
        endpoints: Today's offers; only on cards from `refresh_catalog` or `from_listing`.
    """

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    canonical_slug: str | None = None
    kind: Kind = "chat"
    input_modalities: frozenset[str] | None = None
    question_types: frozenset[str] = frozenset()
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
        """Whether requests are free: OpenRouter marks this with `:free` in the id, not with a price of 0."""
        return self.id.endswith(":free")
