"""`LFMClient` or `AsyncLFMClient` behind one blocking face, so that a test of what both must do is written once.

@pytest.fixture(params=KINDS)
def make(request):
    with clients(request.param) as make:
        yield make

def test_something(make, server):
    reply = make(server).chat("Hello")
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from lfm_adapter import AsyncLFMClient, LFMClient
from lfm_adapter._client import async_client as asynchronous
from lfm_adapter._client import sync_client as blocking
from lfm_adapter._openrouter.address import OPENROUTER_URL
from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter._transport.urllib3 import Urllib3Transport, close_pools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import pytest

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.testing import ScriptedOpenRouter
    from lfm_adapter.types import DecisionReply, Delta, EmbeddingReply, HTTPRequest, Reply

__all__ = [
    "KEY",
    "KINDS",
    "AsyncDetour",
    "Client",
    "Detour",
    "clients",
    "every_connection_ends",
    "record_waits",
]

KINDS = ("sync", "async")
KEY = "sk-or-v1-0123456789abcdef"
DEFAULTS = {"model": "liquid/lfm-3b", "api_key": KEY, "timeout": 20}  # seconds after which a test that hangs fails


class Stream:
    """A `Stream` or an `AsyncStream`, to be used as the former."""

    def __init__(self, stream: Any, run: Callable[[Any], Any]) -> None:
        self._stream = stream
        self._run = run
        self._is_async = isinstance(stream, asynchronous.AsyncStream)

    @property
    def reply(self) -> Reply | None:
        return self._stream.reply

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        try:
            return self._run(anext(self._stream)) if self._is_async else next(self._stream)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        entered = self._run(self._stream.__aenter__() if self._is_async else self._stream.__enter__())
        assert entered is self._stream
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._stream.__aexit__(*error) if self._is_async else self._stream.__exit__(*error))

    def close(self) -> None:
        self._run(self._stream.aclose() if self._is_async else self._stream.close())


class Client:
    """An `LFMClient` or an `AsyncLFMClient`, to be used as the former.

    Attributes:
        client: The client itself.
    """

    def __init__(self, client: LFMClient | AsyncLFMClient, run: Callable[[Any], Any]) -> None:
        self.client = client
        self._run = run

    @property
    def settings(self) -> Settings:
        return self.client._settings

    def but(self, **settings: Any) -> Client:
        """The same client with other settings."""
        return Client(replace(self.client, **settings), self._run)

    def chat(self, *arguments: Any, **parameters: Any) -> Reply:
        return self._run(self.client.chat(*arguments, **parameters))

    def stream(self, *arguments: Any, **parameters: Any) -> Stream:
        return Stream(self.client.stream(*arguments, **parameters), self._run)

    def text(self, **parameters: Any) -> str:
        """The text of a streamed answer."""
        with self.stream("Hello", **parameters) as stream:
            return "".join(delta.text for delta in stream)

    def embed(self, *arguments: Any, **parameters: Any) -> EmbeddingReply:
        return self._run(self.client.embed(*arguments, **parameters))

    def decide(self, *arguments: Any, **parameters: Any) -> DecisionReply:
        return self._run(self.client.decide(*arguments, **parameters))

    def list_models(self) -> list[dict[str, Any]]:
        return self._run(self.client.list_models())

    def list_endpoints(self, model: str) -> dict[str, Any]:
        return self._run(self.client.list_endpoints(model))

    def generation(self, generation_id: str) -> dict[str, Any]:
        return self._run(self.client.generation(generation_id))

    def key_info(self) -> dict[str, Any]:
        return self._run(self.client.key_info())


@contextmanager
def clients(kind: str) -> Iterator[Callable[..., Client]]:
    """Yield a maker of clients of one of `KINDS`. No connection is left over after it.

    The maker takes the constructor's arguments, and first a scripted server, if the client shall talk to one. With
    `as_openrouter=True` the client believes that the server is OpenRouter, and not one on this machine.
    """

    async def awaited(result: Awaitable[Any]) -> Any:
        return await result

    with asyncio.Runner() as runner:

        def run(result: Any) -> Any:
            return runner.run(awaited(result)) if hasattr(result, "__await__") else result

        def make(server: ScriptedOpenRouter | None = None, *, as_openrouter: bool = False, **arguments: Any) -> Client:
            if as_openrouter:
                detour = Detour if kind == "sync" else AsyncDetour
                arguments["transport"] = detour(server.base_url)
            elif server is not None:
                arguments["base_url"] = server.base_url
            client = LFMClient if kind == "sync" else AsyncLFMClient
            return Client(client(**DEFAULTS | arguments), run)

        yield make
        close_pools()


def record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have both clients note down their waits between tries, in seconds, instead of sleeping."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(blocking, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(asynchronous, "asyncio", SimpleNamespace(sleep=sleep))
    return waits


def every_connection_ends(server: ScriptedOpenRouter, timeout_s: float = 60) -> bool:
    """Whether the client closes all its connections to the server."""
    end = time.monotonic() + timeout_s
    while any(thread.ident is None or thread.is_alive() for _, thread in list(server._connections)):
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Detour(Urllib3Transport):
    """Sends what is meant for OpenRouter to another address."""

    __slots__ = ("_base_url",)

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def send(self, request: HTTPRequest) -> Any:
        return super().send(_rerouted(request, self._base_url))


class AsyncDetour(AiohttpTransport):
    """The twin of `Detour`."""

    __slots__ = ("_base_url",)

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    async def send(self, request: HTTPRequest) -> Any:
        return await super().send(_rerouted(request, self._base_url))


def _rerouted(request: HTTPRequest, base_url: str) -> HTTPRequest:
    assert request.url.startswith(OPENROUTER_URL)
    return replace(request, url=base_url + request.url.removeprefix(OPENROUTER_URL))
