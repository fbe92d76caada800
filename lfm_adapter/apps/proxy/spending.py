"""Each person's spending today, shared by all Proxies in Redis, or kept in this process without Redis."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from redis.asyncio import Redis  # pyright: ignore[reportMissingImports]
from redis.exceptions import RedisError  # pyright: ignore[reportMissingImports]

_KEPT_S = 2 * 24 * 60 * 60
_TIMEOUT_S = 1.0


class Spending:
    """Sums by name and day in UTC. While Redis does not answer, only the spending of this process counts."""

    def __init__(self) -> None:
        self._own: dict[str, float] = {}

    async def add(self, name: str, usd: float) -> None:
        """Add to a person's spending today."""
        key = _key(name)
        self._own = {known: spent for known, spent in self._own.items() if known.endswith(_today())}
        self._own[key] = self._own.get(key, 0.0) + usd
        await self._ask_redis("incrbyfloat", key, usd)
        await self._ask_redis("expire", key, _KEPT_S)

    async def today(self, name: str) -> float:
        """Return a person's spending today, in US$."""
        return max(self._own.get(_key(name), 0.0), float(await self._ask_redis("get", _key(name)) or 0))

    async def is_shared(self) -> bool | None:
        """Return whether Redis answers; None if there is none."""
        return None if self._redis is None else bool(await self._ask_redis("ping"))

    @cached_property
    def _redis(self) -> Redis | None:
        # The variables are those that LiteLLM reads.
        host = os.environ.get("REDIS_HOST")
        port, password = int(os.environ.get("REDIS_PORT") or 6379), os.environ.get("REDIS_PASSWORD") or None
        timeouts = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
        return Redis(host=host, port=port, password=password, **timeouts) if host else None

    async def _ask_redis(self, command: str, *arguments: Any) -> Any:
        """Return Redis's answer; None if there is no Redis, or it does not answer."""
        if self._redis is None:
            return None
        try:
            return await getattr(self._redis, command)(*arguments)
        except (RedisError, OSError):
            return None


def _today() -> str:
    return f"{datetime.now(tz=UTC):%Y-%m-%d}"


def _key(name: str) -> str:
    return f"lfm-adapter:spent:{name}:{_today()}"
