"""The types that calls take and return.

Replies: `Reply`, its `Choice`s and `ToolCall`s, and the `Delta`s of a stream. Requests: `ChatRequest` and its parts, as
typed dicts. Models: `ModelCard`, `Pricing`, `Cost`. Transports: the protocols for `LFMClient(transport=...)`.
"""

from __future__ import annotations

from lfm_adapter.types._models import (
    Capabilities,
    Cost,
    Endpoint,
    Kind,
    ModelCard,
    Pricing,
    Source,
    Status,
    TokenLimits,
    ToolDialect,
)
from lfm_adapter.types._reply import Choice, Delta, Reply, ToolCall
from lfm_adapter.types._request import (
    ChatParameters,
    ChatRequest,
    FunctionCall,
    JSONDict,
    Message,
    OnInvalidOutput,
    Percentiles,
    ProviderPreferences,
    Reasoning,
    ToolCalling,
    ToolCallParam,
    WhenRetired,
)
from lfm_adapter.types._stream import AsyncStream, Stream
from lfm_adapter.types._transport import AsyncHTTPResponse, AsyncTransport, HTTPRequest, HTTPResponse, Transport

__all__ = [
    "AsyncHTTPResponse", "AsyncStream", "AsyncTransport", "Capabilities", "ChatParameters", "ChatRequest", "Choice",
    "Cost", "Delta", "Endpoint", "FunctionCall", "HTTPRequest", "HTTPResponse", "JSONDict", "Kind", "Message",
    "ModelCard", "OnInvalidOutput", "Percentiles", "Pricing", "ProviderPreferences", "Reasoning", "Reply", "Source",
    "Status", "Stream", "TokenLimits", "ToolCall", "ToolCallParam", "ToolCalling", "ToolDialect", "Transport",
    "WhenRetired",
]  # fmt: skip
