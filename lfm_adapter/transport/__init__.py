"""The network: `base` says what a transport is; `blocking` and `streams` are the two that ship.

Nothing here imports urllib3 or aiohttp until a transport of that kind is made.
"""

from __future__ import annotations

from lfm_adapter.transport.base import AsyncResponse, AsyncTransport, Request, Response, Transport

__all__ = ["AsyncResponse", "AsyncTransport", "Request", "Response", "Transport"]
