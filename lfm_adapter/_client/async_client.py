"""`AsyncLFMClient`: sends requests without blocking the event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from lfm_adapter._client.base import BaseClient
from lfm_adapter._client.catalog_refresh import arefresh_catalog
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import deltas_of, endpoints_request, key_request, models_request
from lfm_adapter._client.retries import DRAIN_S, Attempts
from lfm_adapter._openrouter.response import is_event_stream
from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter.errors import APIError
from lfm_adapter.types import AsyncStream, AsyncTransport, Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from lfm_adapter._client.exchange import Messages
    from lfm_adapter._client.request import ApiRequest, CompletionRequest
    from lfm_adapter.types import AsyncHTTPResponse, ChatParameters, JSONDict, ModelCard, Reply

__all__ = ["AsyncLFMClient"]

R = TypeVar("R")


@dataclass(kw_only=True, eq=False, repr=False)
class AsyncLFMClient(BaseClient[AsyncTransport]):
    """`LFMClient` for asyncio: the same arguments, the same results, the same errors.

    A client may be used from any number of event loops, one after the other or in different threads.
    """

    @staticmethod
    def _default_transport() -> AsyncTransport:
        return AiohttpTransport()

    async def chat(
        self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]
    ) -> Reply:
        """Send messages and wait for the whole reply: see `LFMClient.chat`."""
        exchange = Exchange(self._settings, messages, model, parameters, stream=False)
        while exchange.reply is None:
            try:
                exchange.on_response(await self._run(exchange.request))
            except APIError as error:
                exchange.on_error(error)
        return exchange.reply

    def stream(
        self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]
    ) -> AsyncStream:
        """Send messages and read the reply while it is written: see `LFMClient.stream`."""
        return AsyncStream(self._deltas(Exchange(self._settings, messages, model, parameters, stream=True)))

    async def list_models(self) -> list[JSONDict]:
        """Return the models as OpenRouter lists them. Needs no key."""
        return await self._run(models_request(self._settings))

    async def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return await self._run(endpoints_request(self._settings, model))

    async def key_info(self) -> JSONDict:
        """Return the limits of the key and its usage in US$: the cheapest way to check one."""
        return await self._run(key_request(self._settings))

    async def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: see `LFMClient.refresh_catalog`."""
        return await arefresh_catalog(self, checked=datetime.now(tz=UTC).date())

    async def _run(self, request: ApiRequest[R]) -> R:
        attempts = Attempts(request)
        while True:
            try:
                response = await self._transport.send(attempts.begin())
                return request.read(response.status_code, response.headers, await self._body(response, attempts))
            except APIError as error:
                await asyncio.sleep(attempts.retry_delay(error))

    async def _body(self, response: AsyncHTTPResponse, attempts: Attempts) -> bytes:
        try:
            while piece := await response.read(attempts.read_timeout()):
                attempts.add_body(piece, response.status_code)
        finally:
            response.close()
        return attempts.take_body()

    async def _deltas(self, exchange: Exchange) -> AsyncGenerator[Delta]:
        while exchange.reply is None:
            try:
                async with aclosing(self._response(exchange.request)) as deltas:
                    async for delta in deltas:
                        for passed in exchange.on_delta(delta):
                            yield passed
            except APIError as error:
                exchange.on_error(error)

    async def _response(self, request: CompletionRequest) -> AsyncGenerator[Delta]:
        attempts = Attempts(request)
        while True:
            try:
                async with aclosing(self._attempt(request, attempts)) as deltas:
                    async for delta in deltas:
                        yield delta
            except APIError as error:
                await asyncio.sleep(attempts.retry_delay(error))
            else:
                return

    async def _attempt(self, request: CompletionRequest, attempts: Attempts) -> AsyncGenerator[Delta]:
        response = await self._transport.send(attempts.begin())
        try:
            if not is_event_stream(response.status_code, response.headers):
                body = await self._body(response, attempts)
                for delta in deltas_of(request.read(response.status_code, response.headers, body)):
                    yield delta
                return
            reader = attempts.watch(request.reader(response.headers))
            while reader.reply is None:
                for delta in reader.feed(await response.read(attempts.read_timeout())):
                    yield delta
            with suppress(APIError):
                await response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=request.complete(reader.reply))
