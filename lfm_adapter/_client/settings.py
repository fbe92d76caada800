"""A client's settings: `ClientOptions` lists them, `Settings` are those in force, and `BaseClient` holds them."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

from lfm_adapter._client.setting_checks import check_values
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.address import (
    OPENROUTER_URL,
    base_url_of,
    is_liquid,
    is_loopback,
    is_openrouter,
    is_private,
    sends_env_key,
)
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter._openrouter.sse import MAX_EVENT_BYTES
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.ledger import Budget, Ledger, ledger_from_env
from lfm_adapter.types import ChatParameters, OnInvalidOutput, ToolCalling, WhenRetired
from lfm_adapter.types._request import TokenCounter  # noqa: TC001  # as above

if TYPE_CHECKING:
    from lfm_adapter._client.metering import CallMeter, Meter
    from lfm_adapter.types import ModelCard

T = TypeVar("T")

DEFAULT_MODEL = "liquid/lfm-3b"

ApiKey: TypeAlias = "str | Callable[[], str] | None"

_DEFAULT_TIMEOUT = 120.0


# Not frozen: `ChatLFM` inherits these fields, and Pydantic's models are not frozen.
@dataclass(kw_only=True)
class CommonOptions:
    """The settings that calls of every kind share: see `ClientOptions`."""

    model: str | None = field(default=None, kw_only=False)
    api_key: ApiKey = field(default=None, repr=False)
    base_url: str | None = None
    timeout: float | None = _DEFAULT_TIMEOUT
    total_timeout: float | None = None
    max_retries: int = 2
    app_url: str | None = None
    app_title: str | None = None
    app_categories: Sequence[str] | None = None
    default_headers: Mapping[str, str] | None = field(default=None, repr=False)
    when_retired: WhenRetired | None = None
    token_counter: TokenCounter | None = None
    allow_http: bool = False
    max_reply_bytes: int = 32 * 1024 * 1024
    ledger: Ledger | None = None
    budget: Budget | None = None


@dataclass(kw_only=True)
class ClientOptions(CommonOptions):
    """The settings shared by `LFMClient`, `AsyncLFMClient` and `ChatLFM`.

    Attributes:
        model: An id ("liquid/lfm-3-1.7b") or an alias ("lfm-3b"). Default: `LFM_MODEL`, else "liquid/lfm-3b", whose
            successor answers on OpenRouter: see `when_retired`.
        api_key: The key, or a function that returns it, called for each request. Default: `OPENROUTER_API_KEY`, unless
            `base_url` is on this machine or has no TLS; for Liquid's own API `LIQUID_API_KEY`.
        base_url: Where the API is. Default: `OPENROUTER_BASE_URL`, `OPENROUTER_API_BASE`, else OpenRouter.
        timeout: Seconds to wait for a connection, for the response headers, and for the next bytes of the body.
        total_timeout: Seconds for a whole call, retries included; None for no limit.
        max_retries: Retries after the first attempt; 0 for none. Never after content has arrived.
        app_url: The app that is credited (https://openrouter.ai/docs/app-attribution). Default: `OPENROUTER_APP_URL`.
        app_title: Its name. Default: `OPENROUTER_APP_TITLE`.
        app_categories: At most 2 categories. Default: `OPENROUTER_APP_CATEGORIES`, separated by commas.
        default_headers: Headers for every request; they replace ours of the same name.
        when_retired: "raise" raises `ModelRetiredError` for a retired model, "successor" asks its successor. Default:
            "raise" for a model that is named, "successor" for the default model on OpenRouter.
        token_counter: Counts the tokens of wire messages, in place of the built-in lower bound.
        allow_http: Allow sending a key unencrypted to a public host.
        max_reply_bytes: The largest response body that is read, streamed or not. Raise it for images.
        ledger: Records each call in a file on this machine, without any text. Default: the one that `LFM_LEDGER` names.
        budget: A limit on costs and requests. A request that could exceed it raises `BudgetExceededError` and is not
            sent.
        stream_chunk_timeout: Seconds between two events with data in a stream; None for no limit.
        tool_calling: "native" sends `tools` to the server, "prompted" writes them into the prompt and reads the calls
            from the text, "auto" chooses by what the model supports.
        recover_tool_calls: Read tool calls that a model with native tools wrote as text.
        max_output_retries: How often the model may correct an answer that breaks `tool_choice`, `parallel_tool_calls`
            or the schema of `response_format`; 0 for never.
        coerce_output: Write the JSON of an answer in the types of its schema, where nothing is lost by it: 36 for "36",
            ["a"] for "a". False leaves such values as the model wrote them, and counts them as valid.
        on_invalid_output: "raise" raises `OutputValidationError` for an answer that is still invalid, "return" returns
            it.
        max_event_bytes: The largest event of a stream that is read.
    """

    stream_chunk_timeout: float | None = 120.0
    tool_calling: ToolCalling = "auto"
    recover_tool_calls: bool = True
    max_output_retries: int = 1
    coerce_output: bool = True
    on_invalid_output: OnInvalidOutput = "raise"
    max_event_bytes: int = MAX_EVENT_BYTES


PER_CALL = ChatParameters.__annotations__.keys() & {setting.name for setting in fields(ClientOptions)}
"""Settings that a single call may override."""


@dataclass(kw_only=True)
class Settings(ClientOptions):
    """The settings in force: a client's options, checked, with the environment's in place of those left out.

    Attributes:
        attribution: The app that is credited, of `app_url`, `app_title` and `app_categories`.
        is_default_model: Whether neither an argument nor `LFM_MODEL` names the model.
        keeps_empty_fields: Send null and empty lists as a caller gave them.
        meter: What records the calls and applies budgets, in place of `ledger` and `budget`.
    """

    # Never None, once the environment is applied.
    model: str = field(default=DEFAULT_MODEL, kw_only=False)  # pyright: ignore[reportIncompatibleVariableOverride]
    base_url: str = OPENROUTER_URL  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout: float = _DEFAULT_TIMEOUT  # pyright: ignore[reportIncompatibleVariableOverride]
    attribution: Attribution = field(default_factory=Attribution)
    is_default_model: bool = False
    keeps_empty_fields: bool = False
    meter: Meter | None = None

    @classmethod
    def from_env(cls, *, attribution: Attribution | None = None, **given: Any) -> Settings:
        """Return settings from the options that are given and, for the others, the environment.

        `LIQUID_API_KEY` goes to Liquid's own API. `OPENROUTER_API_KEY` goes to OpenRouter, to other hosts over https,
        and to an address that itself comes from `OPENROUTER_BASE_URL` or `OPENROUTER_API_BASE`. It does not go to a
        `base_url` on this machine or without TLS.

        Args:
            attribution: The app, in place of `app_url` and so on.
            **given: Fields of `ClientOptions`; None means the default.
        """
        for name in ("model", "base_url"):
            if not isinstance(given.get(name), str | None):
                raise ConfigurationError(f"`{name}` must be a string, got {shown(given[name])}.")
        base_url = given.pop("base_url", None)
        env_url = os.environ.get("OPENROUTER_BASE_URL") or os.environ.get("OPENROUTER_API_BASE")
        url = base_url_of(base_url or env_url or OPENROUTER_URL)
        api_key = given.pop("api_key", None)
        if api_key is None and (not base_url or sends_env_key(url)):
            api_key = os.environ.get("LIQUID_API_KEY" if is_liquid(url) else "OPENROUTER_API_KEY") or None
        named = given.pop("model", None) or os.environ.get("LFM_MODEL")
        timeout = given.pop("timeout", None)
        app = (given.get("app_url"), given.get("app_title"), given.get("app_categories"))
        headers = given.pop("default_headers", None)
        if not isinstance(headers, Mapping | None):
            raise ConfigurationError(f"`default_headers` must be a dict, got `{type(headers).__name__}`.")
        settings = cls(
            model=named or DEFAULT_MODEL,
            is_default_model=not named,
            api_key=api_key,
            base_url=url,
            timeout=_DEFAULT_TIMEOUT if timeout is None else timeout,
            attribution=Attribution.from_env(*app) if attribution is None else attribution,
            default_headers=None if headers is None else dict(headers),
            **given,
        )
        settings.check()
        return settings

    def with_overrides(self, overrides: Mapping[str, Any]) -> Settings:
        """Return a checked copy with other values."""
        changed = copy(self)
        changed.__dict__.pop("_own_meter", None)
        changed.__dict__.update(overrides)
        changed.check()
        return changed

    def check(self) -> None:
        """Raise `ConfigurationError` for a setting out of its range."""
        check_values(self.__dict__)

    @property
    def is_openrouter(self) -> bool:
        """Whether requests go to OpenRouter, to one of its regions, or to `lfm_adapter.testing` in its place."""
        return is_openrouter(self.base_url)

    @property
    def provider_name(self) -> str:
        """The server, in traces and metrics."""
        return "openrouter" if self.is_openrouter else "openai_compatible"

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(self.base_url) and not self.is_openrouter

    def call_meter(self, model: str, card: ModelCard, *, is_stream: bool) -> CallMeter | None:
        """Return the meter of a call, for the ledger and the budgets; None without either."""
        meter = self.meter or self._own_meter
        if meter is None:
            return None
        from lfm_adapter._client.metering import CallMeter

        return CallMeter(meter, model, card, is_stream=is_stream)

    @cached_property
    def _own_meter(self) -> Meter | None:
        """The meter for `ledger`, `budget` and `LFM_LEDGER`, found once: to find the user's ledger takes 90 µs."""
        if self.ledger is None and self.budget is None and "LFM_LEDGER" not in os.environ:
            return None
        from lfm_adapter._client.metering import Meter

        ledger = self.ledger or ledger_from_env()
        if ledger is None and self.budget is None:
            return None
        app = self.attribution.title or self.attribution.url or "python"
        return Meter.of_ledger(ledger, self.budget, app, is_free=self.is_local)

    def key(self, *, needed: bool = True) -> str | None:
        """Return the key for the next request. It must not go unencrypted to a public host."""
        key: Any = self.api_key() if callable(self.api_key) else self.api_key
        if key is not None and not isinstance(key, str):
            raise ConfigurationError(f"`api_key` must return a string, got `{type(key).__name__}`.")
        if not key or key.isspace():
            if needed and self.is_openrouter:
                raise ConfigurationError(
                    "No API key. Set the `OPENROUTER_API_KEY` environment variable or pass `api_key`; create a key at "
                    "https://openrouter.ai/settings/keys. For a model on this machine, pass `base_url`."
                )
            return None
        if self.base_url.startswith("http:") and not self.allow_http and not is_private(self.base_url):
            raise ConfigurationError(
                f"The key would be sent unencrypted to {urlsplit(self.base_url).hostname}. Use https, or pass "
                "`allow_http=True` to allow it."
            )
        return key.strip()

    def card(self, model: str) -> ModelCard:
        """Return what is known about a model: nothing if another server decides what the default name means."""
        from lfm_adapter.catalog import get  # on use: its facts take as long to load as everything else here

        card = get(model)
        if self.is_default_model and card.id == DEFAULT_MODEL and not self.is_openrouter:
            return type(card)(id=card.id, name=card.name, status="unknown")
        return card

    def resolve_model(self, model: str | None = None) -> str:
        """Return the id to send: an alias written out, or the successor of a retired model, with the same suffixes."""
        if not isinstance(model, str | None):
            raise ConfigurationError(f"`model` must be a string, got {shown(model)}.")
        is_named = model is not None or not self.is_default_model
        named = model or self.model
        base, routing = named, ""
        if ":" in named or "@" in named:
            from lfm_adapter.catalog._cards import split_routing  # see `card`

            base, routing = split_routing(named)
        card = self.card(named)
        when_retired = self.when_retired or ("raise" if is_named or not self.is_openrouter else "successor")
        if when_retired == "successor" and card.status == "retired" and card.successors:
            return card.successors[0] + routing
        return named if "/" in base else card.id


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
