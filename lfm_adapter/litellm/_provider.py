"""The provider behind `lfm/...` in LiteLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm.llms.custom_llm import CustomLLM

from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._client.sync_client import LFMClient
from lfm_adapter.litellm._args import Question
from lfm_adapter.litellm._chunks import Chunk, chunks_of
from lfm_adapter.litellm._convert import response_of
from lfm_adapter.litellm._errors import PROVIDER, LiteLLMErrors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from litellm.types.utils import ModelResponse

    from lfm_adapter._openrouter.request import Attribution
    from lfm_adapter.types import AsyncStream, AsyncTransport, Delta, JSONDict, Stream, Transport

__all__ = ["LFMProvider"]


class LFMProvider(CustomLLM):  # type: ignore[misc]  # mypy does not follow litellm: see pyproject.toml
    """OutputReader LiteLLM's calls for `lfm/...` through `LFMClient` and `AsyncLFMClient`.

    LiteLLM calls it; `lfm_adapter.litellm.handler` is the instance for its `custom_provider_map`. It holds no
    connection and may be shared by threads and event loops. LiteLLM passes all arguments by name
    (https://docs.litellm.ai/docs/providers/custom_llm_server).

    Args:
        attribution: The app to credit, where a call's `extra_headers` credit none. Default: the environment's.
        transport: What sends the requests, instead of urllib3.
        async_transport: What sends those of asynchronous calls, instead of aiohttp.
    """

    def __init__(
        self,
        *,
        attribution: Attribution | None = None,
        transport: Transport | None = None,
        async_transport: AsyncTransport | None = None,
    ) -> None:
        super().__init__()
        self.attribution = attribution
        self._transport = transport
        self._async_transport = async_transport

    def completion(self, *_: Any, **call: Any) -> ModelResponse:
        """Ask and wait for the whole reply.

        Raises:
            openai.OpenAIError: One of LiteLLM's exceptions, which are all OpenAI's too.
        """
        with LiteLLMErrors(call["model"]):
            question = Question.from_call(call, self.attribution, stream=False)
            client = LFMClient.from_settings(question.settings, self._transport)
            return response_of(client.chat(question.messages, **question.parameters), _name(call))

    async def acompletion(self, *_: Any, **call: Any) -> ModelResponse:
        """See `completion`."""
        with LiteLLMErrors(call["model"]):
            question = Question.from_call(call, self.attribution, stream=False)
            client = AsyncLFMClient.from_settings(question.settings, self._async_transport)
            return response_of(await client.chat(question.messages, **question.parameters), _name(call))

    def streaming(self, *_: Any, **call: Any) -> Iterator[Any]:
        """Ask, and return an iterator over the chunks of the reply.

        The first chunk is waited for here, so that a request that is refused fails in `litellm.completion` itself, and
        not while its result is read, where LiteLLM would call it a broken stream.

        Raises:
            openai.OpenAIError: See `completion`.
        """
        with LiteLLMErrors(call["model"]):
            question = Question.from_call(call, self.attribution, stream=True)
            client = LFMClient.from_settings(question.settings, self._transport)
            stream = client.stream(question.messages, **question.parameters)
            return self._chunks(next(stream), stream, call)

    # LiteLLM types it as a coroutine, and iterates over what the call returns.
    def astreaming(self, *_: Any, **call: Any) -> AsyncIterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Prepare the request, and return an asynchronous iterator over the chunks of the reply.

        What can be found wrong without asking fails here. LiteLLM gives no occasion to wait for the first chunk, so a
        request that is refused fails while its result is read.
        """
        with LiteLLMErrors(call["model"]):
            question = Question.from_call(call, self.attribution, stream=True)
            client = AsyncLFMClient.from_settings(question.settings, self._async_transport)
            return self._achunks(client.stream(question.messages, **question.parameters), call)

    @staticmethod
    def _chunks(first: Delta, rest: Stream, call: JSONDict) -> Iterator[Chunk]:
        with LiteLLMErrors(call["model"]), rest:
            yield from chunks_of(first, _name(call))
            for delta in rest:
                yield from chunks_of(delta, _name(call))

    @staticmethod
    async def _achunks(stream: AsyncStream, call: JSONDict) -> AsyncIterator[Chunk]:
        with LiteLLMErrors(call["model"], routed=_is_routed(call)):
            async with stream:
                async for delta in stream:
                    for chunk in chunks_of(delta, _name(call)):
                        yield chunk


def _is_routed(call: JSONDict) -> bool:
    metadata = (call.get("litellm_params") or {}).get("metadata") or {}
    return "model_group" in metadata  # Router._update_kwargs_with_deployment puts it there


def _name(call: JSONDict) -> str:
    return f"{PROVIDER}/{call['model']}"
