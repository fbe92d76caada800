"""Both transports behind one synchronous interface, so that a test of what both must do is written once."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lfm_adapter._transport.aiohttp import AiohttpTransport, aclose_pools
from lfm_adapter._transport.urllib3 import Urllib3Response, Urllib3Transport, close_pools
from lfm_adapter.types import HTTPRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["HEADERS", "KEY", "KINDS", "Client", "Reply", "client_of", "request_to"]

KINDS = ("urllib3", "aiohttp")
KEY = "sk-or-v1-0123456789abcdef"
HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "User-Agent": "lfm-adapter/0",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}


def request_to(
    url: str,
    *,
    method: str = "POST",
    headers: Mapping[str, str] = HEADERS,
    body: bytes | None = b"{}",
    timeout: float = 10,
) -> HTTPRequest:
    return HTTPRequest(method, url, headers, body, timeout)


class Reply:
    """An `HTTPResponse` or an `AsyncHTTPResponse`."""

    def __init__(self, response: Any, run: Callable[[Any], Any]) -> None:
        self.response = response
        self.status_code: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._run = run

    @property
    def socket(self) -> Any:
        """The socket that it is read from."""
        connection = self.response._response.connection
        if isinstance(self.response, Urllib3Response):
            return connection.sock
        return connection.transport.get_extra_info("socket")

    def read(self, timeout: float = 10) -> bytes:
        return self._run(lambda: self.response.read(timeout))

    def body(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def close(self) -> None:
        self._run(self.response.close)


class Client:
    """A `Transport` or an `AsyncTransport`."""

    def __init__(self, transport: Any, run: Callable[[Any], Any]) -> None:
        self.transport = transport
        self.kind = "aiohttp" if isinstance(transport, AiohttpTransport) else "urllib3"
        self.run = run

    def send(self, url: str, **details: Any) -> Reply:
        return Reply(self.run(lambda: self.transport.send(request_to(url, **details))), self.run)

    def fetch(self, url: str, **details: Any) -> bytes:
        """Return the whole body."""
        reply = self.send(url, **details)
        try:
            return reply.body()
        finally:
            reply.close()

    def close_pools(self) -> None:
        self.run(aclose_pools if self.kind == "aiohttp" else close_pools)

    def settle(self) -> None:
        """Let the event loop look at its sockets."""
        self.run(lambda: None)


@contextmanager
def client_of(kind: str) -> Iterator[Client]:
    """Yield a client of one of `KINDS`. No connection is left over after it."""
    if kind == "urllib3":
        yield Client(Urllib3Transport(), lambda call: call())
        close_pools()
        return
    with asyncio.Runner() as runner:

        async def in_loop(call: Callable[[], Any]) -> Any:
            result = call()
            result = await result if asyncio.iscoroutine(result) else result
            await asyncio.sleep(0)  # what `close` leaves to the loop
            return result

        yield Client(AiohttpTransport(), lambda call: runner.run(in_loop(call)))
