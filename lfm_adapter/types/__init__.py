"""The types that calls take and return.

Replies: `Reply`, its `Choice`s and `ToolCall`s, the `Delta`s of a stream, and `EmbeddingReply`. Requests: `ChatRequest`
and its parts, as typed dicts. Models: `ModelCard`, `Pricing`, `Cost`. Transports: the protocols for
`LFMClient(transport=...)`.
Decisions: the questions as typed dicts, `DecisionReply` and its answers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lfm_adapter.types._decisions import (
        Answer,
        Box,
        BoxAnswer,
        BoxQuestion,
        ChoiceAnswer,
        ChoiceQuestion,
        DecisionParameters,
        DecisionReply,
        NoulAnswer,
        NoulQuestion,
        OtherAnswer,
        Question,
        ScoreAnswer,
        ScoreQuestion,
        State,
    )
    from lfm_adapter.types._embeddings import EmbeddingParameters, EmbeddingReply, EmbeddingRole
    from lfm_adapter.types._models import Capabilities, Endpoint, Kind, ModelCard, Pricing, Source, Status, ToolDialect
    from lfm_adapter.types._reply import AsyncStream, Choice, Cost, Delta, Reply, Stream, TokenLimits, ToolCall
    from lfm_adapter.types._request import (
        ChatParameters,
        ChatRequest,
        FunctionCall,
        JSONDict,
        Message,
        OnInvalidOutput,
        ProviderPreferences,
        Reasoning,
        ToolCalling,
        ToolCallParam,
        WhenRetired,
    )
    from lfm_adapter.types._transport import AsyncHTTPResponse, AsyncTransport, HTTPRequest, HTTPResponse, Transport

__all__ = [
    "Answer", "AsyncHTTPResponse", "AsyncStream", "AsyncTransport", "Box", "BoxAnswer", "BoxQuestion", "Capabilities",
    "ChatParameters", "ChatRequest", "Choice", "ChoiceAnswer", "ChoiceQuestion", "Cost", "DecisionParameters",
    "DecisionReply", "Delta", "EmbeddingParameters", "EmbeddingReply", "EmbeddingRole", "Endpoint", "FunctionCall",
    "HTTPRequest", "HTTPResponse", "JSONDict", "Kind", "Message", "ModelCard", "NoulAnswer", "NoulQuestion",
    "OnInvalidOutput", "OtherAnswer", "Pricing", "ProviderPreferences", "Question", "Reasoning", "Reply",
    "ScoreAnswer", "ScoreQuestion", "Source", "State", "Status", "Stream", "TokenLimits", "ToolCall",
    "ToolCallParam", "ToolCalling", "ToolDialect", "Transport", "WhenRetired",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # On first use: the dataclasses take 10 ms to create, as much as importing all of `ChatLFM`.
    if name in __all__:
        for module in ("_request", "_reply", "_transport", "_models", "_embeddings", "_decisions"):
            names = vars(import_module(f"{__name__}.{module}"))
            if name in names:
                globals()[name] = names[name]
                return names[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
