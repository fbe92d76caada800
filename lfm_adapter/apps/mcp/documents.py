"""A text of any length, read in parts: each part becomes notes, and the notes become the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfm_adapter.apps.mcp.splitting import likely_tokens, packed, split
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError, LFMError

if TYPE_CHECKING:
    from lfm_adapter.apps.mcp.call import Call
    from lfm_adapter.types import Reply

__all__ = ["Reader"]

_UNKNOWN_CONTEXT = 8_192
"""What `lfm local` gives each request."""

_MAX_PARTS = 200
_MIN_PART_TOKENS = 256
_SIDE_BY_SIDE = 4
_TEMPLATE_TOKENS = 256


@dataclass
class Reader:
    """Reads one text for one call of a tool.

    Attributes:
        call: Asks the model.
        task: What is to be made of the text.
        notes_task: What is to be noted of each part, where it has several.
        max_tokens: The most tokens of the answer, or 0 for the session's number.
        parts: In how many parts the text was read.
    """

    call: Call
    task: str
    notes_task: str
    max_tokens: int = 0
    parts: int = 0

    async def read(self, text: str) -> Reply:
        """Return the model's answer to the task."""
        tokens = likely_tokens(text)
        if tokens > self._room * _MAX_PARTS:
            raise ConfigurationError(
                f"The text is too long: about {tokens:,} tokens, where {self._room * _MAX_PARTS:,} at most are read "
                "with this model. Pass less of it, or choose a model with a longer context."
            )
        parts = await asyncio.to_thread(split, text, self._room)
        if len(parts) == 1:
            try:
                reply = await self._ask(self.task, text)
            except ContextWindowExceededError:
                parts = self._halves(text)
            else:
                self.parts = 1
                return reply
        return await self._combine(await self._notes(parts))

    async def _notes(self, parts: list[str]) -> list[str]:
        """Return the notes of each part, in order."""
        slots = asyncio.Semaphore(_SIDE_BY_SIDE)
        done = 0

        async def note(part: str) -> str:
            nonlocal done
            async with slots:
                noted = await self._note(part)
            done += 1
            await self.call.report(f"{done} of {len(parts)} parts read")
            return noted

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(note(part)) for part in parts]
        except* LFMError as errors:
            raise _first(errors) from None
        return [task.result() for task in tasks]

    async def _note(self, part: str) -> str:
        """Return the notes of a part; of its halves, if the server finds it too long."""
        try:
            reply = await self._ask(self.notes_task, part, max_tokens=self._note_tokens)
        except ContextWindowExceededError:
            noted = [await self._note(half) for half in self._halves(part)]
            return "\n".join(noted)
        self.parts += 1
        return reply.text.strip()

    async def _combine(self, notes: list[str]) -> Reply:
        """Return the answer that a text's notes lead to, made shorter first while they do not fit."""
        read = self.parts
        joined = [f"{note}\n\n" for note in notes]
        while len(groups := packed(joined, self._room)) > 1 and len(groups) < len(joined):
            joined = [f"{note}\n\n" for note in await self._notes(groups)]
        self.parts = read
        await self.call.report("Putting the parts together")
        return await self._ask(f"{self.task} You are given notes on its parts, in their order.", "".join(joined))

    async def _ask(self, task: str, text: str, *, max_tokens: int = 0) -> Reply:
        # The task stands last, where a small model does not lose it.
        messages = [{"role": "user", "content": f"<text>\n{text}\n</text>\n\n{task}"}]
        return await self.call.ask(messages, max_tokens=max_tokens or self.max_tokens)

    def _halves(self, text: str) -> list[str]:
        tokens = likely_tokens(text)
        if tokens <= _MIN_PART_TOKENS:
            raise ConfigurationError("The context of this model is too short for a text. Choose another model.")
        return split(text, tokens // 2 + 1)

    @property
    def _room(self) -> int:
        """How many tokens of text go into one prompt."""
        context = self.call.context_length or _UNKNOWN_CONTEXT
        answer = self.max_tokens or self.call.session.max_tokens
        return max(_MIN_PART_TOKENS, context - min(answer, context // 2) - likely_tokens(self.task) - _TEMPLATE_TOKENS)

    @property
    def _note_tokens(self) -> int:
        # So that the notes of several parts fit into one prompt; reasoning takes its share of them.
        return max(64, min(self.call.session.max_tokens, self._room // 4))


def _first(errors: BaseExceptionGroup[LFMError]) -> LFMError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
