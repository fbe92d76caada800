"""A stream whose finish reason comes twice, with the tool call each time.

Seen since June 2026: https://github.com/QwenLM/qwen-code/issues/2402,
https://github.com/langchain-ai/langchain/issues/38349
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter.testing import chunk, events, token_usage, tool_call

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedReply

__all__ = ["repeated_finish"]


def repeated_finish(arguments: str, *, streamed: bool) -> ScriptedReply:
    """The call, streamed or in the finish chunk, which then comes once more with the usage and the whole call."""
    said = {"content": None, "tool_calls": [{"index": 0, **tool_call("weather", arguments)}]}
    opened = {"content": None, "tool_calls": [{"index": 0, **tool_call("weather", "")}]}
    grown = {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}
    before = [chunk(opened), chunk(grown)] if streamed else []
    first = chunk({"content": ""} if streamed else said, finish_reason="tool_calls")
    return events(*before, first, chunk(said, finish_reason="tool_calls", usage=token_usage()))
