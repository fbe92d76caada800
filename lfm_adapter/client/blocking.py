"""`LFMClient`: asks and waits."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lfm_adapter.client.attempts import DRAIN_S, Attempts
from lfm_adapter.client.base import BaseClient
from lfm_adapter.client.call import deltas_of, endpoints_call, key_call, models_call
from lfm_adapter.client.exchange import Exchange
from lfm_adapter.errors import APIError
from lfm_adapter.openrouter.reply import is_event_stream
from lfm_adapter.openrouter.values import Delta
from lfm_adapter.transport.base import Transport
from lfm_adapter.transport.blocking import Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from types import TracebackType

    from lfm_adapter.client.call import Call, ChatCall
    from lfm_adapter.openrouter.values import Reply
    from lfm_adapter.openrouter.wire import JSONDict
    from lfm_adapter.transport.base import Response

__all__ = ["LFMClient", "Stream"]

R = TypeVar("R")


class LFMClient(BaseClient[Transport]):
    """A client for OpenRouter, or for any server with an OpenAI-compatible API.

    Instances hold settings, not connections: those are pooled and shared by the whole process. So an instance is cheap,
    safe to share between threads, survives a fork, and can be pickled and copied.

    Args:
        model: The model asked where a call names none: an id ("liquid/lfm-3-1.7b") or an alias ("lfm-3b"). Default:
            `LFM_MODEL`, else "liquid/lfm-3b", which is retired; of a server on this machine whatever it has.
        api_key: The key, or a function that returns it, called for each request. Default: `OPENROUTER_API_KEY`, but
            not for a `base_url` that is on this machine or without TLS.
        base_url: Where the API is. Default: `OPENROUTER_BASE_URL`, `OPENROUTER_API_BASE`, else OpenRouter.
        timeout: Seconds to wait for a connection, for all headers of the reply, and for the next bytes of its body.
        stream_chunk_timeout: Seconds between two events with data in a stream; None for no bound.
        total_timeout: Seconds for a whole call, its retries included; None for no bound.
        max_retries: Tries after the first; 0 means none. What is retried: `errors.APIError.retryable`, before content.
        app_url: The app that is credited (https://openrouter.ai/docs/app-attribution). Default: `OPENROUTER_APP_URL`.
        app_title: Its name. Default: `OPENROUTER_APP_TITLE`.
        app_categories: At most 2 categories. Default: `OPENROUTER_APP_CATEGORIES`, by comma.
        default_headers: Headers for every request; they win over ours.
        when_retired: "raise" or "successor": what to do when the model is known to be retired.
        tool_calling: How tools are offered: "native" hands them to the server, "prompted" writes them into the prompt
            and reads the calls out of the text, "auto" does what the model can.
        recover_tool_calls: Whether calls that a model with native tools wrote as text are read out of it.
        max_repairs: How often a model that was asked by prompt is told that its answer does not keep to `tool_choice`,
            `parallel_tool_calls` or the schema of `response_format`; 0 means never.
        when_unfit: "raise" or "return": what to do with an answer that still does not.
        token_counter: Counts the tokens of wire messages, where the built-in lower bound is too low for you.
        allow_http: Allow to send a key unencrypted to a public host.
        max_reply_bytes: The largest reply read, whole or streamed, after decompression; 32 MiB. Raise it for images.
        transport: What sends the requests, instead of urllib3.

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
                `tool_calling`, `recover_tool_calls`, `max_repairs`, `when_unfit` and `when_retired`, for this call.

        Returns:
            The whole reply. Tools and `response_format` work with every model: see `tool_calling`.

        Raises:
            ConfigurationError: The request cannot be sent as it is.
            APIError: It was refused or failed; the class says how.
        """
        exchange = Exchange(self.settings, messages, model, parameters, stream=False)
        while exchange.reply is None:
            try:
                exchange.take(self._run(exchange.call))
            except APIError as error:
                exchange.after(error)
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

    def models(self) -> list[JSONDict]:
        """Return the models that are served, as OpenRouter lists them. Needs no key."""
        return self._run(models_call(self.settings))

    def endpoints(self, model: str) -> JSONDict:
        """Return a model and its endpoints, with their prices, limits and health. Needs no key."""
        return self._run(endpoints_call(self.settings, model))

    def key(self) -> JSONDict:
        """Return what OpenRouter knows of the key: its limits and its usage in US$. The cheapest way to check one."""
        return self._run(key_call(self.settings))

    def _run(self, call: Call[R]) -> R:
        attempts = Attempts(call)
        while True:
            try:
                response = self._transport.send(attempts.request())
                return call.read(response.status, response.headers, self._body(response, attempts))
            except APIError as error:
                time.sleep(attempts.wait_s(error))

    def _body(self, response: Response, attempts: Attempts) -> bytes:
        body = attempts.body(response.status)
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
                        yield from exchange.pass_on(delta)
            except APIError as error:
                exchange.after(error)

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
            if not is_event_stream(response.status, response.headers):
                yield from deltas_of(call.read(response.status, response.headers, self._body(response, attempts)))
                return
            reader = attempts.watch(call.reader(response.headers))
            while reader.reply is None:
                yield from reader.feed(response.read(attempts.silence_s()))
            with suppress(APIError):
                response.read(DRAIN_S)
        finally:
            response.close()
        yield Delta(reply=call.finish(reader.reply))


class Stream:
    """The deltas of one reply, in order. Close it, or leave its `with` block, to stop the model and the bill.

    Attributes:
        reply: The whole reply, once the stream has come to its end.
    """

    def __init__(self, deltas: Generator[Delta]) -> None:
        self.reply: Reply | None = None
        self._deltas = deltas

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        delta = next(self._deltas)
        self.reply = delta.reply
        return delta

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection at once if the reply has not come to its end."""
        self._deltas.close()
