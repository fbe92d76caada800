"""`LFMClient`: sends requests and waits for the responses."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from lfm_adapter._client.base import BaseClient
from lfm_adapter._client.catalog_refresh import refresh_catalog
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import deltas_of, endpoints_request, key_request, models_request
from lfm_adapter._client.retries import DRAIN_S, Attempts
from lfm_adapter._openrouter.response import is_event_stream
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.errors import APIError
from lfm_adapter.types import Delta, Stream, Transport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Unpack

    from lfm_adapter._client.exchange import Messages
    from lfm_adapter._client.request import ApiRequest, CompletionRequest
    from lfm_adapter.types import ChatParameters, HTTPResponse, JSONDict, ModelCard, Reply

__all__ = ["LFMClient"]

R = TypeVar("R")


@dataclass(kw_only=True, eq=False, repr=False)
class LFMClient(BaseClient[Transport]):
    """A client for OpenRouter, or for any server with an OpenAI-compatible API.

    Clients hold settings, not connections: all clients of a process share their connection pools. So a client is cheap,
    can be shared between threads, pickled and copied, and survives a fork.

    The arguments are the fields of `ClientOptions`, and `transport`: what sends the requests, in place of urllib3.

    Raises:
        ConfigurationError: A setting is out of its range.

    >>> LFMClient(api_key="sk-or-v1-secret")
    LFMClient(model='liquid/lfm-3b', base_url='https://openrouter.ai/api/v1')
    """

    @staticmethod
    def _default_transport() -> Transport:
        return Urllib3Transport()

    def chat(self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]) -> Reply:
        """Send messages and wait for the whole reply.

        Args:
            messages: A question, or messages in OpenAI's form: `[{"role": "user", "content": "…"}]`.
            model: Another model than the client's.
            **parameters: Fields of the request, such as `max_tokens`, `temperature`, `tools`, `provider`; those without
                a name here go into `extra_body`. `tool_calling`, `recover_tool_calls`, `max_output_retries`,
                `on_invalid_output` and `when_retired` replace the client's settings for this call.

        Returns:
            The reply. Tools and `response_format` work with every model: see `tool_calling`.

        Raises:
            ConfigurationError: The request is invalid.
            APIError: The request was refused or failed; the class tells how.
        """
        exchange = Exchange(self._settings, messages, model, parameters, stream=False)
        while exchange.reply is None:
            try:
                exchange.on_response(self._run(exchange.request))
            except APIError as error:
                exchange.on_error(error)
        return exchange.reply

    def stream(self, messages: Messages, *, model: str | None = None, **parameters: Unpack[ChatParameters]) -> Stream:
        """Send messages and read the reply while it is written; the arguments are those of `chat`.

        Returns:
            An iterator of deltas. The request is sent when the first is asked for.

        Raises:
            ConfigurationError: The request is invalid.
            ContextWindowExceededError: The prompt does not fit.
        """
        return Stream(self._deltas(Exchange(self._settings, messages, model, parameters, stream=True)))

    def list_models(self) -> list[JSONDict]:
        """Return the models as OpenRouter lists them. Needs no key."""
        return self._run(models_request(self._settings))

    def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return self._run(endpoints_request(self._settings, model))

    def key_info(self) -> JSONDict:
        """Return the limits of the key and its usage in US$: the cheapest way to check one."""
        return self._run(key_request(self._settings))

    def refresh_catalog(self) -> tuple[ModelCard, ...]:
        """Return the catalogue with what OpenRouter lists today: models, prices, limits, endpoints. Needs no key.

        Returns:
            The models of `catalog.models()`, in the same order, then models new to it. A chat model that is no longer
            listed comes back retired.

        Raises:
            APIError: A request failed.
            ResponseError: The listing has no Liquid model, so `base_url` is not OpenRouter's.
        """
        return refresh_catalog(self, checked=datetime.now(tz=UTC).date())

    def _run(self, request: ApiRequest[R]) -> R:
        attempts = Attempts(request)
        while True:
            try:
                response = self._transport.send(attempts.begin())
                return request.read(response.status_code, response.headers, self._body(response, attempts))
            except APIError as error:
                time.sleep(attempts.retry_delay(error))

    def _body(self, response: HTTPResponse, attempts: Attempts) -> bytes:
        try:
            while piece := response.read(attempts.read_timeout()):
                attempts.add_body(piece, response.status_code)
        finally:
            response.close()
        return attempts.take_body()

    def _deltas(self, exchange: Exchange) -> Generator[Delta]:
        while exchange.reply is None:
            try:
                with closing(self._response(exchange.request)) as deltas:
                    for delta in deltas:
                        yield from exchange.on_delta(delta)
            except APIError as error:
                exchange.on_error(error)

    def _response(self, request: CompletionRequest) -> Generator[Delta]:
        attempts = Attempts(request)
        while True:
            try:
                yield from self._attempt(request, attempts)
            except APIError as error:
                time.sleep(attempts.retry_delay(error))
            else:
                return

    def _attempt(self, request: CompletionRequest, attempts: Attempts) -> Iterator[Delta]:
        response = self._transport.send(attempts.begin())
        try:
            if not is_event_stream(response.status_code, response.headers):
                body = self._body(response, attempts)
                yield from deltas_of(request.read(response.status_code, response.headers, body))
                return
            reader = attempts.watch(request.reader(response.headers))
            while reader.reply is None:
                yield from reader.feed(response.read(attempts.read_timeout()))
            with suppress(APIError):
                response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=request.complete(reader.reply))
