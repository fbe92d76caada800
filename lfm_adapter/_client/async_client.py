"""`AsyncLFMClient`: sends requests without blocking the event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lfm_adapter._client.catalog_refresh import liquid_models, refreshed_cards
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import ApiRequest, deltas_of, endpoints_request
from lfm_adapter._client.retries import DRAIN_S, Attempts
from lfm_adapter._client.settings import BaseClient
from lfm_adapter._json import as_dict, dicts
from lfm_adapter._openrouter.response import is_event_stream
from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter.errors import APIError, NotFoundError
from lfm_adapter.types import AsyncStream, AsyncTransport, Delta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from lfm_adapter._client.exchange import Messages
    from lfm_adapter.types import AsyncHTTPResponse, ChatParameters, JSONDict, ModelCard, Reply

__all__ = ["AsyncLFMClient"]


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
                exchange.on_response(await self._send(exchange.attempts))
            except APIError as error:
                if delay := exchange.on_error(error):
                    await asyncio.sleep(delay)
        return exchange.reply

    def stream(
        self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]
    ) -> AsyncStream:
        """Send messages and read the reply while it is written: see `LFMClient.stream`."""
        return AsyncStream(self._deltas(Exchange(self._settings, messages, model, parameters, stream=True)))

    async def list_models(self) -> list[JSONDict]:
        """Return the models as OpenRouter lists them. Needs no key."""
        return list(dicts(await self._run(ApiRequest(self._settings, "/models", needs_key=False))))

    async def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return as_dict(await self._run(endpoints_request(self._settings, model)))

    async def key_info(self) -> JSONDict:
        """Return the limits of the key and its usage in US$: the cheapest way to check one."""
        return as_dict(await self._run(ApiRequest(self._settings, "/key")))

    async def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: see `LFMClient.refresh_catalog`."""
        listed = liquid_models(await self.list_models())
        endpoints: dict[str, JSONDict] = {}
        for model in listed:
            with suppress(NotFoundError):  # it went away in between
                endpoints[model] = await self.list_endpoints(model)
        return refreshed_cards(listed, endpoints, datetime.now(tz=UTC).date())

    async def _run(self, request: ApiRequest) -> Any:
        attempts = Attempts(request)
        while True:
            try:
                return await self._send(attempts)
            except APIError as error:
                await asyncio.sleep(attempts.retry_delay(error))

    async def _send(self, attempts: Attempts) -> Any:
        return await self._read(await self._transport.send(attempts.begin()), attempts)

    async def _read(self, response: AsyncHTTPResponse, attempts: Attempts) -> Any:
        try:
            while piece := await response.read(attempts.read_timeout()):
                attempts.add_body(piece, response.status_code)
        finally:
            response.close()
        return attempts.read_body(response.status_code, response.headers)

    async def _deltas(self, exchange: Exchange) -> AsyncGenerator[Delta]:
        while exchange.reply is None:
            try:
                async with aclosing(self._attempt(exchange)) as deltas:
                    async for delta in deltas:
                        for passed in exchange.on_delta(delta):
                            yield passed
            except APIError as error:
                if delay := exchange.on_error(error):
                    await asyncio.sleep(delay)

    async def _attempt(self, exchange: Exchange) -> AsyncGenerator[Delta]:
        attempts = exchange.attempts
        response = await self._transport.send(attempts.begin())
        try:
            if not is_event_stream(response.status_code, response.headers):
                for delta in deltas_of(await self._read(response, attempts)):
                    yield delta
                return
            reader = attempts.watch(exchange.request.reader(response.headers))
            while reader.reply is None:
                for delta in reader.feed(await response.read(attempts.read_timeout())):
                    yield delta
            with suppress(APIError):
                await response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=exchange.request.complete(reader.reply))
