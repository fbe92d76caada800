"""The arguments of a LiteLLM call as settings, messages and parameters for our clients."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

import litellm
from litellm.exceptions import UnsupportedParamsError
from litellm.types.utils import all_litellm_params

from lfm_adapter._client.settings import PER_CALL, Settings
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.embeddings import role_of
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter.errors import AuthenticationError, ConfigurationError
from lfm_adapter.litellm._convert import to_messages
from lfm_adapter.litellm._model_cost import PROVIDER
from lfm_adapter.types import ChatRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import JSONDict, ModelCard

logger = logging.getLogger("lfm_adapter")

# What a call may set of a client. Addresses and headers are left out: a Proxy's clients choose these parameters.
_SETTINGS = PER_CALL | {"allow_http", "max_event_bytes", "max_reply_bytes", "token_counter"}

# LiteLLM's own keys, some of which it passes to a provider. The client asks for usage itself.
_NOT_SENT = {"extra_body", "stream", "stream_options", *all_litellm_params} - (
    get_type_hints(ChatRequest).keys() - {"metadata", "stream", "stream_options"}
)

# What OpenRouter lists in `supported_parameters` (https://openrouter.ai/docs/api-reference/parameters), without
# `max_tokens`, tools and `response_format`, which our clients offer for every model.
_LISTED = frozenset({
    "frequency_penalty", "include_reasoning", "logit_bias", "logprobs", "min_p", "presence_penalty", "reasoning",
    "reasoning_effort", "repetition_penalty", "seed", "stop", "temperature", "top_a", "top_k", "top_logprobs", "top_p",
    "verbosity", "web_search_options",
})  # fmt: skip


def completion_args(
    call: Mapping[str, Any], attribution: Attribution | None, *, stream: bool, **options: Any
) -> tuple[Settings, list[JSONDict], JSONDict]:
    """Return the client's settings, the messages and the other fields of the request.

    Args:
        call: The arguments of LiteLLM's `CustomLLM.completion`, by name.
        attribution: The app to credit if the call's headers credit none; None for the environment's.
        stream: Whether to stream the answer.
        **options: Settings that the provider has for all calls.
    """
    fields = _fields(call)
    _translate(fields)
    settings = _settings(call, fields, attribution, options, stream=stream)
    if stream and (fields.get("n") or 1) > 1:
        raise ConfigurationError("LiteLLM streams only one answer. Use `n=1`, or do not stream.")
    drop = bool(litellm.drop_params or (call.get("litellm_params") or {}).get("drop_params"))
    card = settings.card(settings.resolve_model(settings.model))
    fields = _supported(fields, card, drop=drop)
    extra = (call.get("optional_params") or {}).get("extra_body") or {}
    if extra:  # the client leaves it alone
        fields["extra_body"] = {name: fields.pop(name) for name in fields.keys() & extra.keys()}
    return settings, to_messages(call["messages"]), fields


def embedding_args(
    call: Mapping[str, Any], attribution: Attribution | None, **options: Any
) -> tuple[Settings, list[str], JSONDict]:
    """Return the client's settings, the texts and the other arguments of `embed`: see `completion_args`."""
    fields = _fields(call)
    settings = _settings(call, fields, attribution, options, stream=False)
    given = call["input"]
    texts = list(given) if isinstance(given, list | tuple) else [given]
    role = role_of(fields.pop("input_type", None), texts)
    return settings, texts, {"role": role, "model": call["model"], "extra_body": fields}


def _fields(call: Mapping[str, Any]) -> JSONDict:
    given = call.get("optional_params") or {}
    fields = {name: value for name, value in given.items() if name not in _NOT_SENT and value is not None}
    return fields | _dict("extra_body", given.get("extra_body"))


def _dict(name: str, value: Any) -> JSONDict:
    """Return a parameter that is a dict; an empty one for none."""
    if value and not isinstance(value, dict):
        raise ConfigurationError(f"`{name}` must be a dict, got {shown(value)}.")
    return value or {}


def _settings(
    call: Mapping[str, Any], fields: JSONDict, attribution: Attribution | None, options: JSONDict, *, stream: bool
) -> Settings:
    """Return the client's settings. Those among the fields of the call are removed from them."""
    own = {name: fields.pop(name) for name in _SETTINGS & fields.keys()} | options
    timeout = getattr(call.get("timeout"), "read", call.get("timeout"))  # LiteLLM also takes an `httpx.Timeout`
    base_url = call.get("api_base") or None
    settings = Settings.from_env(
        model=call["model"],
        api_key=call.get("api_key") or None,
        base_url=base_url,
        timeout=timeout,
        # `timeout` alone would not notice a stalled model: OpenRouter keeps the connection alive with comments.
        stream_chunk_timeout=timeout,
        total_timeout=None if stream else timeout,
        max_retries=0,  # LiteLLM and its Router retry
        attribution=attribution or _attribution_from_env(),
        default_headers={
            name: str(value) if isinstance(value, int | float) else value
            for name, value in _dict("headers", call.get("headers")).items()
            if value is not None
        },
        **own,
    )
    if not call.get("api_key"):
        settings = _with_own_key(settings, is_named=base_url is not None)
    if settings.is_openrouter and settings.key(needed=False) is None:
        raise AuthenticationError(
            "No API key. Set the `OPENROUTER_API_KEY` environment variable or pass `api_key=`; create a key at "
            "https://openrouter.ai/settings/keys. For another server, pass `api_base=`."
        )
    return settings


def _with_own_key(settings: Settings, *, is_named: bool) -> Settings:
    """Return the settings with the environment's key. `is_named`: the call names the address."""
    # Our variable's key, or LiteLLM's. An address that the call names gets it only if it is OpenRouter's, since the
    # caller may be a client of a Proxy.
    key = settings.api_key or litellm.openrouter_key or os.environ.get("OR_API_KEY")
    is_ours = not is_named or settings.is_openrouter
    return settings.with_overrides({"api_key": key if is_ours else None})


def _attribution_from_env() -> Attribution:
    """Return the attribution of our environment variables, else of LiteLLM's."""
    ours = Attribution.from_env()
    if ours.url or ours.title:
        return ours
    return Attribution(os.environ.get("OR_SITE_URL") or None, os.environ.get("OR_APP_NAME") or None, ours.categories)


def _translate(fields: JSONDict) -> None:
    """Put what LiteLLM passes from other APIs into OpenRouter's form."""
    thinking = _dict("thinking", fields.pop("thinking", None))
    if thinking:  # Anthropic's: {"type": "enabled", "budget_tokens": 1024}, "adaptive" or "disabled"
        budget = thinking.get("budget_tokens")
        is_on = thinking.get("type") != "disabled"
        fields.setdefault("reasoning", {"max_tokens": budget} if budget and is_on else {"enabled": is_on})
    effort = fields.get("reasoning_effort")
    if isinstance(effort, dict):  # with a summary, as in OpenAI's Responses API
        fields["reasoning_effort"] = effort = effort.get("effort")
    if effort == "max":
        fields["reasoning_effort"] = "xhigh"  # OpenRouter's highest
    search = {
        name: value
        for name, value in _dict("web_search_options", fields.pop("web_search_options", None)).items()
        if value is not None
    }
    if search:  # if all are null, the client only lists the tool; a search costs
        fields["web_search_options"] = search


def _supported(fields: JSONDict, card: ModelCard, *, drop: bool) -> JSONDict:
    """Return the fields without those that the model is known not to support, which OpenRouter would silently ignore.

    LiteLLM's users expect an error, or a dropped parameter with `drop_params`.
    """
    found = {name: _unsupported(name, fields[name], card) for name in sorted(_LISTED & fields.keys())}
    unsupported = {name: argument for name, argument in found.items() if argument}
    if unsupported and not drop:
        raise UnsupportedParamsError(
            message=f"`{card.id}` does not support {', '.join(unsupported.values())}. Leave it out, or drop it with "
            "`litellm.drop_params = True` (or `drop_params=True` in the call).",
            llm_provider=PROVIDER,
            model=card.id,
        )
    for argument in unsupported.values():
        _warn_dropped(card.id, argument)
    return {name: value for name, value in fields.items() if name not in unsupported}


def _unsupported(name: str, value: object, card: ModelCard) -> str | None:
    """Return an argument in backticks if the model is known not to support it, else None."""
    if value in (None, False):
        return None
    if card.capabilities.reasoning_mandatory and value in ("none", {"effort": "none"}, {"enabled": False}):
        return f"`{name}={shown(value)}`"
    known = card.supported_parameters
    is_missing = known is not None and ("reasoning" if name == "reasoning_effort" else name) not in known
    return f"`{name}`" if is_missing else None


@lru_cache(maxsize=1_024)  # so that each is logged once
def _warn_dropped(model: str, argument: str) -> None:
    logger.warning("`%s` does not support %s: dropped because of `drop_params`.", model, argument)
