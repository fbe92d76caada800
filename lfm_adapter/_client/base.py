"""What both clients are made of: options and a transport."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Self, TypeVar

from lfm_adapter._client.settings import ClientOptions, Settings

__all__ = ["BaseClient"]

T = TypeVar("T")


@dataclass(kw_only=True, eq=False, repr=False)
class BaseClient(ClientOptions, Generic[T]):
    """Holds a client's options, and a transport in place of the built-in one."""

    transport: T | None = field(default=None)

    def __post_init__(self) -> None:
        given = {option.name: getattr(self, option.name) for option in fields(ClientOptions)}
        settings = Settings.from_env(**given)
        self._connect(settings)
        # What reads like the model that is asked for stays what it is in a copy (`dataclasses.replace`).
        self.model = settings.model
        if settings.is_default_model and self.when_retired is None and settings.is_openrouter:
            self.when_retired = "successor"

    @classmethod
    def from_settings(cls, settings: Settings, transport: T | None = None) -> Self:
        """Return a client with settings that are already checked."""
        client = cls.__new__(cls)
        client.__dict__.update(settings.__dict__)
        client.transport = transport
        client._connect(settings)
        return client

    def _connect(self, settings: Settings) -> None:
        self.settings = settings
        self._transport: T = self._default_transport() if self.transport is None else self.transport

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.settings.model!r}, base_url={self.settings.base_url!r})"

    @staticmethod
    @abstractmethod
    def _default_transport() -> Any: ...
