"""What a transport takes and returns.

Pass your own as `LFMClient(transport=...)` or `AsyncLFMClient(transport=...)` to send requests another way, or to test
without a network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One HTTP request, ready to send.

    Attributes:
        method: "GET" or "POST".
        url: The whole URL.
        headers: The headers, checked. The repr leaves them out: one of them is the key.
        body: The JSON body as bytes, or None.
        timeout: Seconds to wait for the connection and the response's headers.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: float


class _Response(Protocol):
    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        ...


class HTTPResponse(_Response, Protocol):
    """A response whose body is read piece by piece."""

    def read(self, timeout: float) -> bytes:
        """Return the next bytes of the body as soon as there are any; b"" at its end.

        Args:
            timeout: Seconds to wait for them.

        Raises:
            APITimeoutError: Nothing came within `timeout` seconds.
            StreamInterruptedError: The connection broke, or the body is shorter than announced.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it at once."""
        ...


class Transport(Protocol):
    """Sends requests and waits for the response. Must be safe to share between threads."""

    def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send `request` and return as soon as the response's headers are there. Redirects are not followed.

        Raises:
            APIConnectionError: The connection failed, or broke before the headers came.
            APITimeoutError: The headers did not come within `request.timeout` seconds.
            ResponseError: The response is compressed; the requests of this package ask for `identity`.
        """
        ...


class AsyncHTTPResponse(_Response, Protocol):
    """The asyncio version of `HTTPResponse`."""

    async def read(self, timeout: float) -> bytes:  # noqa: ASYNC109 - each read has its own
        """See `HTTPResponse.read`."""
        ...

    def close(self) -> None:
        """See `HTTPResponse.close`. Not a coroutine, so that a cancelled task can call it."""
        ...


class AsyncTransport(Protocol):
    """The asyncio version of `Transport`. Must work in any event loop."""

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """See `Transport.send`."""
        ...
