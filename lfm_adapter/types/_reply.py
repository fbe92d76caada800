"""A whole reply (`Reply`) and a piece of a streamed one (`Delta`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfm_adapter.types._models import Cost, TokenLimits
    from lfm_adapter.types._request import JSONDict


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
    """One answer. A reply has several only when `n` asked for them.

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


@dataclass(slots=True)
class Reply:
    """A whole reply, the same whether streamed or not.

    Attributes:
        choices: The answers, at least one. `text`, `reasoning` and `tool_calls` are those of the first.
        id: OpenRouter's generation id ("gen-…").
        model: The model that served: possibly another than the requested one, or its dated slug.
        provider: The provider that served ("Liquid").
        created: Unix time in seconds.
        system_fingerprint: The provider's build, if reported.
        service_tier: The service tier, if reported.
        usage: Tokens and cost as OpenRouter sent them, or None.
        cost: The cost, from the reply or else from the catalogue; None if unknown.
        token_limits: How `max_tokens` was fitted to the model's context before sending.
        output_retries: How often the model had to correct an invalid answer. `usage` and `cost` include all answers.
        validation_error: Why the answer is still invalid, if `on_invalid_output` is "return"; else None.
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


@dataclass(slots=True)
class Delta:
    """What one event of a stream adds. The last delta of a stream has only `reply`, the whole reply.

    Attributes:
        text: Characters of the answer.
        reasoning: Characters of the reasoning.
        tool_calls: Pieces of tool calls.
        refusal: Characters of a refusal.
        logprobs: The log probabilities of these tokens.
        index: The choice that it belongs to.
        generation_id: OpenRouter's id of the generation, once known.
        reply: The whole reply on the last delta, else None.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str = ""
    logprobs: JSONDict | None = None
    index: int = 0
    generation_id: str | None = None
    reply: Reply | None = None
