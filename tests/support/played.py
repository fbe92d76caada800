"""Transports without a network: they give one reply to everybody, and break it off where they are told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfm_adapter import ChatLFM, LFMClient

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from lfm_adapter.errors import APIError
    from lfm_adapter.types import HTTPRequest

__all__ = ["AsyncPlayed", "Played", "PlayedChat", "stepped"]


class Played:
    """A `Transport` and its `Response`.

    Args:
        status_code: The HTTP status.
        headers: Their names are in lower case.
        body: What is read, in one piece.
        failure: What is raised behind it, instead of its end.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, failure: APIError | None = None) -> None:
        self.status_code = status
        self.headers = headers
        self._body = body
        self._failure = failure

    def send(self, request: HTTPRequest) -> Played:
        return self

    def read(self, timeout_s: float) -> bytes:
        piece, self._body = self._body, b""
        if self._failure is not None and not piece:
            raise self._failure
        return piece

    def close(self) -> None:
        pass


class AsyncPlayed(Played):
    """The twin for asyncio. It waits for nothing, so that `stepped` can run what uses it."""

    async def send(self, request: HTTPRequest) -> AsyncPlayed:  # type: ignore[override]
        return self

    async def read(self, timeout_s: float) -> bytes:  # type: ignore[override]
        return super().read(timeout_s)


class PlayedChat(ChatLFM):
    """A chat model whose transport is `played`."""

    played: Any

    def _client(self, **call: Any) -> LFMClient:
        return LFMClient.from_settings(self._settings(**call), self.played)


def stepped(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")
