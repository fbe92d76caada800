"""Reads a text of any length in parts: the model takes notes on each part, and answers from the notes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfm_adapter.apps.mcp.splitting import likely_tokens, packed, split
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError

if TYPE_CHECKING:
    from lfm_adapter.apps.mcp.invocation import ToolInvocation
    from lfm_adapter.types import Reply

_UNKNOWN_CONTEXT = 8_192  # the default of `lfm local`
_MAX_PARTS = 200
_MIN_PART_TOKENS = 256
_TEMPLATE_TOKENS = 256


@dataclass
class DocumentReader:
    """Reads one text for one call of a tool.

    Attributes:
        call: The call of the tool, which asks the model.
        task: The task for the whole text.
        notes_task: The task for each part, if there are several.
        max_tokens: Maximum tokens of the answer; 0 for the session's default.
        parts: The number of parts that the text was read in.
    """

    call: ToolInvocation
    task: str
    notes_task: str
    max_tokens: int = 0
    parts: int = 0

    async def read(self, text: str) -> Reply:
        """Return the model's answer to the task for a text."""
        tokens = likely_tokens(text)
        if tokens > self._part_tokens * _MAX_PARTS:
            raise ConfigurationError(
                f"The text is too long: about {tokens:,} tokens, but the maximum for this model is "
                f"{self._part_tokens * _MAX_PARTS:,}. Pass less text, or choose a model with a longer context."
            )
        parts = await asyncio.to_thread(split, text, self._part_tokens)
        if len(parts) == 1:
            try:
                reply = await self._ask(self.task, text)
            except ContextWindowExceededError:
                parts = self._halves(text)
            else:
                self.parts = 1
                return reply
        return await self._combine(await self.call.ask_each(parts, self._note, "parts read"))

    async def _note(self, part: str) -> str:
        """Return the notes on a part, or on its halves if the server rejects it as too long."""
        try:
            reply = await self._ask(self.notes_task, part, max_tokens=self._note_tokens)
        except ContextWindowExceededError:
            return "\n".join([await self._note(half) for half in self._halves(part)])
        self.parts += 1
        return reply.text.strip()

    async def _combine(self, notes: list[str]) -> Reply:
        """Return the answer from notes, after condensing them until they fit."""
        read = self.parts
        pieces = [f"{note}\n\n" for note in notes]
        while len(groups := packed(pieces, self._part_tokens)) > 1 and len(groups) < len(pieces):
            pieces = [f"{note}\n\n" for note in await self.call.ask_each(groups, self._note, "parts read")]
        self.parts = read
        self.call.report("Combining the notes")
        return await self._ask(f"{self.task} You are given notes on its parts, in their order.", "".join(pieces))

    async def _ask(self, task: str, text: str, *, max_tokens: int = 0) -> Reply:
        # The task comes last, because small models forget a task before a long text.
        messages = [{"role": "user", "content": f"<text>\n{text}\n</text>\n\n{task}"}]
        return await self.call.ask(messages, max_tokens=max_tokens or self.max_tokens)

    def _halves(self, text: str) -> list[str]:
        tokens = likely_tokens(text)
        if tokens <= _MIN_PART_TOKENS:
            raise ConfigurationError("The context of this model is too short to read a text. Choose another model.")
        return split(text, tokens // 2 + 1)

    @property
    def _part_tokens(self) -> int:
        """The tokens of text that fit into one prompt."""
        context = self.call.context_length or _UNKNOWN_CONTEXT
        answer = self.max_tokens or self.call.session.max_tokens
        return max(_MIN_PART_TOKENS, context - min(answer, context // 2) - likely_tokens(self.task) - _TEMPLATE_TOKENS)

    @property
    def _note_tokens(self) -> int:
        # The notes on several parts must fit into one prompt, and reasoning needs tokens too.
        return max(64, min(self.call.session.max_tokens, self._part_tokens // 4))
