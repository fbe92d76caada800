"""`LFMClient`: asks and waits."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from lfm_adapter._client.attempts import DRAIN_S, Attempts
from lfm_adapter._client.base import BaseClient
from lfm_adapter._client.catalog_refresh import refresh_catalog
from lfm_adapter._client.exchange import Exchange
from lfm_adapter._client.request import deltas_of, endpoints_call, key_call, models_call
from lfm_adapter._openrouter.response import is_event_stream
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.errors import APIError
from lfm_adapter.types import Delta, Stream, Transport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from lfm_adapter._client.request import Call, ChatCall
    from lfm_adapter.types import HTTPResponse, JSONDict, ModelCard, Reply

__all__ = ["LFMClient"]

R = TypeVar("R")


@dataclass(kw_only=True, eq=False, repr=False)
class LFMClient(BaseClient[Transport]):
    """A client for OpenRouter, or for any server with an OpenAI-compatible API.

    Instances hold settings, not connections: those are pooled and shared by the whole process. So an instance is cheap,
    safe to share between threads, survives a fork, and can be pickled and copied.

    Its arguments are the fields of `ClientOptions`, and `transport`: what sends the requests, in place of urllib3.

    Raises:
        ConfigurationError: A setting is out of its range.

    >>> LFMClient(api_key="sk-or-v1-secret")
    LFMClient(model='liquid/lfm-3b', base_url='https://openrouter.ai/api/v1')
    """

    @staticmethod
    def _default_transport() -> Transport:
        return Urllib3Transport()

    def chat(
        self, messages: str | Sequence[Mapping[str, Any]], *, model: str | None = None, **parameters: Any
    ) -> Reply:
        """Ask for a reply and wait for all of it.

        Args:
            messages: A question, or messages in OpenAI's form: `[{"role": "user", "content": "…"}]`.
            model: Another model than the client's.
            **parameters: Any field of the request, such as `max_tokens`, `temperature`, `tools`, `provider`; also
                `tool_calling`, `recover_tool_calls`, `max_output_retries`, `on_invalid_output` and `when_retired`, for this call.

        Returns:
            The whole reply. Tools and `response_format` work with every model: see `tool_calling`.

        Raises:
            ConfigurationError: The request cannot be sent as it is.
            APIError: It was refused or failed; the class says how.
        """
        exchange = Exchange(self.settings, messages, model, parameters, stream=False)
        while exchange.reply is None:
            try:
                exchange.on_response(self._run(exchange.call))
            except APIError as error:
                exchange.on_error(error)
        return exchange.reply

    def stream(
        self, messages: str | Sequence[Mapping[str, Any]], *, model: str | None = None, **parameters: Any
    ) -> Stream:
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
        return Stream(self._deltas(Exchange(self.settings, messages, model, parameters, stream=True)))

    def list_models(self) -> list[JSONDict]:
        """Return the models that are served, as OpenRouter lists them. Needs no key."""
        return self._run(models_call(self.settings))

    def list_endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return self._run(endpoints_call(self.settings, model))

    def key_info(self) -> JSONDict:
        """Return what OpenRouter knows of the key: its limits and its usage in US$. The cheapest way to check one."""
        return self._run(key_call(self.settings))

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

    def _run(self, call: Call[R]) -> R:
        attempts = Attempts(call)
        while True:
            try:
                response = self._transport.send(attempts.request())
                return call.read(response.status_code, response.headers, self._body(response, attempts))
            except APIError as error:
                time.sleep(attempts.wait_s(error))

    def _body(self, response: HTTPResponse, attempts: Attempts) -> bytes:
        body = attempts.body(response.status_code)
        try:
            while piece := response.read(attempts.silence_s()):
                body.add(piece)
        finally:
            response.close()
        return body.whole()

    def _deltas(self, exchange: Exchange) -> Generator[Delta]:
        while exchange.reply is None:
            try:
                with closing(self._answer(exchange.call)) as deltas:
                    for delta in deltas:
                        yield from exchange.on_delta(delta)
            except APIError as error:
                exchange.on_error(error)

    def _answer(self, call: ChatCall) -> Generator[Delta]:
        attempts = Attempts(call)
        while True:
            try:
                yield from self._attempt(call, attempts)
            except APIError as error:
                time.sleep(attempts.wait_s(error))
            else:
                return

    def _attempt(self, call: ChatCall, attempts: Attempts) -> Iterator[Delta]:
        response = self._transport.send(attempts.request())
        try:
            if not is_event_stream(response.status_code, response.headers):
                yield from deltas_of(call.read(response.status_code, response.headers, self._body(response, attempts)))
                return
            reader = attempts.watch(call.reader(response.headers))
            while reader.reply is None:
                yield from reader.feed(response.read(attempts.silence_s()))
            with suppress(APIError):
                response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=call.finish(reader.reply))
