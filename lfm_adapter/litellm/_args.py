"""What LiteLLM hands to a provider, as a question to one of our clients."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, get_type_hints

import litellm
from litellm.types.utils import all_litellm_params

from lfm_adapter._client.settings import ClientOptions, Settings, sends_env_key
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.litellm._convert import to_wire
from lfm_adapter.litellm._errors import NoKeyError
from lfm_adapter.litellm._parameters import supported
from lfm_adapter.types import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import JSONDict

__all__ = ["Question"]

# Settings of a client that a call may have of its own; the others have LiteLLM's names, or none.
_SETTINGS = {field.name for field in fields(ClientOptions)} - {
    "api_key", "app_categories", "app_title", "app_url", "base_url", "default_headers", "max_retries", "model",
    "stream_chunk_timeout", "timeout", "total_timeout",
}  # fmt: skip

# LiteLLM's own keys, of which some reach a provider, more of them from a Router. The client asks for usage by itself.
_NOT_FIELDS = {"extra_body", "stream", "stream_options", *all_litellm_params} - (
    get_type_hints(ChatRequest).keys() - {"metadata", "stream", "stream_options"}
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a client.

    Attributes:
        settings: Whom to ask, and how.
        messages: In wire form.
        parameters: The other fields of the request.
    """

    settings: Settings
    messages: list[JSONDict]
    parameters: JSONDict

    @classmethod
    def from_call(cls, call: Mapping[str, Any], attribution: Attribution | None, *, stream: bool) -> Question:
        """Return the question.

        Args:
            call: The arguments of LiteLLM's `CustomLLM.completion`, by name.
            attribution: The app to credit where the call's headers credit none; None for the environment's.
            stream: Whether the answer is to be streamed.

        Raises:
            ConfigurationError: A setting is out of its range, a stream of several answers is asked for, or there is no
                key for OpenRouter.
            litellm.UnsupportedParamsError: The model does not have a parameter, and `drop_params` is not set.
        """
        given = dict(call.get("optional_params") or {})
        extra = given.get("extra_body") or {}
        parameters = {name: value for name, value in given.items() if name not in _NOT_FIELDS and value is not None}
        parameters |= extra
        own = {name: parameters.pop(name) for name in _SETTINGS & parameters.keys()}
        settings = _settings(call, attribution or _from_environment(), own, stream=stream)
        if settings.is_openrouter and settings.key(needed=False) is None:
            raise NoKeyError  # whose text has LiteLLM's names
        if stream and (parameters.get("n") or 1) > 1:
            raise ConfigurationError("LiteLLM's streams carry one answer. Leave `n` out, or do not stream.")
        drop = bool(litellm.drop_params or (call.get("litellm_params") or {}).get("drop_params"))
        card = settings.card(settings.resolve_model(settings.model))
        return cls(settings, to_wire(call["messages"]), supported(parameters, card, drop=drop))


def _settings(call: Mapping[str, Any], attribution: Attribution, own: Mapping[str, Any], *, stream: bool) -> Settings:
    timeout_s = _seconds(call.get("timeout"))
    base_url = call.get("api_base") or None
    settings = Settings.from_env(
        model=call["model"],
        api_key=call.get("api_key") or None,
        base_url=base_url,
        timeout=timeout_s,
        # OpenRouter keeps a connection alive while it waits for the model, so that silence on it is no measure.
        stream_chunk_timeout=timeout_s,
        total_timeout=None if stream else timeout_s,
        max_retries=0,  # LiteLLM retries, and its Router
        attribution=attribution,
        default_headers={name: str(value) for name, value in (call.get("headers") or {}).items()},
        **own,
    )
    key = litellm.openrouter_key or os.environ.get("OR_API_KEY")
    if settings.api_key is None and key and (base_url is None or sends_env_key(settings.base_url)):
        settings = settings.with_overrides({"api_key": key})
    return settings


def _seconds(timeout: Any) -> float | None:
    """Return LiteLLM's timeout in seconds: a number, or an `httpx.Timeout` with its own for reading."""
    if timeout is None or isinstance(timeout, int | float):
        return timeout
    read: float | None = getattr(timeout, "read", None)
    return read


def _from_environment() -> Attribution:
    """Return the attribution of our own environment variables, or else of those that LiteLLM has."""
    ours = Attribution.from_env()
    if ours.url or ours.title:
        return ours
    return replace(ours, url=os.environ.get("OR_SITE_URL") or None, title=os.environ.get("OR_APP_NAME") or None)
