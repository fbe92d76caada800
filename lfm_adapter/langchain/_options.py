"""What a `ChatLFM` can be told, and what of it goes to the client and what into the request."""

# Annotations are no strings here: Pydantic would compile and evaluate 59 of them, 2 ms of the 12 that the import of
# `ChatLFM` took.

import os
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.utils import from_env, secret_from_env
from pydantic import ConfigDict, Field, SecretStr, model_validator

from lfm_adapter._client.settings import (
    DEFAULT_MODEL,
    ClientOptions,
    Settings,
    sends_env_key,
)
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._settings import setting_values, settings_of

if TYPE_CHECKING:
    from typing import Self

__all__ = ["ChatOptions", "is_setting"]

# How LangChain's own integrations, and OpenRouter, spell these.
_ALIASES = {
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

_CLIENT_FIELDS = (
    "api_key", "base_url", "timeout", "stream_chunk_timeout", "total_timeout", "max_retries", "app_url", "app_title",
    "app_categories", "default_headers", "when_retired", "tool_calling", "recover_tool_calls", "max_output_retries",
    "on_invalid_output", "token_counter", "allow_http", "max_reply_bytes",
)  # fmt: skip

_BODY_FIELDS = (
    "temperature", "max_tokens", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "seed", "stop", "n", "logprobs", "top_logprobs", "logit_bias", "reasoning",
    "reasoning_effort", "provider", "fallback_models", "plugins", "transforms", "route", "user", "session_id", "trace",
    "service_tier", "prediction", "verbosity", "prompt_cache_key", "cache_control",
)  # fmt: skip

_body_values = itemgetter(*_BODY_FIELDS)

_FROM_ENVIRONMENT = {"api_key", "base_url", "app_url", "app_title", "app_categories"}

# Fields of the request that the user does not set, but `invoke` and `stream`.
_OWN_FIELDS = {"messages", "stream"}


class ChatOptions(BaseChatModel):
    """The fields of `ChatLFM`.

    Attributes:
        model: An id ("liquid/lfm-3-1.7b") or an alias ("lfm-3b"). Default: `LFM_MODEL`, else "liquid/lfm-3b", which is
            retired; of a server on this machine whatever it has.
        api_key: The key, or a function that returns it and is called for each request. Default: `OPENROUTER_API_KEY`.
        base_url: Where the API is. Default: `OPENROUTER_BASE_URL`, `OPENROUTER_API_BASE`, else OpenRouter.
        timeout: Seconds (`ChatOpenRouter` has milliseconds) for a connection and for the next byte on the wire.
            Default: 120.
        stream_chunk_timeout: Seconds between two events with data in a stream; keep-alive comments do not count. None
            for no bound.
        total_timeout: Seconds for a whole call, its retries included. None for no bound.
        max_retries: Tries after the first; 0 means none. Never after content has come.
        app_url: The app that is credited for the tokens. Default: `OPENROUTER_APP_URL`.
        app_title: The app's name. Default: `OPENROUTER_APP_TITLE`.
        app_categories: At most 2 of OpenRouter's app categories. Default: `OPENROUTER_APP_CATEGORIES`, by comma.
        default_headers: Headers for every request. They may hold secrets, so they are neither shown nor serialized.
        when_retired: What to do when the model is retired: let OpenRouter refuse, or ask its documented successor.
        tool_calling: How tools are offered: handed to the server, or written into the prompt and read out of the text.
            "auto" does what the model can.
        recover_tool_calls: Read calls that a model with native tools wrote as text.
        max_output_retries: How often a model that was asked by prompt is told that its answer does not keep to `tool_choice`,
            `parallel_tool_calls` or the schema; 0 means never. Its tokens and cost are in those of the message.
        on_invalid_output: What to do with an answer that still does not keep to them.
        token_counter: Counts the tokens of wire messages, for the check against the context and for `get_num_tokens`.
        allow_http: Allow to send a key unencrypted to a public host.
        max_reply_bytes: The largest reply read, whole or streamed, after decompression. Default: 32 MiB.
        temperature: 0 to 2. Liquid advises 0.1 to 0.3 for its models.
        max_tokens: The most tokens to generate, also called `max_completion_tokens`. What the model cannot give is not
            asked for: `response_metadata["max_tokens_clamped"]` then says so.
        top_p: 0 to 1. Liquid's own endpoints refuse it (https://ngrok.com/docs/ai-gateway/providers/liquid).
        top_k: Sample from this many likeliest tokens.
        min_p: Drop tokens less likely than this share of the likeliest. Liquid advises 0.15 for LFM2.
        top_a: Drop tokens less likely than this share of the squared likeliest.
        frequency_penalty: -2 to 2, by how often a token came.
        presence_penalty: -2 to 2, whether a token came.
        repetition_penalty: 0 to 2. Liquid advises 1.05 for LFM2.
        seed: For answers that can be had again, as far as the provider can.
        stop: Where to stop: up to 4 texts.
        n: How many answers, where the provider can. More than one cannot be streamed.
        logprobs: Return the log probabilities of the tokens.
        top_logprobs: 0 to 20 likeliest tokens at each place, with `logprobs`.
        logit_bias: Bias by token id, -100 to 100.
        reasoning: `{"effort": "low"}`, `{"max_tokens": 500}`, `{"exclude": True}` … for models that reason.
        reasoning_effort: Short for `reasoning={"effort": …}`.
        provider: Routing (https://openrouter.ai/docs/features/provider-routing): `{"data_collection": "deny"}` …
        fallback_models: Up to 3 models to ask when the first fails.
        plugins: OpenRouter's plugins: `[{"id": "response-healing"}]` …
        transforms: `["middle-out"]`; deprecated by OpenRouter for the plugin "context-compression".
        route: "fallback" or "sort"; deprecated by OpenRouter.
        user: A stable id of your end user.
        session_id: Groups requests, and keeps them on one provider. 256 characters at most.
        trace: Trace ids for OpenRouter's Broadcast.
        service_tier: "auto", "default", "flex", "priority" …, where the provider has tiers.
        prediction: What the answer will probably be.
        verbosity: "low", "medium" or "high", for models that know it.
        prompt_cache_key: Where the provider looks for its cache of the prompt.
        cache_control: Caching of the prompt, for providers that must be asked.
        extra_body: Any other fields of the request. They win over all others.
        model_kwargs: Any other fields of the request, as other integrations call them. Call arguments win over these.
        streaming: True streams even in `invoke`, False never.
        stream_usage: Ask servers other than OpenRouter, which always tells, for the usage of a stream.
    """

    model: str = Field(default_factory=from_env("LFM_MODEL", default=DEFAULT_MODEL))
    api_key: SecretStr | Callable[[], str] | None = Field(
        default_factory=secret_from_env("OPENROUTER_API_KEY", default=None)
    )
    base_url: str | None = Field(default_factory=from_env(["OPENROUTER_BASE_URL", "OPENROUTER_API_BASE"], default=None))
    timeout: float | None = None
    stream_chunk_timeout: float | None = 120.0
    total_timeout: float | None = None
    max_retries: int = 2
    app_url: str | None = Field(default_factory=from_env("OPENROUTER_APP_URL", default=None))
    app_title: str | None = Field(default_factory=from_env("OPENROUTER_APP_TITLE", default=None))
    app_categories: list[str] | None = Field(default_factory=lambda: [*Attribution.from_env().categories] or None)
    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    when_retired: Literal["raise", "successor"] | None = None
    tool_calling: Literal["auto", "native", "prompted"] = "auto"
    recover_tool_calls: bool = True
    max_output_retries: int = 1
    on_invalid_output: Literal["raise", "return"] = "raise"
    token_counter: Callable[[Sequence[Mapping[str, Any]]], int] | None = Field(default=None, exclude=True)
    allow_http: bool = False
    max_reply_bytes: int = ClientOptions.max_reply_bytes
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    top_a: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str | int, float] | None = None
    reasoning: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    provider: dict[str, Any] | None = None
    fallback_models: list[str] | None = None
    plugins: list[dict[str, Any]] | None = None
    transforms: list[str] | None = None
    route: str | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, Any] | None = None
    service_tier: str | None = None
    prediction: dict[str, Any] | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    cache_control: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    # None where LangChain's other integrations have False, which it takes for a ban on streaming as soon as the field
    # is set, as `configurable_fields` sets all of them.
    streaming: bool | None = None
    stream_usage: bool = True

    # Building the validator of so many fields takes longer than all else here, so the first instance does it.
    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _sort_arguments(cls, values: Any) -> Any:
        """Bring arguments under our names, and fields of the request that have none here into `model_kwargs`."""
        if not isinstance(values, dict) or values.keys() <= cls.model_fields.keys():
            return values
        from lfm_adapter.types import ChatRequest

        arguments: dict[str, Any] = values
        fields: dict[str, Any] = {}
        more: dict[str, Any] = {}
        for given, value in arguments.items():
            name = _ALIASES.get(given, given)
            if name in cls.model_fields:
                if fields.get(name) not in (None, value) and value is not None:
                    raise ConfigurationError(f"`{name}` is given twice, once as `{_other_name(name, values)}`.")
                fields[name] = fields.get(name) if value is None else value
            elif name in ChatRequest.__annotations__ and name not in _OWN_FIELDS:
                more[name] = value
            elif value is not None:
                raise ConfigurationError(_unknown(name, [*cls.model_fields, *_ALIASES]))
        if more:
            fields["model_kwargs"] = {**more, **(fields.get("model_kwargs") or {})}
        return fields

    @model_validator(mode="before")
    @classmethod
    def _leave_defaults(cls, values: Any) -> Any:
        """Take None for left out where the environment has the default, and name the model of a server on this machine.

        That one has others than LFM-3B, whose limits and capabilities would be in the way.
        """
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if not _is_left_out(name, value)}

    @model_validator(mode="after")
    def _check(self) -> "Self":
        self._settings({})
        self._add_version("lfm-adapter", __version__)
        return self

    def _settings(self, call: Mapping[str, Any]) -> Settings:
        """Return the client's settings for a call with these arguments."""
        changes = {
            name: value
            for given, value in call.items()
            if (name := _ALIASES.get(given, given)) in _CLIENT_FIELDS and not _is_left_out(name, value)
        }
        if changes.get("default_headers"):
            changes["default_headers"] = {**(self.default_headers or {}), **changes["default_headers"]}
        options = self.model_copy(update=changes) if changes else self
        return options._to_settings()

    def _to_settings(self) -> Settings:
        # A key from the environment is not told to an unencrypted address from elsewhere: see `Settings.of`.
        told = "api_key" in self.model_fields_set or "base_url" not in self.model_fields_set
        key = self.api_key if told or sends_env_key(self.base_url or "") else None
        headers, categories = self.default_headers, self.app_categories
        return settings_of(
            setting_values(self.__dict__),
            key,
            tuple(headers.items()) if headers else (),
            tuple(categories) if categories else (),
            is_default_model="model" not in self.model_fields_set and "LFM_MODEL" not in os.environ,
        )

    def _parameters(self, stop: list[str] | None, call: Mapping[str, Any], *, stream: bool = False) -> dict[str, Any]:
        """Return the model and the fields of one request.

        The extra body wins over the call's arguments, these over `model_kwargs`, and these over the fields.
        """
        values = zip(_BODY_FIELDS, _body_values(self.__dict__), strict=True)
        fields = {name: value for name, value in values if value is not None}
        if stream and not call.get("stream_usage", self.stream_usage):
            fields["stream_options"] = None
        settings_of_this_side = _settings_of_this_side(type(self))
        for more in (
            self.model_kwargs,
            call.get("model_kwargs") or {},
            {name: value for name, value in call.items() if _ALIASES.get(name, name) not in settings_of_this_side},
            {} if stop is None else {"stop": stop},
            self.extra_body or {},
            call.get("extra_body") or {},
        ):
            if more:
                fields |= {_ALIASES.get(name, name): value for name, value in more.items() if name not in _OWN_FIELDS}
        if "fallback_models" in fields:
            fields["models"] = fields.pop("fallback_models")
        if fields.get("n") == 1:
            del fields["n"]  # the default; said aloud, it excludes endpoints that do not know it
        return {"model": self.model, **fields}


@lru_cache
def _settings_of_this_side(model: type[ChatOptions]) -> AbstractSet[str]:
    return model.model_fields.keys() - {"model", *_BODY_FIELDS}


def _is_left_out(name: str, value: object) -> bool:
    return value is None and _ALIASES.get(name, name) in _FROM_ENVIRONMENT


def is_setting(name: str) -> bool:
    """Tell whether an argument of a call is for the client, such as `api_key`, and not for the model."""
    return _ALIASES.get(name, name) in _CLIENT_FIELDS


def _other_name(name: str, values: Mapping[str, Any]) -> str:
    return next(alias for alias, ours in _ALIASES.items() if ours == name and alias in values)


def _unknown(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    advice = f" Did you mean `{near[0]}`?" if near else ""
    return (
        f"`ChatLFM` has no argument `{name}`.{advice} Fields of the request that it does not know go into "
        "`model_kwargs` or `extra_body`."
    )
