"""What both clients are made from: settings and a transport."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from lfm_adapter.client.settings import MAX_REPLY_BYTES, Settings
from lfm_adapter.openrouter.request import Attribution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfm_adapter.client.settings import ApiKey, TokenCounter, ToolCalling, WhenRetired, WhenUnfit

__all__ = ["BaseClient"]

T = TypeVar("T")


class BaseClient(ABC, Generic[T]):
    """Holds a client's settings. `LFMClient` documents the arguments."""

    settings: Settings
    _transport: T

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: ApiKey = None,
        base_url: str | None = None,
        timeout: float | None = None,
        stream_chunk_timeout: float | None = 120.0,
        total_timeout: float | None = None,
        max_retries: int = 2,
        app_url: str | None = None,
        app_title: str | None = None,
        app_categories: Sequence[str] | None = None,
        default_headers: Mapping[str, str] | None = None,
        when_retired: WhenRetired = "raise",
        tool_calling: ToolCalling = "auto",
        recover_tool_calls: bool = True,
        max_repairs: int = 1,
        when_unfit: WhenUnfit = "raise",
        token_counter: TokenCounter | None = None,
        allow_http: bool = False,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        transport: T | None = None,
    ) -> None:
        self.settings = Settings.of(
            model=model,
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            stream_chunk_timeout_s=stream_chunk_timeout,
            total_timeout_s=total_timeout,
            max_retries=max_retries,
            attribution=Attribution.of(app_url, app_title, app_categories),
            headers=dict(default_headers or {}),
            when_retired=when_retired,
            tool_calling=tool_calling,
            recover_tool_calls=recover_tool_calls,
            max_repairs=max_repairs,
            when_unfit=when_unfit,
            token_counter=token_counter,
            allow_http=allow_http,
            max_reply_bytes=max_reply_bytes,
        )
        self._transport = self._default_transport() if transport is None else transport

    @classmethod
    def of(cls, settings: Settings, transport: T | None = None) -> Self:
        """Return a client with settings that are already checked."""
        client = cls.__new__(cls)
        client.settings = settings
        client._transport = client._default_transport() if transport is None else transport
        return client

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.settings.model!r}, base_url={self.settings.base_url!r})"

    @staticmethod
    @abstractmethod
    def _default_transport() -> T: ...
