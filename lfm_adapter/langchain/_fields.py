"""What all models for LangChain share: their fields, their clients, and how they raise errors."""

# No `from __future__ import annotations`: see `chat_model`.

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Signature
from typing import TYPE_CHECKING, Any, Self

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, model_validator

from lfm_adapter._client.settings import DEFAULT_MODEL, CommonOptions, Settings
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.errors import APIError
from lfm_adapter.langchain._errors import to_langchain_error
from lfm_adapter.langchain._params import client_options, named_arguments, settings_of
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.types._request import TokenCounter

if TYPE_CHECKING:
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.sync_client import LFMClient

__all__ = ["CommonFields", "translate_errors"]


class _BuiltSignature:
    """Builds the class, which `defer_build` puts off, when `inspect.signature` or `help` asks for its fields."""

    def __get__(self, instance: object, owner: type[BaseModel]) -> Signature | None:
        owner.model_rebuild()  # sets the signature of `owner`, in place of this
        built = owner.__dict__.get("__signature__")
        return None if built is None or isinstance(built, _BuiltSignature) else owner.__signature__


class CommonFields(BaseModel, CommonOptions):
    """The common options as fields: with defaults from the environment, and secrets that are not shown."""

    api_key: SecretStr | Callable[[], str] | None = Field(  # type: ignore[assignment]  # a secret in place of a string
        default_factory=secret_from_env("OPENROUTER_API_KEY", default=None)
    )
    base_url: str | None = Field(default_factory=from_env(["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"], default=None))
    app_url: str | None = Field(default_factory=from_env("OPENROUTER_APP_URL", default=None))
    app_title: str | None = Field(default_factory=from_env("OPENROUTER_APP_TITLE", default=None))
    app_categories: Sequence[str] | None = Field(default_factory=lambda: [*Attribution.from_env().categories] or None)
    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    token_counter: TokenCounter | None = Field(default=None, exclude=True)
    ledger: InstanceOf[Ledger] | None = Field(default=None, exclude=True)
    budget: InstanceOf[Budget] | None = Field(default=None, exclude=True)

    # Building the validator takes most of the import's time, so the first instance does it.
    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    def __init_subclass__(cls, **options: Any) -> None:
        """Copy the inherited fields to a subclass, before Pydantic collects its fields.

        Pydantic takes a field's default from the first class with an attribute of its name. That is the dataclass of
        the client's options, which knows neither defaults from the environment nor which fields are secret.
        """
        super().__init_subclass__(**options)
        parent = next(base for base in cls.__mro__[1:] if issubclass(base, BaseModel))
        for name, field in parent.model_fields.items():
            if name not in vars(cls):
                setattr(cls, name, field)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        setattr(cls, "__signature__", _BuiltSignature())  # noqa: B010

    @model_validator(mode="before")
    @classmethod
    def _name_arguments(cls, values: Any) -> Any:
        return named_arguments(values, cls) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        """Check the settings, and record how defaults were resolved, for copies that are built from all fields."""
        if self.model != DEFAULT_MODEL or os.environ.get("LFM_MODEL"):
            self.model_fields_set.add("model")
        if not self._settings().api_key:
            object.__setattr__(self, "api_key", None)
        return self

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The secret fields, and the environment variables from which they are loaded."""
        return {"api_key": "OPENROUTER_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: LangChain may serialize it, without its secrets."""
        return True

    def _settings(self, **call: Any) -> Settings:
        """Return the client's settings for a call with these arguments."""
        options = client_options(call)
        if options.get("default_headers"):
            options["default_headers"] = {**(self.default_headers or {}), **options["default_headers"]}
        values = {**self.__dict__, **options} if options else self.__dict__
        return settings_of(values, self.model_fields_set | options.keys())

    def _client(self, **call: Any) -> "LFMClient":
        from lfm_adapter._client.sync_client import LFMClient

        return LFMClient.from_settings(self._settings(**call))

    def _async_client(self, **call: Any) -> "AsyncLFMClient":
        from lfm_adapter._client.async_client import AsyncLFMClient

        return AsyncLFMClient.from_settings(self._settings(**call))


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise LangChain's exceptions in place of ours in the `with` block."""
    try:
        yield
    except APIError as error:
        raise to_langchain_error(error) from error.__cause__
