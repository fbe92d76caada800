"""One call of a tool: its questions to the model, its progress, and its result."""

from __future__ import annotations

import asyncio
import itertools
import logging
import tempfile
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent

from lfm_adapter import errors
from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._client.metering import arrived
from lfm_adapter.apps.mcp.advice import advice_on, facts_of, no_answer
from lfm_adapter.apps.mcp.files import Roots
from lfm_adapter.apps.mcp.session import Tally
from lfm_adapter.apps.mcp.splitting import likely_tokens, split
from lfm_adapter.apps.mcp.surrogates import join_halves

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from mcp.server.context import ServerRequestContext

    from lfm_adapter.apps.mcp.result import Result
    from lfm_adapter.apps.mcp.session import Session
    from lfm_adapter.types import DecisionReply, EmbeddingReply, ModelCard, Question, Reply

T = TypeVar("T")
R = TypeVar("R", "Reply", "DecisionReply")

CONCURRENCY = 4

_MAX_APP_CHARS = 64

_log = logging.getLogger(__name__)

# Keys of a result's `_meta`: tokens and cost, and the kind of an error.
USAGE_META = "lfm-adapter/usage"
ERROR_META = "lfm-adapter/error"

NOTE_INTERVAL_S = 1.0

# Many clients give up on a call after a minute without progress, and a model may read or reason for longer.
NOTES_PER_HEARTBEAT = 10

# Some clients fail if a notification arrives right before the result:
# https://github.com/modelcontextprotocol/typescript-sdk/issues/2580
QUIET_S = 0.15

# Claude Code takes 25,000 tokens: https://code.claude.com/docs/en/mcp#mcp-output-limits-and-warnings
MAX_RESULT_TOKENS = 20_000

_CUT_OFF = "[The answer was cut off. Ask for less, or raise `max_tokens` if the tool has it.]"


class ToolInvocation:
    """A call in progress. As a context manager it turns errors into the result of the call.

    Args:
        session: The session with the model.
        context: The request, for progress notifications.
    """

    def __init__(self, session: Session, context: ServerRequestContext[Any, Any]) -> None:
        self.session = session
        self.model = ""
        self.roots = Roots()
        self.tally = Tally()
        self.result = CallToolResult(content=[])
        self._context = context
        self._status = ""
        self._chunks = 0
        self._noted_at_s = 0.0

    @property
    def context_length(self) -> int | None:
        """The model's context in tokens, if known."""
        return self.session.context_length or self.session.card(self.model).context_length

    async def ask(self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = 0, **parameters: Any) -> Reply:
        """Ask the model, reporting progress while it writes.

        Args:
            messages: Messages in OpenAI's form.
            max_tokens: Maximum tokens of the answer. Default: the session's.
            **parameters: See `AsyncLFMClient.chat`. An answer that must match `response_format` is not streamed, so
                that the model can correct it.

        Raises:
            LFMError: The server or the budget refused the request, or it failed.
            OutputValidationError: The model refused, or wrote nothing.
        """
        client, card = self._client(), self.session.card(self.model)
        if card.kind == "decisions":
            raise errors.ConfigurationError(f"`{card.id}` works only with the tool `classify`. Choose a chat model.")
        parameters |= {"model": self.model or None, "max_tokens": max_tokens or self.session.max_tokens}
        parameters |= self.session.price_cap(card)
        send = client.chat if "response_format" in parameters else partial(self._stream, client)
        reply = await self._counted(card, send(messages, **parameters))
        if reply.choices[0].refusal or not reply.text.strip():
            raise errors.OutputValidationError(no_answer(reply), model=self.answered_by(reply), partial=reply)
        return reply

    async def decide(self, state: str, questions: Mapping[str, Question], model: str) -> DecisionReply:
        """Ask a decision model.

        Raises:
            LFMError: See `ask`.
        """
        card = self.session.card(model)
        asked = self._client().decide(state, questions, model=model, **self.session.price_cap(card))
        return await self._counted(card, asked)

    def _client(self) -> AsyncLFMClient:
        if not self.session.has_model:
            raise errors.ConfigurationError("No model is available. Only the user can fix this: tell them.")
        client = self._context.session.client_params
        meter = self.session.meter(client.client_info.name[:_MAX_APP_CHARS] if client else "mcp")
        settings = self.session.settings.with_overrides({"meter": meter})
        return AsyncLFMClient.from_settings(settings, self.session.client._transport)

    async def _stream(self, client: AsyncLFMClient, messages: Sequence[Mapping[str, Any]], **parameters: Any) -> Reply:
        async with client.stream(messages, **parameters) as stream:
            async for _ in stream:
                self._chunks += 1
        return cast("Reply", stream.reply)

    async def _counted(self, card: ModelCard, asked: Awaitable[R]) -> R:
        """Return a reply and count its usage. A partial reply in an error is counted too."""
        try:
            reply = await asked
        except errors.LFMError as error:
            if (part := arrived(error)) is not None:
                self._count(card, part)
            raise
        self._count(card, reply)
        return reply

    def _count(self, card: ModelCard, reply: Reply | DecisionReply | EmbeddingReply) -> None:
        for tally in (self.session.tallies.setdefault(card.id, Tally()), self.tally):
            tally.add(reply, is_free=self.session.is_local)

    async def ask_each(self, items: Sequence[str], ask: Callable[[str], Awaitable[T]], what: str) -> list[T]:
        """Ask about each item, a few at a time. `what` names the finished items in progress notifications.

        Raises:
            LFMError: The first failure. The other questions are cancelled.
        """
        slots = asyncio.Semaphore(CONCURRENCY)
        done = 0

        async def ask_one(item: str) -> T:
            nonlocal done
            async with slots:
                answer = await ask(item)
            done += 1
            self.report(f"{done} of {len(items)} {what}")
            return answer

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask_one(item)) for item in items]
        except* errors.LFMError as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    def report(self, status: str) -> None:
        """Set the text of the next progress notification."""
        self._status = status

    def answered_by(self, reply: Reply | DecisionReply) -> str:
        """Return the model that answered."""
        return reply.model or self.model or self.session.model

    def finish(self, answer: Result) -> None:
        """Set the result. A text that is too large for clients is cut, with a note; such an object is an error."""
        if (tokens := likely_tokens(str(answer))) > MAX_RESULT_TOKENS:
            text = f"{split(str(answer), MAX_RESULT_TOKENS)[0]}\n\n{self._about_the_rest(answer, tokens)}"
            if not answer.text_field:
                self._fail(text, {"type": "ResultTooLarge"})
                return
            answer = answer.model_copy(update={answer.text_field: text})
        self._set_result(str(answer))
        self.result.structured_content = join_halves(answer.model_dump())
        if getattr(answer, "truncated", False):  # some clients do not show `truncated` to their agent
            self.result.content.append(TextContent(type="text", text=_CUT_OFF))

    async def __aenter__(self) -> Self:
        self._reporter = asyncio.create_task(self._report_progress())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._reporter.cancel()
        if error is None or isinstance(error, Exception):
            await asyncio.wait([self._reporter])  # it may be sending
        if isinstance(error, errors.LFMError):
            self._fail(f"{error} {advice_on(error)}".strip(), facts_of(error))
        elif isinstance(error, Exception) and not isinstance(error, MCPError):
            _log.error("A call failed unexpectedly", exc_info=error)
            name = type(error).__name__
            self._fail(f"The server failed unexpectedly ({name}). Another call may succeed.", {"type": name})
        elif error is not None:
            return False
        await asyncio.sleep(self._noted_at_s + QUIET_S - time.monotonic())
        return True

    def _about_the_rest(self, answer: Result, tokens: int) -> str:
        folder = self.session.results_folder
        cut = f"[Cut here: the whole result has about {tokens:,} tokens, more than many assistants take."
        if folder is None:
            return f"{cut} Ask for less, or let the user start the server with `--save-results FOLDER`.]"
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=folder, prefix="lfm-", suffix=".txt", delete=False
            ) as file:
                file.write(join_halves(str(answer)))
        except OSError as error:
            return f"{cut} It could not be saved in {folder}: {error.strerror}.]"
        return f"{cut} It was saved to {file.name}.]"

    def _fail(self, text: str, facts: Mapping[str, Any]) -> None:
        self._set_result(text, {ERROR_META: facts})
        self.result.is_error = True

    def _set_result(self, text: str, meta: Mapping[str, Any] | None = None) -> None:
        usage = self.tally.model_dump(exclude={"unpriced_answers"})
        if self.tally.unpriced_answers:
            usage["cost_usd"] = None
        texts = join_halves([text, *self.session.problems])
        content = [TextContent(type="text", text=text) for text in texts]
        self.result = CallToolResult(content=[*content], _meta=join_halves({USAGE_META: usage, **(meta or {})}))

    async def _report_progress(self) -> None:
        """Notify the client of progress, at most once per interval, and regularly that the call is alive."""
        reported: tuple[str, int] = ("", 0)
        with suppress(Exception):  # the client may be gone
            for count in itertools.count(1):
                await asyncio.sleep(NOTE_INTERVAL_S)
                if reported != (reported := (self._status, self._chunks)) or count % NOTES_PER_HEARTBEAT == 0:
                    written = f"{self._chunks} chunks written" if self._chunks else ""
                    message = ", ".join(filter(None, (self._status, written))) or "Waiting for the model"
                    try:
                        await self._context.session.report_progress(count, message=message)
                    finally:
                        self._noted_at_s = time.monotonic()
