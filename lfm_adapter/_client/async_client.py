"""`AsyncLFMClient`: asks without blocking the event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lfm_adapter._client.attempts import DRAIN_S, Attempts
from lfm_adapter._client.base import BaseClient
from lfm_adapter._client.catalog_refresh import arefresh_catalog
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import deltas_of, endpoints_call, key_call, models_call
from lfm_adapter._openrouter.response import is_event_stream
from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter.errors import APIError
from lfm_adapter.types import AsyncStream, AsyncTransport, Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from lfm_adapter._client.request import Call, ChatCall
    from lfm_adapter.types import AsyncHTTPResponse, JSONDict, ModelCard, Reply

__all__ = ["AsyncLFMClient"]

R = TypeVar("R")


@dataclass(kw_only=True, eq=False, repr=False)
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
                exchange.on_response(await self._run(exchange.call))
            except APIError as error:
                exchange.on_error(error)
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

    async def list_models(self) -> list[JSONDict]:
        """Return the models that are served, as OpenRouter lists them. Needs no key."""
        return await self._run(models_call(self.settings))

    async def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return await self._run(endpoints_call(self.settings, model))

    async def key_info(self) -> JSONDict:
        """Return what OpenRouter knows of the key: its limits and its usage in US$. The cheapest way to check one."""
        return await self._run(key_call(self.settings))

    async def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: models, prices, limits, endpoints. Needs no key.

        Returns:
            The models of `catalog.models()`, in the same order, then models new to it. A chat model that is no longer
            listed comes back retired.

        Raises:
            APIError: A request failed.
            ResponseError: The listing has no Liquid model, so `base_url` is not OpenRouter's.
        """
        return await arefresh_catalog(self, checked=datetime.now(tz=UTC).date())

    async def _run(self, call: Call[R]) -> R:
        attempts = Attempts(call)
        while True:
            try:
                response = await self._transport.send(attempts.request())
                return call.read(response.status_code, response.headers, await self._body(response, attempts))
            except APIError as error:
                await asyncio.sleep(attempts.wait_s(error))

    async def _body(self, response: AsyncHTTPResponse, attempts: Attempts) -> bytes:
        body = attempts.body(response.status_code)
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
                        for passed in exchange.on_delta(delta):
                            yield passed
            except APIError as error:
                exchange.on_error(error)

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
            if not is_event_stream(response.status_code, response.headers):
                body = await self._body(response, attempts)
                for delta in deltas_of(call.read(response.status_code, response.headers, body)):
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
