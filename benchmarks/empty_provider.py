"""A LiteLLM provider that answers from memory: what is left is what LiteLLM costs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litellm import CustomLLM
from litellm.types.utils import Choices, GenericStreamingChunk, Message, ModelResponse

from benchmarks.server import EVENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["EmptyProvider"]


class EmptyProvider(CustomLLM):
    """Says the same each time."""

    def completion(self, *_: Any, **__: Any) -> ModelResponse:
        return _response()

    async def acompletion(self, *_: Any, **__: Any) -> ModelResponse:
        return _response()

    def streaming(self, *_: Any, **__: Any) -> Iterator[GenericStreamingChunk]:
        for place in range(EVENTS):
            yield _chunk(place)

    async def astreaming(self, *_: Any, **__: Any) -> AsyncIterator[GenericStreamingChunk]:
        for place in range(EVENTS):
            yield _chunk(place)


def _response() -> ModelResponse:
    message = Message(role="assistant", content="It is sunny in Paris.")
    return ModelResponse(model="model", choices=[Choices(index=0, finish_reason="stop", message=message)])


def _chunk(place: int) -> GenericStreamingChunk:
    is_last = place == EVENTS - 1
    return {
        "text": f" word{place}",
        "is_finished": is_last,
        "finish_reason": "stop" if is_last else "",
        "usage": None,
        "index": 0,
        "tool_use": None,
    }
