"""What the tools return, as the output schemas have it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = [
    "Answer",
    "Classification",
    "CommitMessage",
    "Extraction",
    "ListedModel",
    "ModelList",
    "ModelUsage",
    "Summary",
    "Usage",
]


class Answer(BaseModel):
    """What `ask` returns."""

    text: str = Field(description="The answer.")
    model: str = Field(description="The model that answered.")
    truncated: bool = Field(description="Whether it was cut off at `max_tokens`.")


class Summary(BaseModel):
    """What `summarize` returns."""

    summary: str = Field(description="The summary.")
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(
        description="How many parts the text was read in; more than 1 where it was longer than a prompt."
    )
    truncated: bool = Field(description="Whether the summary was cut off.")


class Extraction(BaseModel):
    """What `extract` returns."""

    data: dict[str, Any] = Field(description="The object. It has been validated against your schema.")
    model: str = Field(description="The model that found it.")


class Classification(BaseModel):
    """What `classify` returns."""

    label: str = Field(description="One of your labels, spelt as you gave it.")
    model: str = Field(description="The model that chose it.")


class CommitMessage(BaseModel):
    """What `commit_message` returns."""

    message: str = Field(description="The whole message: subject, empty line, body.")
    subject: str = Field(description="Its first line.")
    body: str = Field(description='The rest, or "".')
    model: str = Field(description="The model that wrote it.")
    parts: int = Field(description="How many parts the diff was read in.")
    truncated: bool = Field(description="Whether the message was cut off.")


class ListedModel(BaseModel):
    """One model. A null means that it is not known."""

    id: str = Field(description="What to pass as `model`.")
    status: str = Field(description='"live", "preview", "unknown", or "retired": no longer served.')
    is_default: bool = Field(description="Whether it is asked where a call names no model.")
    context_length: int | None = Field(description="Tokens of prompt and answer together.")
    max_output_tokens: int | None = Field(description="Tokens of the longest answer.")
    input_usd_per_million: float | None = Field(description="US$ for a million tokens of prompt.")
    output_usd_per_million: float | None = Field(description="US$ for a million tokens of answer.")
    reasons: bool | None = Field(description="Whether it can reason before it answers, which costs tokens and time.")
    successors: list[str] = Field(description="For a retired model: what to ask instead.")


class ModelList(BaseModel):
    """What `models` returns."""

    default: str = Field(description="The model that is asked where a call names none.")
    server: str = Field(description='Who serves them: "OpenRouter", "this machine", or the address of another server.')
    models: list[ListedModel]


class ModelUsage(BaseModel):
    """What was used of one model."""

    model: str
    answers: int = Field(description="OutputReader, also such as failed half-way.")
    prompt_tokens: int
    completion_tokens: int = Field(description="Reasoning included.")
    cost_usd: float = Field(description="What was charged, as far as it is known.")


class Usage(BaseModel):
    """What `usage` returns: all since the server started."""

    answers: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float = Field(description="What was charged, as far as it is known.")
    uncertain_usd: float = Field(description="The most that calls which broke off or were cancelled can have cost.")
    unpriced_answers: int = Field(description="OutputReader of which no cost is known.")
    limit_usd: float | None = Field(description="The spending limit; null for none.")
    left_usd: float | None = Field(description="What is left of it for further calls.")
    by_model: list[ModelUsage]
