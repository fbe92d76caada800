"""What a reply is made of: `Reply` for a whole one, `Delta` for a piece of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfm_adapter.types._models import Cost, TokenLimits
    from lfm_adapter.types._request import JSONDict

__all__ = ["Choice", "Delta", "Reply", "ToolCall"]


@dataclass(slots=True)
class ToolCall:
    """A tool call, or in a `Delta` the next piece of one.

    Attributes:
        index: Its place among the calls of the reply, from 0; the pieces of one call share it.
        id: Its id. The first piece has it; made up here where the provider sent none or the same one twice.
        name: The tool's name. Only the first piece has it.
        arguments: JSON as the model wrote it, which may be invalid or cut off; in a piece, the characters it adds.
        error: Why the call cannot be made, where it was read out of text and does not fit the tool; else None.
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
        reasoning: The reasoning in plain text, "" where there is none.
        reasoning_details: OpenRouter's reasoning blocks, to be sent back unmodified with the next turn.
        tool_calls: The tool calls, in order.
        refusal: Why the model refused, or None.
        annotations: Citations and file annotations.
        parts: Content parts other than text.
        images: Generated images.
        audio: Generated audio, or None.
        logprobs: `{"content": [...], "refusal": [...]}`, or None.
        finish_reason: "stop", "length", "tool_calls", "content_filter", or a newer word; None where none came.
        native_finish_reason: The provider's own word for it.
        extra: Fields of the message that have no name here.
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
    """A whole reply; streamed and not streamed, the same one.

    Attributes:
        choices: The answers, at least one. `text`, `reasoning` and `tool_calls` are those of the first.
        id: OpenRouter's generation id ("gen-…").
        model: The model that served, which may be another than was asked for, or its dated slug.
        provider: The provider that served ("Liquid").
        created: Unix time in seconds.
        system_fingerprint: The provider's build, where it tells.
        service_tier: The tier that served, where there are tiers.
        usage: Tokens and cost as OpenRouter sent them, or None.
        cost: What it cost, from the reply or else from the catalogue; None where neither knows.
        token_limits: How `max_tokens` was fitted to the model's context before sending.
        output_retries: How many times the model had to be told that its answer did not keep to what was asked for. `usage`
            and `cost` are those of all its answers.
        validation_error: What in the last one still does not keep to it, where `on_invalid_output` is "return"; else None.
        extra: Fields of the reply that have no name here.
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
    """What one event of a stream adds. The last one of a stream adds nothing but `reply`, the whole.

    Attributes:
        text: Characters of the answer.
        reasoning: Characters of the reasoning.
        tool_calls: Pieces of tool calls.
        refusal: Characters of a refusal.
        logprobs: Of the tokens in this piece.
        index: Which choice it belongs to.
        generation_id: OpenRouter's id of the generation, once it is known.
        reply: On the last delta the whole reply, else None.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    refusal: str = ""
    logprobs: JSONDict | None = None
    index: int = 0
    generation_id: str | None = None
    reply: Reply | None = None
