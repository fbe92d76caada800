"""One call of a tool: the questions it asks, its progress, and the result that it ends in."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from mcp.types import CallToolResult, TextContent

from lfm_adapter.apps.mcp.advice import advice_on
from lfm_adapter.apps.mcp.session import Tally
from lfm_adapter.errors import LFMError, OutputValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from mcp.server.mcpserver import Context
    from pydantic import BaseModel

    from lfm_adapter.apps.mcp.session import Session
    from lfm_adapter.types import Reply

__all__ = ["ERROR_META", "USAGE_META", "Call"]

USAGE_META = "lfm-adapter/usage"
"""The key in `_meta` under which every result tells tokens and cost."""

ERROR_META = "lfm-adapter/error"
"""The key in `_meta` under which an error tells what it is."""

# About as many as a small model writes in a second.
_PIECES_BETWEEN_REPORTS = 50

# Clients give up on a call of which they hear nothing, many after a minute. A model may read, reason or wait in line.
SIGN_OF_LIFE_S = 10.0

_CUT_OFF = "[The answer was cut off. Ask for less, or raise `max_tokens` where the tool takes it.]"


class Call:
    """A call under way. As a context manager it takes the errors of this package, and makes them its result.

    Args:
        session: Asks the model.
        context: Tells the client about progress.
        model: Another model than the session's.
    """

    def __init__(self, session: Session, context: Context, model: str = "") -> None:
        self.session = session
        self.model = model
        self.tally = Tally()
        self.result = CallToolResult(content=[])
        self._context = context
        self._pieces = 0
        self._progress = 0
        self._signs_of_life: asyncio.Task[None] | None = None

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and answer that the model takes together, where known."""
        return self.session.context_length or self.session.card(self.model).context_length

    async def ask(self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = 0, **parameters: Any) -> Reply:
        """Ask the model, reporting progress while it writes.

        Raises:
            LFMError: See `Session.ask`.
            OutputValidationError: It refused, or said nothing.
        """
        reply = await self.session.ask(
            messages, [self.tally], model=self.model, max_tokens=max_tokens, on_piece=self._count_piece, **parameters
        )
        refusal = reply.choices[0].refusal
        if refusal or not reply.text.strip():
            raise OutputValidationError(_no_answer(reply, refusal), model=self.named(reply), partial=reply)
        return reply

    async def report(self, message: str) -> None:
        """Tell the client what has been done."""
        # A number that grows, as it has to: that of pieces written, by parts that may be written side by side.
        self._progress = max(self._progress + 1, self._pieces)
        await self._context.report_progress(self._progress, message=message)

    def named(self, reply: Reply) -> str:
        """Return the model that answered, by its name in the reply if that has one."""
        return reply.model or self.model or self.session.model

    def done(self, answer: BaseModel, text: str | None = None) -> None:
        """End the call.

        Args:
            answer: What the output schema promises.
            text: The same for a reader of text; None for the answer's JSON.
        """
        structured = answer.model_dump(mode="json")
        told = json.dumps(structured, ensure_ascii=False) if text is None else text
        self.result = self._result(told, structured_content=structured)
        if structured.get("truncated"):  # which not every agent gets to see
            self.result.content.append(TextContent(type="text", text=_CUT_OFF))

    async def __aenter__(self) -> Self:
        self._signs_of_life = asyncio.create_task(self._give_signs_of_life())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._signs_of_life is not None:
            self._signs_of_life.cancel()
        if not isinstance(error, LFMError):
            return False
        advice = advice_on(error)
        self.result = self._result(advice.text, is_error=True, meta={ERROR_META: advice.facts})
        return True

    def _result(self, text: str, *, meta: Mapping[str, Any] | None = None, **fields: Any) -> CallToolResult:
        tally = self.tally
        used = {
            "answers": tally.answers,
            "prompt_tokens": tally.prompt_tokens,
            "completion_tokens": tally.completion_tokens,
            "cost_usd": float(tally.cost_usd) if not tally.unpriced else None,
        }
        if tally.uncertain_usd:
            used["uncertain_usd"] = float(tally.uncertain_usd)
        told = {USAGE_META: used, **(meta or {})}
        return CallToolResult(content=[TextContent(type="text", text=text)], _meta=told, **fields)

    async def _give_signs_of_life(self) -> None:
        with suppress(Exception):  # a client that has gone hears of nothing
            while True:
                await asyncio.sleep(SIGN_OF_LIFE_S)
                await self.report("Waiting for the model")

    async def _count_piece(self) -> None:
        self._pieces += 1
        if self._pieces % _PIECES_BETWEEN_REPORTS == 0:
            await self.report(f"{self._pieces} pieces written")


def _no_answer(reply: Reply, refusal: str | None) -> str:
    if refusal:
        return f"The model refused: {refusal}."
    if reply.finish_reason == "content_filter":
        return "The provider's content filter stopped the answer. Word the question otherwise."
    if reply.finish_reason == "length":
        return "The model wrote no answer: its reasoning took all of `max_tokens`. Raise it."
    return "The model wrote no answer."
