"""Calls out of text while it is written: `CallReader`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter.openrouter.values import ToolCall
    from lfm_adapter.toolcalls.tools import Tools

__all__ = ["CallReader"]


class CallReader:
    """Finds calls in text while it is written.

    Attributes:
        calls: The whole calls so far, in order.
    """

    def __init__(self, tools: Tools, *, make_id: Callable[[int], str], first_index: int = 0) -> None:
        self.calls: list[ToolCall] = []

    def feed(self, text: str) -> list[str | ToolCall]:
        """Take the next characters, and return what is to be handed on: text, and pieces of calls."""
        return [text]

    def close(self) -> list[str | ToolCall]:
        """Return what is left at the end of the answer."""
        return []
