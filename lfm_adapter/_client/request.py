"""What a client asks for, prepared once: the bytes to send and how to read the answer. What both clients share."""

from __future__ import annotations

import logging
import time
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from lfm_adapter._json import as_dict, dicts
from lfm_adapter._openrouter.failure import RequestContext
from lfm_adapter._openrouter.request import body_of, encode, headers_of
from lfm_adapter._openrouter.response import StreamReader, read_json, read_reply
from lfm_adapter.catalog import apply_context_limit, compute_cost
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.types import Delta, HTTPRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import JSONDict

__all__ = ["Call", "ChatCall", "deltas_of", "endpoints_call", "key_call", "models_call", "resolve_model"]

R = TypeVar("R")

logger = logging.getLogger("lfm_adapter")

_warned: set[str] = set()


class Call(ABC, Generic[R]):
    """A request to one of the API's addresses, and what its answer is read as.

    Attributes:
        settings: The client's settings.
        model: The model that it is about, or None.
        key: The key that the last try sent, so that no error repeats it.
        body: The bytes to send, or None.
        deadline: When `total_timeout` is over, in seconds of `time.monotonic`; None before the first try.
    """

    def __init__(
        self, settings: Settings, method: str, path: str, *, model: str | None = None, needs_key: bool = True
    ) -> None:
        self.settings = settings
        self.model = model
        self._method = method
        self._url = f"{settings.base_url}{path}"
        self._needs_key = needs_key
        self.key: str | None = None
        self.body: bytes | None = None
        self.deadline: float | None = None
        self._stream = False

    def request(self, timeout_s: float) -> HTTPRequest:
        """Return the request; its body is the same bytes on every try, its key the one of the moment."""
        self.key = self.settings.key(needed=self._needs_key)
        headers = headers_of(
            self.key,
            self.settings.attribution,
            self.settings.default_headers or {},
            body=self.body is not None,
            stream=self._stream,
        )
        return HTTPRequest(self._method, self._url, headers, self.body, timeout_s)

    @property
    def asked(self) -> RequestContext:
        """What an explanation of a failure needs to know."""
        return RequestContext(self.model, time.time())

    @abstractmethod
    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> R:
        """Read a plain answer.

        Raises:
            APIError: It is an error, or not what was asked for.
        """


class Lookup(Call[R]):
    """A GET request, whose answer is wrapped in `data`."""

    def __init__(
        self, settings: Settings, path: str, look: Callable[[Any], R], *, model: str | None = None, needs_key: bool
    ) -> None:
        super().__init__(settings, "GET", path, model=model, needs_key=needs_key)
        self._look = look

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> R:
        """See `Call.read`."""
        return self._look(read_json(status, headers, body, self.asked).get("data"))


def models_call(settings: Settings) -> Call[list[JSONDict]]:
    """Return the call that lists the models."""
    return Lookup(settings, "/models", lambda data: list(dicts(data)), needs_key=False)


def endpoints_call(settings: Settings, model: str) -> Call[JSONDict]:
    """Return the call that asks for a model's endpoints."""
    model = settings.resolve_model(model)
    return Lookup(settings, f"/models/{quote(model, safe='/:~')}/endpoints", as_dict, model=model, needs_key=False)


def key_call(settings: Settings) -> Call[JSONDict]:
    """Return the call that asks what is known of the key."""
    return Lookup(settings, "/key", as_dict, needs_key=True)


class ChatCall(Call[Reply]):
    """A request for a chat completion.

    Args:
        settings: The client's settings.
        model: What `resolve_model` says.
        messages: In wire form.
        parameters: The request's other fields.
        stream: Whether the answer is read while it is written.
        max_output_tokens: Tokens that an answer may have, where the server has said so.

    Attributes:
        max_tokens: What is asked for at most; None for the server's default.

    Raises:
        ConfigurationError: The request is not one that can be sent.
        ContextWindowExceededError: The prompt cannot fit the model's context.
    """

    def __init__(
        self,
        settings: Settings,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        *,
        stream: bool,
        max_output_tokens: int | None = None,
    ) -> None:
        super().__init__(settings, "POST", "/chat/completions", model=model)
        self._stream = stream
        fields = dict(parameters)
        if fields.get("stream") and not stream:
            raise ConfigurationError(
                "`chat` returns whole replies. Call `stream` for one that is read as it is written."
            )
        newer_name = fields.pop("max_completion_tokens", None)
        asked = fields.pop("max_tokens", None)
        self._fit = apply_context_limit(
            messages,
            newer_name if asked is None else asked,
            settings.card(model),
            model=model,
            token_counter=settings.token_counter,
            check_context=not _may_be_cut(fields),
            max_output_tokens=max_output_tokens,
        )
        if self._fit.clamped_from is not None:
            logger.info("max_tokens %s does not fit; asking for %s", self._fit.clamped_from, self._fit.max_tokens)
        self.max_tokens = fields["max_tokens"] = self._fit.max_tokens
        _check_models(fields.get("models"))
        if stream:
            fields["stream"] = True
            if not settings.is_openrouter:
                # OpenRouter always sends the usage of a stream; other servers must be asked for it.
                fields.setdefault("stream_options", {"include_usage": True})
        self.body = encode(body_of(model, messages, fields))

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
        """See `Call.read`; the answer to a streamed request may be plain as well."""
        return self.finish(read_reply(status, headers, body, self.asked))

    def reader(self, headers: Mapping[str, str]) -> StreamReader:
        """Return what reads the answer to a streamed request."""
        settings = self.settings
        return StreamReader(
            self.asked,
            headers,
            max_event_bytes=settings.max_event_bytes,
            max_reply_bytes=settings.max_reply_bytes,
        )

    def finish(self, reply: Reply) -> Reply:
        """Add to a reply what only this side knows."""
        reply.token_limits = self._fit
        if reply.usage is not None:
            cost = compute_cost(reply.usage, self.settings.card(reply.model or self.model or ""))
            # The catalogue's prices are OpenRouter's; a server on this machine charges nothing that it does not tell.
            if cost is not None and not (cost.source == "catalog" and self.settings.is_local):
                reply.cost = cost
        return reply


def deltas_of(reply: Reply) -> Iterator[Delta]:
    """Yield a whole reply as a stream would; some proxies answer a streamed request with one."""
    for index, choice in enumerate(reply.choices):
        yield Delta(
            text=choice.text,
            reasoning=choice.reasoning,
            tool_calls=choice.tool_calls,
            refusal=choice.refusal or "",
            logprobs=choice.logprobs,
            index=index,
            generation_id=reply.id,
        )
    yield Delta(reply=reply)


def resolve_model(model: str | None, settings: Settings) -> str:
    """Return the model to ask, with a warning, once for each, where it is a retired one's successor."""
    served = settings.resolve_model(model)
    retired = settings.card(model or settings.model)
    if served != retired.id and retired.status == "retired" and retired.id not in _warned:
        _warned.add(retired.id)
        warnings.warn(
            f"`{retired.id}` is retired; asking its successor `{served}`. Pass `model={served!r}` to choose it.",
            stacklevel=4,  # the caller of `chat` or `stream`, by way of `Exchange`
        )
    return served


def _may_be_cut(fields: Mapping[str, Any]) -> bool:
    """Tell whether the server may make a long prompt fit: by cutting it, or by asking another model."""
    compressing = any(
        plugin.get("id") == "context-compression" and plugin.get("enabled") is not False
        for plugin in dicts(fields.get("plugins"))
    )
    return bool(compressing or fields.get("transforms") or fields.get("models"))


def _check_models(models: object) -> None:
    # The server's own limit: https://github.com/coder/xum/issues/2963
    if isinstance(models, list | tuple) and len(models) > 3:
        raise ConfigurationError(f"OpenRouter takes at most 3 fallback models, not {len(models)}.")
