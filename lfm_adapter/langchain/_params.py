"""What the models for LangChain share: their fields, and how arguments become settings and fields of the request."""

# No `from __future__ import annotations`: see `chat_model`.

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from inspect import Signature
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, model_validator

from lfm_adapter._client.settings import DEFAULT_MODEL, ClientOptions, CommonOptions, Settings
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.address import OPENROUTER_URL, base_url_of, is_liquid, sends_env_key
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.errors import APIError, ConfigurationError
from lfm_adapter.langchain._errors import to_langchain_error
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.types import ChatRequest
from lfm_adapter.types._request import TokenCounter

if TYPE_CHECKING:
    from lfm_adapter._client.async_client import AsyncLFMClient
    from lfm_adapter._client.sync_client import LFMClient

ALIASES = {
    "model_name": "model",
    "openrouter_api_key": "api_key",
    "openrouter_api_base": "base_url",
    "request_timeout": "timeout",
    "extra_headers": "default_headers",
    "openrouter_provider": "provider",
    "max_completion_tokens": "max_tokens",
    "stop_sequences": "stop",
    "models": "fallback_models",
}
"""Names of other LangChain integrations and of OpenRouter."""

_WIRE_NAMES: dict[str, str] = {name: field for name, field in ALIASES.items() if name != "models"} | {
    "fallback_models": "models"
}

# Fields of the request that `invoke` and `stream` set, and users cannot.
_FROM_CALLS = {"messages", "stream"}

# Fields of `ChatLFM` that go into the request. `metadata` is LangChain's, for tracers.
_REQUEST_FIELDS = {"fallback_models", *ChatRequest.__annotations__} - {"metadata", "model"}

_DEFAULTS = {option.name: option.default for option in fields(ClientOptions)}

CLIENT_OPTIONS = _DEFAULTS.keys() - {"model"}
"""Fields that are for the client, such as `api_key`, and not for the model."""

_FROM_ENVIRONMENT = frozenset({"api_key", "base_url", "app_url", "app_title", "app_categories"})
_PLAIN_OPTIONS = ("model", *sorted(CLIENT_OPTIONS - {"api_key", "default_headers", "app_categories"}))

_plain_values = itemgetter(*_PLAIN_OPTIONS)


def _client_options(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of a call that are for the client, under the names of `ClientOptions`."""
    return {
        name: value
        for given, value in call.items()
        if (name := ALIASES.get(given, given)) in CLIENT_OPTIONS
        and (value is not None or name not in _FROM_ENVIRONMENT)
    }


def request_fields(
    model: BaseModel, stop: list[str] | None, call: Mapping[str, Any], *, stream: bool = False
) -> dict[str, Any]:
    """Return the fields of one request of a `ChatLFM`. `model` is among them if the call names one.

    The extra body, which stays apart under its name, wins over the call's arguments, these over `model_kwargs`, and
    these over the fields of `model`.
    """
    own = model.__dict__
    known = type(model).model_fields
    sent = {
        given: value
        for given, value in call.items()
        if (name := ALIASES.get(given, given)) in _REQUEST_FIELDS or name == "model" or name not in known
    }
    more = [_wire_names(given.get("model_kwargs"), "model_kwargs") for given in (own, call)]
    extra = [_wire_names(given.get("extra_body"), "extra_body") for given in (own, call)]
    fields = _wire_names({name: value for name, value in own.items() if value is not None and name in _REQUEST_FIELDS})
    if stream and not call.get("stream_usage", own["stream_usage"]):
        fields["stream_options"] = None
    fields |= more[0] | more[1] | _wire_names(sent)
    if stop is not None:
        fields["stop"] = stop
    extra_body = extra[0] | extra[1]
    if "model" in extra_body:
        fields["model"] = extra_body.pop("model")
    count = extra_body.get("n", fields.get("n"))
    if type(count) is int and count == 1:  # the default; sent, it excludes endpoints that do not know it
        fields.pop("n", None)
        extra_body.pop("n", None)
    elif stream and isinstance(count, int) and count > 1:
        raise ConfigurationError("Several answers cannot be streamed: LangChain would join them. Use `n=1`.")
    return fields | {"extra_body": extra_body} if extra_body else fields


def _wire_names(given: Any, argument: str = "") -> dict[str, Any]:
    """Return fields under the names of the request. `argument` is what holds them."""
    if not given:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ConfigurationError(f"`{argument}` must be a dict with the names of fields, got {shown(given)}.")
    fields: Mapping[str, Any] = given
    return {_WIRE_NAMES.get(name, name): value for name, value in fields.items() if name not in _FROM_CALLS}


def _named_arguments(arguments: Mapping[str, Any], cls: type[BaseModel]) -> dict[str, Any]:
    """Return the arguments of a class under the names of its fields.

    Other fields of a chat request go into `model_kwargs` of `ChatLFM`. None is ignored where the environment has the
    default.

    Raises:
        ConfigurationError: A name is unknown, or two names mean the same field.
    """
    known = cls.model_fields
    named: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for given, value in arguments.items():
        name = ALIASES.get(given, given)
        if name == "model" and not value:  # as `LFM_MODEL=` in a compose file
            continue
        if name in known:
            before = named.get(name)
            if value is not None and before not in (None, value):
                other = next(alias for alias, ours in ALIASES.items() if ours == name and alias in arguments)
                raise ConfigurationError(f"`{name}` is passed twice, once as `{other}`. Pass one of them.")
            if value is not None or (before is None and name not in _FROM_ENVIRONMENT):
                named[name] = value
        elif "model_kwargs" in known and name in ChatRequest.__annotations__ and name not in _FROM_CALLS:
            more[name] = value
        elif value is not None:
            from difflib import get_close_matches

            near = get_close_matches(name, [*known, *ALIASES], n=1)
            advice = f" Did you mean `{near[0]}`?" if near else ""
            others = "`model_kwargs` or `extra_body`" if "model_kwargs" in known else "`extra_body`"
            raise ConfigurationError(
                f"`{cls.__name__}` has no argument `{name}`.{advice} To send another field of the request, "
                f"use {others}."
            )
    if more:
        named["model_kwargs"] = {**more, **(named.get("model_kwargs") or {})}
    return named


# Needed in each call, since attributes may change in between. Building them takes a twentieth of an `invoke`.
@lru_cache(maxsize=256)
def _settings_of(
    values: tuple[Any, ...],
    api_key: SecretStr | str | Callable[[], str] | None,
    headers: tuple[tuple[str, str], ...],
    categories: tuple[str, ...],
    *,
    is_default_model: bool,
    is_when_retired_given: bool,
) -> Settings:
    options = dict(zip(_PLAIN_OPTIONS, values, strict=True))
    if not is_when_retired_given:
        options["when_retired"] = None
    if options["timeout"] is None:
        options["timeout"] = ClientOptions.timeout
    options["base_url"] = base_url_of(options["base_url"] or OPENROUTER_URL)
    settings = Settings(
        **options,
        is_default_model=is_default_model,
        api_key=api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key,
        attribution=Attribution(options["app_url"], options["app_title"], categories),
        app_categories=categories or None,
        default_headers=dict(headers) or None,
    )
    settings.check()
    return settings


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
        return _named_arguments(values, cls) if isinstance(values, dict) else values

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
        options: Mapping[str, Any] = self.__dict__
        given: AbstractSet[str] = self.model_fields_set
        if changed := _client_options(call):
            if headers := changed.get("default_headers"):
                if not isinstance(headers, Mapping):
                    raise ConfigurationError(f"`default_headers` must be a dict, got `{type(headers).__name__}`.")
                changed["default_headers"] = {**(self.default_headers or {}), **changed["default_headers"]}
            options, given = {**options, **changed}, given | changed.keys()
        # `ChatLFM` has a field for each setting, the other models for the common ones.
        if "tool_calling" not in options:
            options = {**_DEFAULTS, **options}
        key, headers, categories = options["api_key"], options["default_headers"], options["app_categories"]
        url = options["base_url"] or ""
        if not isinstance(url, str):
            raise ConfigurationError(f"`base_url` must be a string, got {shown(url)}.")
        if "api_key" not in given and is_liquid(url):  # this and the next as in `Settings.from_env`
            key = SecretStr(os.environ.get("LIQUID_API_KEY", ""))
        elif "api_key" not in given and "base_url" in given and not sends_env_key(url):
            key = None
        values = _plain_values(options)
        facts = (values, key, tuple(headers.items()) if headers else (), _as_tuple(categories))
        known = {"is_default_model": "model" not in given, "is_when_retired_given": "when_retired" in given}
        try:
            return _settings_of(*facts, **known)
        except TypeError:  # a value that cannot be hashed, which is none that the settings take
            return _settings_of.__wrapped__(*facts, **known)

    def _client(self, **call: Any) -> "LFMClient":
        from lfm_adapter._client.sync_client import LFMClient

        return LFMClient.from_settings(self._settings(**call))

    def _async_client(self, **call: Any) -> "AsyncLFMClient":
        from lfm_adapter._client.async_client import AsyncLFMClient

        return AsyncLFMClient.from_settings(self._settings(**call))


def _as_tuple(categories: Any) -> Any:
    return tuple(categories) if isinstance(categories, list | set) else categories or ()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise LangChain's exceptions in place of ours in the `with` block."""
    try:
        yield
    except APIError as error:
        raise to_langchain_error(error) from error.__cause__
