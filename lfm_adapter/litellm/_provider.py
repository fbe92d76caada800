"""The provider for `lfm/...` in LiteLLM, and its registration."""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Any

import litellm
from litellm.llms.custom_llm import CustomLLM

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._client.sync_client import LFMClient
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.litellm._args import completion_args, embedding_args
from lfm_adapter.litellm._convert import Chunk, to_chunks, to_embedding_response, to_response
from lfm_adapter.litellm._errors import translate_errors
from lfm_adapter.litellm._model_cost import PROVIDER, model_cost_entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litellm.types.utils import EmbeddingResponse, ModelResponse

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.ledger import Budget, Ledger
    from lfm_adapter.types import AsyncStream, AsyncTransport, Delta, JSONDict, Stream, Transport


class LFMProvider(CustomLLM):  # type: ignore[misc]  # mypy does not follow litellm: see pyproject.toml
    """The LiteLLM provider of `lfm/...`, built on `LFMClient` and `AsyncLFMClient`.

    LiteLLM passes all arguments by name (https://docs.litellm.ai/docs/providers/custom_llm_server). Instances hold no
    connection; threads and event loops may share them.

    Args:
        attribution: The app to credit if a call's `extra_headers` credit none. Default: the environment's.
        transport: Sends the requests, instead of urllib3.
        async_transport: Sends the requests of asynchronous calls, instead of aiohttp.
        ledger: See `ClientOptions.ledger`.
        budget: See `ClientOptions.budget`.
    """

    def __init__(
        self,
        *,
        attribution: Attribution | None = None,
        transport: Transport | None = None,
        async_transport: AsyncTransport | None = None,
        ledger: Ledger | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__()
        self.attribution = attribution
        self.ledger = ledger
        self.budget = budget
        self._transport = transport
        self._async_transport = async_transport

    def _args(self, call: JSONDict, *, stream: bool) -> tuple[Settings, list[JSONDict], JSONDict]:
        return completion_args(call, self.attribution, stream=stream, ledger=self.ledger, budget=self.budget)

    def async_client(self, settings: Settings) -> AsyncLFMClient:
        """Return the client for an asynchronous call."""
        return AsyncLFMClient.from_settings(settings, self._async_transport)

    def completion(self, *_: Any, **call: Any) -> ModelResponse:
        """Ask and wait for the whole reply.

        Raises:
            openai.OpenAIError: One of LiteLLM's exceptions, which all derive from OpenAI's.
        """
        with translate_errors(call["model"]):
            settings, messages, fields = self._args(call, stream=False)
            client = LFMClient.from_settings(settings, self._transport)
            return to_response(client.chat(messages, **fields), call["model"])

    async def acompletion(self, *_: Any, **call: Any) -> ModelResponse:
        """See `completion`."""
        with translate_errors(call["model"]):
            settings, messages, fields = self._args(call, stream=False)
            client = self.async_client(settings)
            return to_response(await client.chat(messages, **fields), call["model"])

    def embedding(self, *_: Any, **call: Any) -> EmbeddingResponse:
        """Return the vectors of texts. `input_type` says whether they are queries or documents, the default.

        Raises:
            openai.OpenAIError: See `completion`.
        """
        with translate_errors(call["model"]):
            settings, texts, arguments = embedding_args(call, self.attribution, ledger=self.ledger, budget=self.budget)
            client = LFMClient.from_settings(settings, self._transport)
            return to_embedding_response(client.embed(texts, **arguments), call["model"])

    async def aembedding(self, *_: Any, **call: Any) -> EmbeddingResponse:
        """See `embedding`."""
        with translate_errors(call["model"]):
            settings, texts, arguments = embedding_args(call, self.attribution, ledger=self.ledger, budget=self.budget)
            return to_embedding_response(await self.async_client(settings).embed(texts, **arguments), call["model"])

    def streaming(self, *_: Any, **call: Any) -> Iterator[Any]:
        """Ask, and return an iterator over the chunks of the reply.

        It waits for the first chunk, so that `litellm.completion` itself raises for a refused request. Later, LiteLLM
        would report a broken stream.

        Raises:
            openai.OpenAIError: See `completion`.
        """
        with translate_errors(call["model"]):
            settings, messages, fields = self._args(call, stream=True)
            client = LFMClient.from_settings(settings, self._transport)
            stream = client.stream(messages, **fields)
            return _chunks(next(stream), stream, call)

    # LiteLLM types it as a coroutine, but iterates over what the call returns.
    def astreaming(self, *_: Any, **call: Any) -> AsyncIterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return an asynchronous iterator over the chunks of the reply.

        Invalid arguments fail here, a refused request only when the result is read: LiteLLM does not await this call.
        """
        with translate_errors(call["model"]):
            settings, messages, fields = self._args(call, stream=True)
            client = self.async_client(settings)
            return _achunks(client.stream(messages, **fields), call)


def _chunks(first: Delta, rest: Stream, call: JSONDict) -> Iterator[Chunk]:
    model, log = call["model"], call.get("logging_obj")
    with translate_errors(model), rest:
        for delta in chain([first], rest):
            yield from to_chunks(delta, model, log)


async def _achunks(stream: AsyncStream, call: JSONDict) -> AsyncIterator[Chunk]:
    model, log = call["model"], call.get("logging_obj")
    metadata = (call.get("litellm_params") or {}).get("metadata") or {}
    is_routed = "model_group" in metadata  # set by `Router._update_kwargs_with_deployment`
    with translate_errors(model, is_routed=is_routed):
        async with stream:
            async for delta in stream:
                for chunk in to_chunks(delta, model, log):
                    yield chunk


class ChatConfig(litellm.OpenAILikeChatConfig):  # type: ignore[misc]
    """LiteLLM's parameters for custom providers, and those for reasoning for models that are known to reason.

    LiteLLM has one list for all custom providers, and refuses or drops other parameters before it calls the provider.
    """

    def get_supported_openai_params(self, model: str) -> list[str]:
        """Return the parameters that a model supports."""
        row = litellm.model_cost.get(f"{PROVIDER}/{model}") or {}
        reasoning = ("reasoning_effort", "thinking") if row.get("supports_reasoning") else ()
        return [*super().get_supported_openai_params(model), *reasoning]


handler = LFMProvider()
"""The provider that `register` installs. A Proxy names it in its `custom_provider_map`."""


def register(
    *, attribution: Attribution | None = None, ledger: Ledger | None = None, budget: Budget | None = None
) -> None:
    """Add `lfm/...` to LiteLLM's providers, and Liquid's models to its table of prices, limits and capabilities.

    It may be called many times, and keeps the providers of other libraries. Call it again after a library has replaced
    `litellm.custom_provider_map`.

    Args:
        attribution: The app to credit (https://openrouter.ai/docs/app-attribution) for `lfm/...`, and for LiteLLM's own
            `openrouter/...` unless `OR_SITE_URL` and `OR_APP_NAME` are set, which cannot carry categories. Default:
            that of an earlier call, else the environment's.
        ledger: Records the calls of `lfm/...`: see `ClientOptions.ledger`. Default: that of an earlier call.
        budget: A limit for the calls of `lfm/...`: see `ClientOptions.budget`. Default: that of an earlier call.
    """
    handler.ledger = ledger or handler.ledger
    handler.budget = budget or handler.budget
    if attribution is not None:
        before, handler.attribution = handler.attribution or Attribution(), attribution
        # The variables that LiteLLM's own provider reads, unless somebody else has set them.
        for name, was, value in (
            ("OR_SITE_URL", before.url, attribution.url),
            ("OR_APP_NAME", before.title, attribution.title),
        ):
            if value and os.environ.get(name) in (None, was):
                os.environ[name] = value
    others = [entry for entry in litellm.custom_provider_map if entry["provider"] != PROVIDER]
    ours: Any = {"provider": PROVIDER, "custom_handler": handler}
    litellm.custom_provider_map = [*others, ours]
    litellm.OpenAILikeChatConfig = ChatConfig
    # LiteLLM calls this in the first completion, too late for `get_supported_openai_params` and the like.
    litellm.utils.custom_llm_setup()
    litellm.register_model(model_cost_entries())
