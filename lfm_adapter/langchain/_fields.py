"""The fields that all models for LangChain share: `CommonFields`."""

# No `from __future__ import annotations`: see `chat_model`.

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, model_validator

from lfm_adapter._client.settings import CommonOptions, TokenCounter
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.langchain._params import keep_fields, named_arguments
from lfm_adapter.ledger import Budget, Ledger

__all__ = ["CommonFields"]


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
        super().__init_subclass__(**options)
        keep_fields(cls)

    @model_validator(mode="before")
    @classmethod
    def _name_arguments(cls, values: Any) -> Any:
        return named_arguments(values, cls) if isinstance(values, dict) else values
