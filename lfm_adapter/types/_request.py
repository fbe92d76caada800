"""The body of `POST /chat/completions`, as typed dicts.

Fields as of OpenRouter's SDK 1.3.84 (https://pypi.org/project/openrouter/). Responses have no typed dicts: their fields
come, go and turn null without notice (https://openrouter.ai/docs/api-reference/versioning).

No `from __future__ import annotations` here: `TypedDict` would compile each of its 80 strings (1 ms).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Required, TypeAlias, TypedDict

JSONDict: TypeAlias = dict[str, Any]
TokenCounter: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], int]

WhenRetired: TypeAlias = Literal["raise", "successor"]
ToolCalling: TypeAlias = Literal["auto", "native", "prompted"]
OnInvalidOutput: TypeAlias = Literal["raise", "return"]
Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


class FunctionCall(TypedDict):
    """The function that a tool call names; `arguments` is JSON in a string."""

    name: str
    arguments: str


class ToolCallParam(TypedDict):
    """A call that the assistant made."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(TypedDict, total=False):
    """One message of the conversation."""

    role: Required[Role]
    content: str | list[JSONDict] | None
    name: str
    tool_call_id: str
    tool_calls: list[ToolCallParam]
    refusal: str
    reasoning: str
    reasoning_details: list[JSONDict]


class Reasoning(TypedDict, total=False):
    """How much a model may reason. `effort` and `max_tokens` exclude each other."""

    effort: str
    max_tokens: int
    exclude: bool
    enabled: bool
    summary: str


class ProviderPreferences(TypedDict, total=False):
    """Which endpoints may serve (https://openrouter.ai/docs/features/provider-routing).

    `max_price` is in US$ per million tokens; throughput and latency may be given by percentile ("p50" to "p99").
    Liquid's models mostly have one endpoint: a filter easily leaves none.
    """

    order: list[str]
    only: list[str]
    ignore: list[str]
    allow_fallbacks: bool
    require_parameters: bool
    data_collection: Literal["allow", "deny"]
    zdr: bool
    enforce_distillable_text: bool
    quantizations: list[str]
    sort: str | JSONDict
    preferred_min_throughput: float | dict[str, float]
    preferred_max_latency: float | dict[str, float]
    max_price: dict[str, float | str]
    options: dict[str, JSONDict]


class RequestFields(TypedDict, total=False):
    """The fields of a chat request beside its model and its messages."""

    models: list[str]
    max_tokens: int
    max_completion_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    top_a: float
    frequency_penalty: float
    presence_penalty: float
    repetition_penalty: float
    seed: int
    n: int
    stop: str | list[str]
    logit_bias: dict[str, float]
    logprobs: bool
    top_logprobs: int
    response_format: JSONDict
    tools: list[JSONDict]
    tool_choice: str | JSONDict
    parallel_tool_calls: bool
    reasoning: Reasoning
    reasoning_effort: str
    include_reasoning: bool
    provider: ProviderPreferences
    plugins: list[JSONDict]
    transforms: list[str]
    route: str
    prediction: JSONDict
    modalities: list[str]
    image_config: JSONDict
    service_tier: str
    prompt_cache_key: str
    prompt_cache_options: JSONDict
    cache_control: JSONDict
    user: str
    session_id: str
    trace: JSONDict
    metadata: dict[str, str]
    verbosity: str
    web_search_options: JSONDict
    deferred_tools: list[JSONDict]
    stop_server_tools_when: list[JSONDict]
    usage: JSONDict
    stream_options: JSONDict
    debug: JSONDict


class ChatRequest(RequestFields, total=False):
    """The body of `POST /chat/completions`. Fields that are not listed here are sent unchanged."""

    model: Required[str]
    messages: Required[list[Message]]
    stream: bool


class ChatParameters(RequestFields, total=False):
    """The keyword arguments of `LFMClient.chat` and `.stream`: fields of the request, and settings for this call.

    Attributes:
        extra_body: Further fields of the request, such as new ones of OpenRouter. Their names and types are left to
            the server, and they win over those of the same name.
        when_retired: See `LFMClient`, like the following.
    """

    extra_body: JSONDict
    when_retired: WhenRetired
    tool_calling: ToolCalling
    recover_tool_calls: bool
    max_output_retries: int
    coerce_output: bool
    on_invalid_output: OnInvalidOutput
