"""The connections of the blocking transport: urllib3's pools, shared by all threads of this process."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Retry, parse_url

from lfm_adapter._transport.http_reply import HTTPReply
from lfm_adapter._transport.tls import context

if TYPE_CHECKING:
    from urllib3.util.url import Url

    from lfm_adapter._transport.proxy import ProxyConfig

__all__ = ["close_pools", "urlopen"]

# Idle connections kept for each host. More threads than this may send at once: what they opened beyond it is closed
# after use. No thread ever waits for another's connection.
_IDLE_CONNECTIONS = 64

# Beyond so many hosts the one first asked loses its idle connections.
_MAX_POOLS = 64

# Without this urllib3 would make one for each request.
_NO_RETRIES = Retry.from_int(False, redirect=False)

# Plain dicts, because a lock could be held by another thread while the process forks.
_pools: dict[tuple[str | None, ...], HTTPConnectionPool] = {}
_proxies: dict[tuple[bool, str, str | None], urllib3.ProxyManager] = {}
_inherited: list[HTTPConnectionPool | urllib3.ProxyManager] = []


def urlopen(route: ProxyConfig, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
    """Ask by `route` and return the reply, its body unread and undecoded.

    Args:
        route: The way to `url`.
        method: The method.
        url: The whole address.
        **options: Further arguments of urllib3's `urlopen`.
    """
    options |= {"retries": _NO_RETRIES, "redirect": False, "preload_content": False, "decode_content": False}
    if route.proxy is not None:
        return _proxy(route, route.proxy).urlopen(method, url, **options)
    # Not by a `PoolManager`, which takes the address apart in every call: an eighth of what a request costs.
    parts = _parts(url)
    return _pool(parts).urlopen(method, parts.request_uri, assert_same_host=False, **options)


def close_pools() -> None:
    """Close the idle connections of every `Urllib3Transport`. The next request opens new ones."""
    while _pools:
        _pools.popitem()[1].close()
    while _proxies:
        _proxies.popitem()[1].clear()


_parts = lru_cache(maxsize=256)(parse_url)


def _pool(parts: Url) -> HTTPConnectionPool:
    key = (parts.scheme, parts.netloc)
    pool = _pools.get(key)
    if pool is None:
        tls = parts.scheme == "https"
        cls = _HTTPSPool if tls else _HTTPPool
        # Two threads may both make one: the first stays, and the other has not opened anything yet.
        pool = _pools.setdefault(key, cls(parts.host or "", parts.port, **_settings(tls=tls)))
        while len(_pools) > _MAX_POOLS:
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread was faster
                _pools.pop(next(iter(_pools))).close()
    return pool


def _proxy(route: ProxyConfig, address: str) -> urllib3.ProxyManager:
    authorization = route.proxy_authorization
    key = (route.tls, address, authorization)
    manager = _proxies.get(key)
    if manager is None:
        settings = _settings(tls=route.tls)
        manager = urllib3.ProxyManager(
            address,
            proxy_headers={"Proxy-Authorization": authorization} if authorization else None,
            proxy_ssl_context=settings.get("ssl_context"),
            **settings,
        )
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        manager = _proxies.setdefault(key, manager)
    return manager


def _settings(*, tls: bool) -> dict[str, Any]:
    # The context is slow to make, and not needed for a server on this machine.
    return {"maxsize": _IDLE_CONNECTIONS, "block": False} | ({"ssl_context": context()} if tls else {})


def _forget_in_child() -> None:
    """Leave the parent's connections alone after a fork; closing them here could wait for a lock that no one holds."""
    _inherited.extend((*_pools.values(), *_proxies.values()))
    _pools.clear()
    _proxies.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class _HTTPPool(HTTPConnectionPool):
    def _new_conn(self) -> Any:
        # On the connection and not as `ConnectionCls`, which vcrpy replaces.
        connection: Any = super()._new_conn()
        connection.response_class = HTTPReply
        return connection


class _HTTPSPool(_HTTPPool, HTTPSConnectionPool):
    pass
