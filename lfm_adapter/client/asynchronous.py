"""`AsyncLFMClient`: asks without blocking the event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lfm_adapter.client.attempts import DRAIN_S, Attempts
from lfm_adapter.client.base import BaseClient
from lfm_adapter.client.call import deltas_of, endpoints_call, key_call, models_call
from lfm_adapter.client.exchange import Exchange
from lfm_adapter.errors import APIError
from lfm_adapter.openrouter.reply import is_event_stream
from lfm_adapter.openrouter.values import Delta
from lfm_adapter.transport.base import AsyncTransport
from lfm_adapter.transport.streams import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    from lfm_adapter.client.call import Call, ChatCall
    from lfm_adapter.openrouter.values import Reply
    from lfm_adapter.openrouter.wire import JSONDict
    from lfm_adapter.transport.base import AsyncResponse

__all__ = ["AsyncLFMClient", "AsyncStream"]

R = TypeVar("R")


class AsyncLFMClient(BaseClient[AsyncTransport]):
    """The twin of `LFMClient` for asyncio: the same arguments, the same results, the same errors.

    One instance may be used from any number of event loops, one after the other or in different threads.
    """

    @staticmethod
    def _default_transport() -> AsyncTransport:
        return AiohttpTransport()

    async def chat(
        self, messages: str | Sequence[Mapping[str, Any]], *, model: str | None = None, **parameters: Any
    ) -> Reply:
        """Ask for a reply and wait for all of it.

        Args:
            messages: A question, or messages in OpenAI's form: `[{"role": "user", "content": "…"}]`.
            model: Another model than the client's.
            **parameters: See `LFMClient.chat`.

        Returns:
            The whole reply.

        Raises:
            ConfigurationError: The request cannot be sent as it is.
            APIError: It was refused or failed; the class says how.
        """
        exchange = Exchange(self.settings, messages, model, parameters, stream=False)
        while exchange.reply is None:
            try:
                exchange.take(await self._run(exchange.call))
            except APIError as error:
                exchange.after(error)
        return exchange.reply

    def stream(
        self, messages: str | Sequence[Mapping[str, Any]], *, model: str | None = None, **parameters: Any
    ) -> AsyncStream:
        """Ask for a reply and read it while it is written.

        Args:
            messages: See `chat`.
            model: See `chat`.
            **parameters: See `chat`.

        Returns:
            An iterator of deltas. Nothing is sent before the first is asked for.

        Raises:
            ConfigurationError: The request cannot be sent as it is.
            ContextWindowExceededError: The prompt cannot fit.
        """
        return AsyncStream(self._deltas(Exchange(self.settings, messages, model, parameters, stream=True)))

    async def models(self) -> list[JSONDict]:
        """Return the models that are served, as OpenRouter lists them. Needs no key."""
        return await self._run(models_call(self.settings))

    async def endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return await self._run(endpoints_call(self.settings, model))

    async def key(self) -> JSONDict:
        """Return what OpenRouter knows of the key: its limits and its usage in US$. The cheapest way to check one."""
        return await self._run(key_call(self.settings))

    async def _run(self, call: Call[R]) -> R:
        attempts = Attempts(call)
        while True:
            try:
                response = await self._transport.send(attempts.request())
                return call.read(response.status, response.headers, await self._body(response, attempts))
            except APIError as error:
                await asyncio.sleep(attempts.wait_s(error))

    async def _body(self, response: AsyncResponse, attempts: Attempts) -> bytes:
        body = attempts.body(response.status)
        try:
            while piece := await response.read(attempts.silence_s()):
                body.add(piece)
        finally:
            response.close()
        return body.whole()

    async def _deltas(self, exchange: Exchange) -> AsyncGenerator[Delta]:
        while exchange.reply is None:
            try:
                async with aclosing(self._answer(exchange.call)) as deltas:
                    async for delta in deltas:
                        for passed in exchange.pass_on(delta):
                            yield passed
            except APIError as error:
                exchange.after(error)

    async def _answer(self, call: ChatCall) -> AsyncGenerator[Delta]:
        attempts = Attempts(call)
        while True:
            try:
                async with aclosing(self._attempt(call, attempts)) as deltas:
                    async for delta in deltas:
                        yield delta
            except APIError as error:
                await asyncio.sleep(attempts.wait_s(error))
            else:
                return

    async def _attempt(self, call: ChatCall, attempts: Attempts) -> AsyncGenerator[Delta]:
        response = await self._transport.send(attempts.request())
        try:
            if not is_event_stream(response.status, response.headers):
                body = await self._body(response, attempts)
                for delta in deltas_of(call.read(response.status, response.headers, body)):
                    yield delta
                return
            reader = attempts.watch(call.reader(response.headers))
            while reader.reply is None:
                for delta in reader.feed(await response.read(attempts.silence_s())):
                    yield delta
            with suppress(APIError):
                await response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=call.finish(reader.reply))


class AsyncStream:
    """The twin of `Stream` for asyncio.

    Attributes:
        reply: The whole reply, once the stream has come to its end.
    """

    def __init__(self, deltas: AsyncGenerator[Delta]) -> None:
        self.reply: Reply | None = None
        self._deltas = deltas

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        delta = await anext(self._deltas)
        self.reply = delta.reply
        return delta

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection at once if the reply has not come to its end."""
        await self._deltas.aclose()
