"""Calls out of a whole text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfm_adapter._toolcalls.stream import CallReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import ToolCall

__all__ = ["read_calls"]


def read_calls(text: str, tools: Tools, *, make_id: Callable[[int], str]) -> tuple[str, list[ToolCall]]:
    """Return a text without the calls in it, and the calls. See `CallReader`, which finds them.

    Args:
        text: What a model wrote.
        tools: What it may call.
        make_id: Makes the id of a call, from its place.
    """
    reader = CallReader(tools, make_id=make_id)
    pieces = [*reader.feed(text), *reader.close()]
    return "".join(piece for piece in pieces if isinstance(piece, str)), reader.calls
