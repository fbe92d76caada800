"""The network: `base` says what a transport is; `blocking` and `streams` are the two that ship.

Nothing here imports urllib3 or aiohttp until a transport of that kind is made.
"""

from __future__ import annotations

from lfm_adapter.types import AsyncHTTPResponse, AsyncTransport, HTTPRequest, HTTPResponse, Transport

__all__ = ["AsyncHTTPResponse", "AsyncTransport", "HTTPRequest", "HTTPResponse", "Transport"]
