"""`/v1/messages` and `/v1/responses`, which LiteLLM's SDK translates to chat requests and back, in this process.

LiteLLM calls our provider for the chat request, and the provider makes a `Call`. So both APIs have the fallbacks, the
limits and the ledger of `/v1/chat/completions`, and no request can reach another provider.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.gateway.call import GATEWAY, Call, model_of, read_object
from lfm_adapter.apps.gateway.chat import json_response
from lfm_adapter.apps.gateway.errors import GatewayError, to_gateway_error
from lfm_adapter.apps.gateway.sse import send_events
from lfm_adapter.apps.gateway.wire import encoded, event_of, to_json
from lfm_adapter.errors import LFMError
from lfm_adapter.types import AsyncStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    from aiohttp import web

    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import Delta, JSONDict, Reply

# Only these go to LiteLLM. Its own parameters (`api_base`, `custom_llm_provider`, …) would redirect the request.
_MESSAGES_FIELDS = frozenset({
    "max_tokens", "messages", "metadata", "output_config", "output_format", "stop_sequences", "system", "temperature",
    "thinking", "tool_choice", "tools", "top_k", "top_p",
})  # fmt: skip
_RESPONSES_FIELDS = frozenset({
    "include", "input", "instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "reasoning",
    "service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_p", "truncation", "user",
})  # fmt: skip

# LiteLLM does not check these, and fails without a useful message, or after the model has answered.
_FORMS: Sequence[tuple[str, Callable[[Any], bool], frozenset[str]]] = (
    (
        "a list of JSON objects",
        lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
        frozenset({"messages", "tools"}),
    ),
    ("a list", lambda value: isinstance(value, list), frozenset({"include", "stop_sequences"})),
    (
        "a JSON object",
        lambda value: isinstance(value, dict),
        frozenset({"metadata", "output_config", "output_format", "reasoning", "text", "thinking"}),
    ),
    (
        "a number",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        frozenset({"max_output_tokens", "max_tokens", "temperature", "top_k", "top_p"}),
    ),
    (
        "a string",
        lambda value: isinstance(value, str),
        frozenset({"instructions", "service_tier", "truncation", "user"}),
    ),
    ("a string or a list", lambda value: isinstance(value, str | list), frozenset({"input", "system"})),
)

_NEED_A_MEMORY = ("background", "conversation", "previous_response_id", "prompt")

_MESSAGE_START = b"event: message_start\n"

_ANTHROPIC_TYPES = {402: "billing_error", 529: "overloaded_error"}

_loading = asyncio.Lock()

logger = logging.getLogger("lfm_adapter.gateway")


@dataclass
class _Translation:
    """One request that LiteLLM translates.

    Attributes:
        request: The client's request.
        asked_model: The model that it names.
        headers: Headers for the answer, once it has begun.
        error: The error of the chat request. LiteLLM wraps it, or writes it into the text of a stream.
        is_translated: Whether LiteLLM has made a chat request.
    """

    request: web.Request
    asked_model: str
    headers: dict[str, str] = field(default_factory=dict)
    error: LFMError | GatewayError | None = None
    is_translated: bool = False

    @property
    def model(self) -> str:
        """The model that answers. LiteLLM tells only the one that was asked."""
        return self.headers.get("X-LFM-Model", self.asked_model)

    def call(self, model: str, messages: Any, fields: JSONDict) -> Call:
        self.is_translated = True
        fields |= fields.pop("extra_body", {})
        return Call(self.request.app[GATEWAY], self.request, {"model": model, "messages": list(messages), **fields})

    @contextmanager
    def noting_errors(self) -> Iterator[None]:
        """Note the error that the block raises."""
        try:
            yield
        except (LFMError, GatewayError) as error:
            self.error = error
            raise

    def failure(self, raised: Exception) -> GatewayError:
        """Return the error for the client, given what LiteLLM raised."""
        if self.error is not None:
            return to_gateway_error(self.error) if isinstance(self.error, LFMError) else self.error
        status = getattr(raised, "status_code", None)
        if isinstance(status, int) and 400 <= status < 500:  # LiteLLM itself refused the request
            return GatewayError(status, str(getattr(raised, "message", raised)).removeprefix("litellm.").strip())
        if not self.is_translated:
            logger.info("LiteLLM could not translate a request", exc_info=raised)
            return GatewayError(
                400, "The request is malformed: one of its fields has a type that this API does not have."
            )
        raise raised


_current: ContextVar[_Translation] = ContextVar("lfm_gateway_translation")


class _CallClient:
    """The client that our provider asks, in place of an `AsyncLFMClient`."""

    def __init__(self, translation: _Translation, model: str) -> None:
        self._translation = translation
        self._model = model

    async def chat(self, messages: Any, **fields: Any) -> Reply:
        with self._translation.noting_errors():
            call = self._translation.call(self._model, messages, fields)
            model, reply = await call.reply()
        self._translation.headers |= call.answer_headers(model, reply.id)
        return reply

    def stream(self, messages: Any, **fields: Any) -> AsyncStream:
        return AsyncStream(self._batches(messages, fields))

    async def _batches(self, messages: Any, fields: JSONDict) -> AsyncGenerator[Sequence[Delta]]:
        with self._translation.noting_errors():
            call = self._translation.call(self._model, messages, fields)
            async with aclosing(call.events(lambda deltas: deltas, self._translation.headers)) as events:
                async for deltas in events:
                    yield deltas


async def messages(request: web.Request) -> web.StreamResponse:
    """Answer Anthropic's messages API."""
    body = await read_object(request)
    litellm = await _litellm()
    if not body.get("messages"):
        raise GatewayError(400, "`messages` must be a list with at least one message, each a JSON object.")
    fields = {"max_tokens": body.get("max_tokens", 4096), **_chosen(body, _MESSAGES_FIELDS)}
    return await _answer(
        request, body, fields, litellm.anthropic_messages, write=_message_event, on_error=_anthropic_error_event
    )


async def count_tokens(request: web.Request) -> web.Response:
    """Estimate the tokens of a request to `/v1/messages`. LFM-3B's and LFM3's tokenizers are not public."""
    body = await read_object(request)
    litellm = await _litellm()
    texts = [to_json(body[name]) if not isinstance(body[name], str) else body[name]
             for name in ("system", "messages", "tools") if body.get(name)]  # fmt: skip
    count = await asyncio.to_thread(litellm.token_counter, model="", text="\n".join(texts))
    return json_response({"input_tokens": count})


async def responses(request: web.Request) -> web.StreamResponse:
    """Answer OpenAI's responses API.

    Raises:
        GatewayError: The request needs what a server keeps or runs.
    """
    body = await read_object(request)
    fields = _chosen(body, _RESPONSES_FIELDS)
    if "input" not in fields:
        raise GatewayError(400, "`input` must be a string or a list.")
    for name in _NEED_A_MEMORY:
        if body.get(name):
            raise GatewayError(
                400, f"`{name}` is not supported, because nothing is stored. Send the whole conversation in `input`."
            )
    if any(tool.get("type") == "mcp" for tool in fields.get("tools", ())):
        raise GatewayError(400, "Tools of type `mcp` are not supported. Remove them from the request.")
    litellm = await _litellm()
    return await _answer(
        request, body, fields, litellm.aresponses, write=_response_event, on_error=_response_error_events
    )


async def _answer(
    request: web.Request,
    body: JSONDict,
    fields: JSONDict,
    ask: Callable[..., Awaitable[Any]],
    *,
    write: Callable[[Any, str], bytes],
    on_error: Callable[[GatewayError], bytes],
) -> web.StreamResponse:
    """Answer a request by LiteLLM's function `ask`, called with `fields`.

    `write` encodes an event of LiteLLM, given the model that answers, `on_error` an error in the middle of a stream.
    """
    model = model_of(body, request.app[GATEWAY].default_model)
    translation = _Translation(request, model)
    _current.set(translation)
    # The key is unused: the gateway's call has OpenRouter's.
    arguments = {"model": f"lfm/{model}", "api_key": "in-this-process", "drop_params": True, **fields}
    if body.get("stream"):
        events = _events(translation, ask(**arguments, stream=True), write)
        return await send_events(request, events, on_error, translation.headers)
    try:
        reply = await ask(**arguments)
    except Exception as error:
        raise translation.failure(error) from error
    return json_response(_plain(reply) | {"model": translation.model}, headers=translation.headers)


async def _events(
    translation: _Translation, asked: Awaitable[Any], write: Callable[[Any, str], bytes]
) -> AsyncGenerator[bytes]:
    """Yield LiteLLM's events, encoded.

    They are held until the model answers: LiteLLM begins its stream earlier, and may end a failed one as if complete.

    Raises:
        GatewayError: The request failed.
    """
    early: list[Any] = []
    try:
        async for event in await asked:
            if translation.error is not None:
                break
            early.append(event)
            if translation.headers:
                for one in early:
                    yield write(one, translation.model)
                early.clear()
    except Exception as error:
        raise translation.failure(error) from error
    if translation.error is not None:
        raise translation.failure(translation.error)
    for one in early:
        yield write(one, translation.model)


def _message_event(event: Any, model: str) -> bytes:
    written = event if isinstance(event, bytes) else encoded(str(event))
    if not written.startswith(_MESSAGE_START):
        return written
    first, _, others = written.partition(b"\n\n")
    data = json.loads(first.partition(b"data:")[2])
    data["message"]["model"] = model
    return _MESSAGE_START + event_of(data) + others


def _response_event(event: Any, model: str) -> bytes:
    data = _plain(event)
    if "response" in data:
        data["response"]["model"] = model
    return encoded(f"event: {data.get('type')}\n") + event_of(data)


def anthropic_error(error: GatewayError) -> JSONDict:
    """Return an error in Anthropic's format."""
    kind = _ANTHROPIC_TYPES.get(error.status, error.type).replace("server_error", "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}}


def _anthropic_error_event(error: GatewayError) -> bytes:
    return b"event: error\n" + event_of(anthropic_error(error))


def _response_error_events(error: GatewayError) -> bytes:
    told = {"code": str(error.code or error.type), "message": error.message}
    failed = {
        "type": "response.failed",
        "response": {"object": "response", "status": "failed", "error": told, "output": []},
    }
    event = {"type": "error", **told, "param": None}
    return b"event: error\n" + event_of(event) + b"event: response.failed\n" + event_of(failed)


def _chosen(body: JSONDict, names: frozenset[str]) -> JSONDict:
    """Return the fields of a body to pass to LiteLLM.

    Raises:
        GatewayError: One has a wrong type.
    """
    fields = {name: value for name, value in body.items() if name in names and value is not None}
    for form, has_form, named in _FORMS:
        for name in named & fields.keys():
            if not has_form(fields[name]):
                raise GatewayError(400, f"`{name}` must be {form}.")
    return fields


def _plain(value: Any) -> JSONDict:
    if isinstance(value, dict):
        return value
    return cast("JSONDict", value.model_dump(mode="json", exclude_none=True))


async def _litellm() -> Any:
    """Return LiteLLM, with our provider registered. Importing it takes seconds.

    Raises:
        GatewayError: LiteLLM is not installed.
    """
    async with _loading:
        try:
            return await asyncio.to_thread(_load)
        except ImportError as error:
            raise GatewayError(
                501,
                f"This API needs LiteLLM ({error}). Run `{how_to_install('litellm')}` where `lfm gateway` runs, and "
                "restart it. /v1/chat/completions works without it.",
                code="not_installed",
            ) from error


def _load() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # without it, LiteLLM downloads its price list
    import litellm

    from lfm_adapter.litellm import LFMProvider, register

    handlers: Sequence[Any] = [entry["custom_handler"] for entry in litellm.custom_provider_map]
    if not any(getattr(handler, "is_gateway", False) for handler in handlers):

        class GatewayProvider(LFMProvider):
            is_gateway = True

            def async_client(self, settings: Settings) -> AsyncLFMClient:
                return cast("AsyncLFMClient", _CallClient(_current.get(), settings.model))

        register()
        ours: Any = {"provider": "lfm", "custom_handler": GatewayProvider()}
        litellm.custom_provider_map = [
            *(entry for entry in litellm.custom_provider_map if entry["provider"] != "lfm"), ours,
        ]  # fmt: skip
        litellm.suppress_debug_info = True
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)  # clients get the errors
    return litellm
