"""A stream whose finish reason comes twice, with the tool call each time.

Seen since June 2026: https://github.com/QwenLM/qwen-code/issues/2402,
https://github.com/langchain-ai/langchain/issues/38349
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.openrouter_replies import chunk, events, tool_call, usage_of

if TYPE_CHECKING:
    from tests.support.http_reply import Reply

__all__ = ["repeated_finish"]


def repeated_finish(arguments: str, *, streamed: bool) -> Reply:
    """The call, streamed or in the finish chunk, which then comes once more with the usage and the whole call."""
    said = {"content": None, "tool_calls": [{"index": 0, **tool_call("weather", arguments)}]}
    opened = {"content": None, "tool_calls": [{"index": 0, **tool_call("weather", "")}]}
    grown = {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}
    before = [chunk(opened), chunk(grown)] if streamed else []
    first = chunk({"content": ""} if streamed else said, finish_reason="tool_calls")
    return events(*before, first, chunk(said, finish_reason="tool_calls", usage=usage_of()))
