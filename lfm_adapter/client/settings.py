"""What a client is told once: where to ask, as whom, how long to wait."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.openrouter.request import OPENROUTER_URL, Attribution, base_url_of, is_loopback
from lfm_adapter.openrouter.sse import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from lfm_adapter.catalog import ModelCard


__all__ = ["DEFAULT_MODEL", "DEFAULT_TIMEOUT_S", "LOCAL_MODEL", "MAX_REPLY_BYTES", "ApiKey", "Settings",
           "TokenCounter", "ToolCalling", "WhenRetired", "WhenUnfit", "default_model",
           "takes_the_environments_key"]  # fmt: skip

DEFAULT_MODEL = "liquid/lfm-3b"

LOCAL_MODEL = "local"
"""What a server on this machine is asked for where nobody named one of its models. llama.cpp takes any name."""

DEFAULT_TIMEOUT_S = 120.0

MAX_REPLY_BYTES = 32 * 1024 * 1024
"""A reply larger than this is refused. An event of a stream has some 350 bytes, so this is room for 95,000 of them."""

ApiKey: TypeAlias = "str | Callable[[], str] | None"
TokenCounter: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], int]
ToolCalling: TypeAlias = Literal["auto", "native", "prompted"]
WhenRetired: TypeAlias = Literal["raise", "successor"]
WhenUnfit: TypeAlias = Literal["raise", "return"]

_LEAST = {"max_retries": 0, "max_repairs": 0, "max_reply_bytes": 1, "max_event_bytes": 1}
_CHOICES = {
    "when_retired": ("raise", "successor"),
    "tool_calling": ("auto", "native", "prompted"),
    "when_unfit": ("raise", "return"),
}


def default_model(base_url: str | None) -> str:
    """Return the model to ask where none is named: `LFM_MODEL`, else LFM-3B, but no Liquid model of this machine."""
    on_this_machine = base_url is not None and is_loopback(base_url)
    return os.environ.get("LFM_MODEL") or (LOCAL_MODEL if on_this_machine else DEFAULT_MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A client's settings, checked. `Settings.of` fills what is left out from the environment.

    Attributes:
        model: The model asked where a call names none.
        api_key: The key, or a function that returns it and is called for each request. Never in the repr.
        base_url: Where the API is, without a slash at the end.
        timeout_s: Seconds to wait for a connection, and for the next byte on the wire.
        stream_chunk_timeout_s: Seconds between two events with data; comments that keep a stream open do not count.
        total_timeout_s: Seconds for a call as a whole, retries and reading included; None for no bound.
        max_retries: Tries after the first; 0 means none.
        attribution: The app to credit.
        headers: Headers for every request. They may hold secrets: never in the repr.
        when_retired: For a model that is retired, "raise" lets OpenRouter refuse, "successor" asks its successor.
        tool_calling: How tools are offered: "native" hands them to the server, "prompted" writes them into the prompt
            and reads the calls out of the text, "auto" does what the model can.
        recover_tool_calls: Whether calls that a model with native tools wrote as text are read out of it.
        max_repairs: How often a model that was asked by prompt is told that its answer does not keep to `tool_choice`,
            `parallel_tool_calls` or the schema; 0 means never.
        when_unfit: What to do with an answer that still does not: "raise" `UnfitReplyError`, or "return" it.
        token_counter: Counts the tokens of wire messages, in place of the lower bound of `catalog.limits`.
        allow_http: Allow to send a key unencrypted to a public host.
        max_reply_bytes: The largest reply read, whole or streamed, in bytes after decompression.
        max_event_bytes: The largest event of a stream read.
    """

    model: str = DEFAULT_MODEL
    api_key: ApiKey = field(default=None, repr=False)
    base_url: str = OPENROUTER_URL
    timeout_s: float = DEFAULT_TIMEOUT_S
    stream_chunk_timeout_s: float | None = 120.0
    total_timeout_s: float | None = None
    max_retries: int = 2
    attribution: Attribution = field(default_factory=Attribution)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    when_retired: WhenRetired = "raise"
    tool_calling: ToolCalling = "auto"
    recover_tool_calls: bool = True
    max_repairs: int = 1
    when_unfit: WhenUnfit = "raise"
    token_counter: TokenCounter | None = None
    allow_http: bool = False
    max_reply_bytes: int = MAX_REPLY_BYTES
    max_event_bytes: int = MAX_EVENT_BYTES

    @classmethod
    def of(
        cls,
        *,
        model: str | None = None,
        api_key: ApiKey = None,
        base_url: str | None = None,
        timeout: float | None = None,
        **others: Any,
    ) -> Settings:
        """Return settings from a client's arguments and, for those left out, the environment.

        `OPENROUTER_API_KEY` goes to OpenRouter, to other hosts over https, and to an address that itself comes from
        `OPENROUTER_BASE_URL` or `OPENROUTER_API_BASE`. A server that `base_url` names is not told if it is on this
        machine or without TLS.

        Raises:
            ConfigurationError: A setting is out of its range.
        """
        from_environment = os.environ.get("OPENROUTER_BASE_URL") or os.environ.get("OPENROUTER_API_BASE")
        url = base_url_of(base_url or from_environment or OPENROUTER_URL)
        if api_key is None and (not base_url or takes_the_environments_key(url)):
            api_key = os.environ.get("OPENROUTER_API_KEY") or None
        return cls.checked(
            model=model or default_model(base_url), api_key=api_key, base_url=url, timeout=timeout, **others
        )

    @classmethod
    def checked(cls, *, timeout: float | None, **fields: Any) -> Settings:
        """Return settings that the environment has no part in.

        Raises:
            ConfigurationError: A setting is out of its range.
        """
        settings = cls(timeout_s=DEFAULT_TIMEOUT_S if timeout is None else timeout, **fields)
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `ConfigurationError` for a setting out of its range."""
        for name in ("timeout_s", "stream_chunk_timeout_s", "total_timeout_s"):
            seconds: Any = getattr(self, name)
            if seconds is None and name != "timeout_s":
                continue
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
                raise ConfigurationError(f"`{name.removesuffix('_s')}` is in seconds and above 0, not {seconds!r}.")
        for name, least in _LEAST.items():
            count: Any = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < least:
                counted = name.removeprefix("max_").replace("_", " ")
                raise ConfigurationError(f"`{name}` counts {counted}, from {least}, not {count!r}.")
        key: Any = self.api_key
        if not (key is None or isinstance(key, str) or callable(key)):
            raise ConfigurationError(f"`api_key` is a string or a function that returns one, not a {_type(key)}.")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                known = " or ".join(map(repr, choices))
                raise ConfigurationError(f"`{name}` is {known}, not {getattr(self, name)!r}.")

    @property
    def is_openrouter(self) -> bool:
        """Whether requests go to OpenRouter itself, or to one of its regions."""
        return _is_openrouter(self.base_url)

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(self.base_url)

    def key(self, *, needed: bool = True) -> str | None:
        """Return the key for the next request.

        Raises:
            ConfigurationError: OpenRouter needs one and there is none, or it would go unencrypted to a public host.
        """
        key: Any = self.api_key() if callable(self.api_key) else self.api_key
        if key is not None and not isinstance(key, str):
            raise ConfigurationError(f"`api_key` must return a string, not a {_type(key)}.")
        if not key or key.isspace():
            if needed and self.is_openrouter:
                raise ConfigurationError(
                    "There is no API key. Set the `OPENROUTER_API_KEY` environment variable or pass `api_key`; keys "
                    "come from https://openrouter.ai/settings/keys. To ask a model on this machine, pass `base_url`."
                )
            return None
        if self.base_url.startswith("http:") and not self.allow_http and _is_public(self.base_url):
            raise ConfigurationError(
                f"The key would go unencrypted to {urlsplit(self.base_url).hostname}. Use https, or pass "
                "`allow_http=True` if that is what you want."
            )
        return key.strip()

    def card(self, model: str) -> ModelCard:
        """Return what is known of a model.

        A server on this machine has models of its own: only names that are OpenRouter's, with a slash, are looked up.
        """
        from lfm_adapter import catalog  # when it is needed: its facts take as long to load as all else here

        return catalog.get(model) if "/" in model or not self.is_local else catalog.ModelCard(id=model, name=model)

    def served(self, model: str) -> str:
        """Return the model to ask for `model`: an alias written out, or the successor if `when_retired` wants it."""
        card = self.card(model)
        if self.when_retired == "successor" and card.status == "retired" and card.successors:
            return card.successors[0]
        return model if "/" in model else card.id


def takes_the_environments_key(url: str) -> bool:
    """Tell whether `OPENROUTER_API_KEY` may go to an address that the environment did not name."""
    return url.startswith("https:") and not is_loopback(url)


def _type(value: object) -> str:
    return f"`{type(value).__name__}`"


# Both are asked in every call, of the same few addresses, which took 15 µs of it.
@lru_cache(maxsize=256)
def _is_openrouter(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")


@lru_cache(maxsize=256)
def _is_public(url: str) -> bool:
    import socket

    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        # `inet_aton` also knows the other ways to write one, such as 134744072, which the system would connect to.
        numeric = socket.inet_aton(host) if host and host[0].isdigit() else host
        return ipaddress.ip_address(numeric).is_global
    except (OSError, ValueError):
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))
