"""The requests to an API, without I/O: the model to ask, the bytes to send, and the reader of the response."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lfm_adapter._json import dicts
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.failure import RequestContext
from lfm_adapter._openrouter.request import body_of, encode, headers_of
from lfm_adapter._openrouter.response import BodyReader, ReplyReader
from lfm_adapter.catalog import apply_context_limit, get
from lfm_adapter.errors import ConfigurationError, RetiredModelWarning
from lfm_adapter.types import ChatParameters, HTTPRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from decimal import Decimal

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import Kind, ModelCard

logger = logging.getLogger("lfm_adapter")

_KNOWN = ChatParameters.__annotations__.keys() | {"stream"}

# Servers have parameters of their own: llama.cpp's `reasoning_format` shares 0.875 with `reasoning_effort`.
_MISSPELLED = 0.88

# OpenRouter's and other servers' ("chatcmpl-…", a UUID), which need no quoting.
_GENERATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,255}")

# The caller of `chat` is the nearest frame that is in none of these.
_NOT_CALLERS = ("lfm_adapter.", "langchain_core.", "litellm.", "asyncio.", "concurrent.", "threading")

DEFAULT_MODELS: dict[Kind, str] = {"decisions": "liquid/d1.2", "embeddings": "liquid/lfm-2.5-embedding-350m:free"}

_KINDS: dict[Kind, tuple[str, str]] = {
    "chat": ("a chat model", "`client.chat(...)`, or `ChatLFM` in LangChain"),
    "decisions": ("a decision model", "`client.decide(...)`, or `LFMDecisions` in LangChain"),
    "embeddings": ("an embedding model", "`client.embed(...)`, or `LFMEmbeddings` in LangChain"),
}


class ApiRequest:
    """A request to one address of the API: GET, or POST where it has a `body`.

    Attributes:
        settings: The client's settings.
        model: The model that it is about, or None.
        key: The key that the last attempt sent, to be hidden in errors.
        body: The bytes to send, or None.
        is_eventual: Whether what is not found may be found a little later.
    """

    def __init__(
        self,
        settings: Settings,
        path: str,
        *,
        url: str | None = None,
        model: str | None = None,
        body: bytes | None = None,
        reader: Callable[..., BodyReader] = BodyReader,
        is_stream: bool = False,
        needs_key: bool = True,
        is_eventual: bool = False,
    ) -> None:
        self.settings = settings
        self.model = model
        self.key: str | None = None
        self.body = body
        self.is_eventual = is_eventual
        self._url = url or f"{settings.base_url}{path}"
        self._reader = reader
        self._is_stream = is_stream
        self._needs_key = needs_key

    def http(self, timeout: float) -> HTTPRequest:
        """Return the request to send, with the key of the moment."""
        self.key = self.settings.key(needed=self._needs_key)
        headers = headers_of(
            self.key,
            self.settings.attribution,
            self.settings.default_headers or {},
            body=self.body is not None,
            stream=self._is_stream,
        )
        return HTTPRequest("GET" if self.body is None else "POST", self._url, headers, self.body, timeout)

    def reader(self, status: int, headers: Mapping[str, str]) -> BodyReader:
        """Return a reader for the response."""
        context = RequestContext(self.model, time.time(), self.key)
        return self._reader(status, headers, context, max_bytes=self.settings.max_reply_bytes)


def endpoints_request(settings: Settings, model: str) -> ApiRequest:
    """Return the request for a model's endpoints. A name that would lead to another address is refused."""
    model = settings.resolve_model(model)
    if not model.isprintable() or not {"", ".", ".."}.isdisjoint(model.split("/")):
        raise ConfigurationError(f"`model` must be the id of a model ('liquid/…'), got {shown(model)}.")
    return ApiRequest(settings, f"/models/{quote(model, safe='/:~')}/endpoints", model=model, needs_key=False)


def generation_request(settings: Settings, generation_id: str) -> ApiRequest:
    """Return the request for what a generation cost."""
    if not (isinstance(generation_id, str) and _GENERATION_ID.fullmatch(generation_id)):  # type: ignore[redundant-expr]
        raise ConfigurationError(
            f"`generation_id` must be the id of a generation ('gen-…'), got {shown(generation_id)}."
        )
    return ApiRequest(settings, f"/generation?id={generation_id}", is_eventual=True)


class CompletionRequest(ApiRequest):
    """A POST request for a chat completion with the model of `card`.

    `max_output_tokens` are those that the server has left, where it counted.

    Attributes:
        limits: How `max_tokens` was fitted to the model's context.

    Raises:
        ConfigurationError: The request is invalid.
        ContextWindowExceededError: The prompt does not fit the model's context.
    """

    def __init__(
        self,
        settings: Settings,
        model: str,
        card: ModelCard,
        messages: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        *,
        stream: bool,
        max_output_tokens: int | None = None,
    ) -> None:
        fields = dict(parameters)
        is_single = fields.get("n") in (None, 1)
        reader = partial(ReplyReader, max_event_bytes=settings.max_event_bytes, is_single=is_single)
        super().__init__(settings, "/chat/completions", model=model, reader=reader, is_stream=stream)
        if fields.get("stream") and not stream:
            raise ConfigurationError("`chat` does not stream. Use the method `stream` instead.")
        newer_name = fields.pop("max_completion_tokens", None)
        asked = fields.pop("max_tokens", None)
        self.limits = apply_context_limit(
            messages,
            newer_name if asked is None else asked,
            card,
            model=model,
            token_counter=settings.token_counter,
            check_context=not _may_be_shortened(fields),
            max_output_tokens=max_output_tokens,
        )
        limits = self.limits
        if limits.clamped_from is not None:
            logger.info("max_tokens %s does not fit; asking for %s", limits.clamped_from, limits.max_tokens)
        if limits.max_tokens is not None:
            fields["max_tokens"] = limits.max_tokens
        models = fields.get("models")
        if isinstance(models, list | tuple) and len(models) > 3:  # https://github.com/coder/xum/issues/2963
            raise ConfigurationError(f"OpenRouter accepts at most 3 fallback models, got {len(models)}.")
        if stream:
            fields["stream"] = True
            if not settings.is_openrouter:
                # OpenRouter always sends the usage of a stream; other servers must be asked for it.
                fields.setdefault("stream_options", {"include_usage": True})
        self.body = encode(body_of(model, messages, fields, keep_empty=settings.keeps_empty_fields))


def resolve_with_warning(model: str | None, settings: Settings) -> str:
    """Return the model to ask, with a `RetiredModelWarning` if it replaces a retired one."""
    named = model or settings.model
    resolved = settings.resolve_model(model)
    if resolved == named:
        return resolved
    card = settings.card(named)
    if card.status == "retired" and resolved != card.id:
        frame, level = sys._getframe(), 1
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_NOT_CALLERS):
            frame, level = frame.f_back, level + 1
        warnings.warn(_retirement(card.id, resolved), RetiredModelWarning, stacklevel=level)
    return resolved


def model_for(kind: Kind, model: str | None, settings: Settings) -> str:
    """Return the model to ask for decisions or embeddings.

    Without a `model`, that is the client's if it is of this kind or the catalogue does not know it, else the default.
    """
    if model is None:
        card = settings.card(settings.model)
        is_fit = card.kind == kind or (card.status == "unknown" and not settings.is_default_model)
        model = settings.model if is_fit else DEFAULT_MODELS[kind]
    resolved = settings.resolve_model(model)
    require_kind(kind, settings.card(resolved))
    return resolved


def require_kind(kind: Kind, card: ModelCard) -> None:
    """Refuse a model of another kind than the call, and name the method and the class for its kind."""
    if card.kind != kind and card.status != "unknown":
        noun, way = _KINDS[card.kind]
        raise ConfigurationError(f"`{card.id}` is {noun}, not {_KINDS[kind][0]}. Use {way}.")


@lru_cache(maxsize=64)  # each call of the default model needs it
def _retirement(retired: str, successor: str) -> str:
    old, new = get(retired).pricing, get(successor).pricing
    return (
        f"`{retired}` is retired ({_price(old.prompt)} in / {_price(old.completion)} out per million tokens); asking "
        f"its successor `{successor}` ({_price(new.prompt)} / {_price(new.completion)}). Choose a model with `model=`, "
        'or pass `when_retired="raise"`.'
    )


def _price(price_per_token: Decimal | None) -> str:
    return "price unknown" if price_per_token is None else f"${price_per_token * 1_000_000:.2f}"


def _may_be_shortened(fields: Mapping[str, Any]) -> bool:
    """Return whether the server may make a long prompt fit: by compressing it, or by asking another model."""
    is_compressed = any(
        plugin.get("id") == "context-compression" and plugin.get("enabled") is not False
        for plugin in dicts(fields.get("plugins"))
    )
    return bool(is_compressed or fields.get("transforms") or fields.get("models"))


def refuse_misspelled(names: AbstractSet[str]) -> None:
    """Refuse an unknown parameter whose name is close to a known one."""
    if names <= _KNOWN:
        return
    from difflib import get_close_matches  # on use: it takes 3 ms to load

    for name in names - _KNOWN:
        if near := get_close_matches(name, _KNOWN, n=1, cutoff=_MISSPELLED):
            raise ConfigurationError(
                f"Unknown parameter `{name}`. Did you mean `{near[0]}`? If the server knows a field of this name, pass "
                "it in `extra_body`."
            )
