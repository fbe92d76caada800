"""The seam between the protocol and the network: what a transport is given and what it gives back.

Pass an object of your own as
`LFMClient(transport=...)` or `AsyncLFMClient(transport=...)` to reach OpenRouter another way, or to test without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AsyncHTTPResponse", "AsyncTransport", "HTTPRequest", "HTTPResponse", "Transport"]


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """One HTTP request, ready to send.

    Attributes:
        method: "GET" or "POST".
        url: The whole address.
        headers: As they go out. Their values never stand in the repr: one of them is the key.
        body: The JSON body as bytes, or None.
        timeout: Seconds to wait for a connection, and then for all headers of the reply.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: float


class HTTPResponse(Protocol):
    """A reply whose body is read piece by piece."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        ...

    def read(self, timeout: float) -> bytes:
        """Return the next bytes of the body as soon as there are any, decompressed; b"" at its end.

        Raises:
            APITimeoutError: Nothing came for `timeout` seconds.
            StreamInterruptedError: The connection broke, or the body is shorter than announced.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close its socket at once."""
        ...


class Transport(Protocol):
    """Sends a request, blocking. Must be safe to share between threads."""

    def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send `request` and return as soon as the reply's headers are there. Redirects are not followed.

        Raises:
            APIConnectionError: No connection, or it broke before the headers came.
            APITimeoutError: No connection or no headers within `request.timeout`.
        """
        ...


class AsyncHTTPResponse(Protocol):
    """The twin of `HTTPResponse` for asyncio."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        ...

    async def read(self, timeout: float) -> bytes:
        """See `HTTPResponse.read`."""
        ...

    def close(self) -> None:
        """See `HTTPResponse.close`. It does not wait, so that a cancelled task can call it."""
        ...


class AsyncTransport(Protocol):
    """The twin of `Transport` for asyncio. Must work from any event loop."""

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """See `Transport.send`."""
        ...
