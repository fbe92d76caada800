"""The seam between the protocol and the network: what a transport is given and what it gives back.

`blocking.py` and `streams.py` implement it over urllib3 and aiohttp. Pass an object of your own as
`LFMClient(transport=...)` or `AsyncLFMClient(transport=...)` to reach OpenRouter another way, or to test without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AsyncResponse", "AsyncTransport", "Request", "Response", "Transport"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, ready to send.

    Attributes:
        method: "GET" or "POST".
        url: The whole address.
        headers: As they go out. Their values never stand in the repr: one of them is the key.
        body: The JSON body as bytes, or None.
        timeout_s: Seconds to wait for a connection, and then for all headers of the reply.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout_s: float


class Response(Protocol):
    """A reply whose body is read piece by piece."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """Return the next bytes of the body as soon as there are any, decompressed; b"" at its end.

        Raises:
            APITimeoutError: Nothing came for `timeout_s` seconds.
            StreamInterruptedError: The connection broke, or the body is shorter than announced.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close its socket at once."""
        ...


class Transport(Protocol):
    """Sends a request, blocking. Must be safe to share between threads."""

    def send(self, request: Request) -> Response:
        """Send `request` and return as soon as the reply's headers are there. Redirects are not followed.

        Raises:
            APIConnectionError: No connection, or it broke before the headers came.
            APITimeoutError: No connection or no headers within `request.timeout_s`.
        """
        ...


class AsyncResponse(Protocol):
    """The twin of `Response` for asyncio."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        ...

    async def read(self, timeout_s: float) -> bytes:
        """See `Response.read`."""
        ...

    def close(self) -> None:
        """See `Response.close`. It does not wait, so that a cancelled task can call it."""
        ...


class AsyncTransport(Protocol):
    """The twin of `Transport` for asyncio. Must work from any event loop."""

    async def send(self, request: Request) -> AsyncResponse:
        """See `Transport.send`."""
        ...
