"""What the clients have in common: settings that cannot change, and a transport."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any, Generic, Self, TypeVar

from lfm_adapter._client.settings import DEFAULT_MODEL, ClientOptions, Settings

__all__ = ["BaseClient"]

T = TypeVar("T")


@dataclass(kw_only=True, eq=False, repr=False)
class BaseClient(ClientOptions, Generic[T]):
    """A client with options that cannot change: `dataclasses.replace(client, timeout=5)` returns one with others.

    Attributes:
        transport: What sends the requests, in place of the built-in transport.
        is_default_model: Whether `model` is the default because none was chosen; makes a copy choose by itself too.
    """

    transport: T | None = None
    is_default_model: bool = False

    def __post_init__(self) -> None:
        given = {option.name: getattr(self, option.name) for option in fields(ClientOptions)}
        if self.is_default_model and self.model == DEFAULT_MODEL:
            given["model"] = None
        settings = Settings.from_env(**given)
        self.model, self.is_default_model = settings.model, settings.is_default_model
        self._connect(settings)

    @classmethod
    def from_settings(cls, settings: Settings, transport: T | None = None) -> Self:
        """Return a client with settings that are already checked."""
        client = cls.__new__(cls)
        client.__dict__.update(settings.__dict__)
        client.__dict__["transport"] = transport
        client._connect(settings)
        return client

    def _connect(self, settings: Settings) -> None:
        self._transport: T = self._default_transport() if self.transport is None else self.transport
        self._settings: Settings = settings  # last: from now on nothing can be changed

    def __setattr__(self, name: str, value: object) -> None:
        if "_settings" in self.__dict__:
            raise FrozenInstanceError(f"A client is immutable. Use `dataclasses.replace(client, {name}=...)`.")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        settings: Any = self.__dict__.get("_settings", self)  # they may have been refused
        return f"{type(self).__name__}(model={settings.model!r}, base_url={settings.base_url!r})"

    @staticmethod
    @abstractmethod
    def _default_transport() -> Any: ...
