"""The configuration of LiteLLM's Proxy, as commented YAML.

It is text and not a dump of a dict, because half of its use is in the comments. What the Proxy dies of or does not do
without a database was tried on LiteLLM 1.106 to 1.109, and stands in the comments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter import catalog
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.litellm._model_cost import model_cost_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfm_adapter.types import ModelCard

__all__ = ["MASTER_KEY_VARIABLE", "ProxyOptions", "RedisAddress", "proxy_config", "served_models"]

MASTER_KEY_VARIABLE = "os.environ/LITELLM_MASTER_KEY"
"""What LiteLLM replaces with the variable's value."""

FREE_RPM = 20
"""Requests a minute to free models: https://openrouter.ai/docs/api-reference/limits, read 2026-11-23."""

# Retired, and still the model that most programs name: its fallbacks answer.
_KEPT = "liquid/lfm-3b"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is. Its password is in no file: LiteLLM reads `REDIS_PASSWORD`.

    Attributes:
        host: Its name or address.
        port: Its port.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """What differs from one Proxy to another.

    Attributes:
        master_key: What clients show as their API key, or `MASTER_KEY_VARIABLE`.
        rpm: Requests a minute to each model that costs something; to free ones never more than OpenRouter takes.
        daily_budget_usd: What each of the models that cost something may cost a day, in US$.
        attribution: The app to credit.
        redis: Where several Proxies share their counts; None for a Proxy that is alone.

    Raises:
        ConfigurationError: A number is not above 0.
    """

    master_key: str = field(repr=False)
    rpm: int = 60
    daily_budget_usd: Decimal = Decimal(1)
    attribution: Attribution = field(default_factory=Attribution)
    redis: RedisAddress | None = None

    def __post_init__(self) -> None:
        if self.rpm < 1:
            raise ConfigurationError(f"`rpm` is a number of requests a minute, from 1, not {self.rpm}.")
        if not (self.daily_budget_usd.is_finite() and self.daily_budget_usd > 0):
            raise ConfigurationError(f"The daily budget is in US$ and above 0, not {self.daily_budget_usd}.")


def served_models() -> tuple[ModelCard, ...]:
    """Return the models that the Proxy serves: LFM-3B and every living chat model, the cheapest of each name last."""
    return tuple(
        card for card in catalog.models() if card.kind == "chat" and (card.status == "live" or card.id == _KEPT)
    )


def proxy_config(options: ProxyOptions) -> str:
    """Return a `config.yaml` with which `litellm --config` starts as it is, without a database or the internet.

    Args:
        options: The key, the limits, and whether there is Redis.
    """
    cards = served_models()
    sections = [
        [_HEAD.format(version=__version__)],
        [_MODEL_LIST, *(_deployment(card, options) for card in cards)],
        [
            _LITELLM_SETTINGS,
            _table("fallbacks", {card: _fallbacks(card, cards) for card in cards}, _FALLBACKS),
            _table("context_window_fallbacks", {card: _larger(card, cards) for card in cards}, _LARGER),
            _cache(options.redis),
        ],
        [_ROUTER_SETTINGS, _aliases(cards), _redis(options.redis)],
        [_environment(options.attribution)],
        [_GENERAL_SETTINGS.format(master_key=_text(options.master_key))],
    ]
    return "\n\n".join("\n".join(part.strip("\n") for part in parts if part) for parts in sections) + "\n"


_HEAD = """
# LiteLLM's Proxy with Liquid AI's models. Written by `lfm proxy-config` of lfm-adapter {version}.
#
#   pip install "lfm-adapter[proxy]"     (LiteLLM 1.106.2 or newer)
#   export OPENROUTER_API_KEY=...
#   LITELLM_LOCAL_MODEL_COST_MAP=True litellm --config THIS_FILE --host 127.0.0.1 --port 4000
#
# LITELLM_LOCAL_MODEL_COST_MAP=True: else LiteLLM fetches a price list at each start, which has none of these models.
# --host: else the Proxy listens on all networks of the machine.
"""

_MODEL_LIST = """
model_list:
  # In each entry:
  #   model_name        what clients ask for
  #   model             `lfm/`, and not LiteLLM's own `openrouter/`: that one has no tools where the model has none, and
  #                     takes a prompt that is too long for any other mistake, so that context_window_fallbacks would
  #                     never be used
  #   api_key           read when the Proxy starts, so that no key stands in this file
  #   rpm               requests a minute; counted only because of enforce_model_rate_limits below
  #   max_budget        US$ for each budget_duration. A budget of one model holds without a database, as a budget of the
  #                     whole Proxy does not. What costs last is counted after its answer: a call or two go beyond it
  #   id                names the counters: Proxies that share a Redis count together what has one id
  #   the rest          limits, US$ per token and capabilities, which LiteLLM's own table lacks for these models. Tools
  #                     and schemas work with each of them: lfm-adapter asks by prompt where a model has no native ones
"""

_LITELLM_SETTINGS = """
litellm_settings:
  # The provider `lfm/`, from the installed package.
  custom_provider_map:
    - provider: lfm
      custom_handler: lfm_adapter.litellm.handler
  # Clients send parameters that not every model has. Drop those; false refuses the request.
  drop_params: true
  # Counts, seconds, tokens and US$ at /metrics (needs prometheus-client, which the extra `proxy` brings).
  callbacks: [prometheus]
  # Prometheus has to show the key too. Without this line some versions show /metrics to everyone.
  require_auth_for_metrics_endpoint: true
"""

_FALLBACKS = """
  # Who answers where a model fails, is retired, or is out of budget or requests. Free models fall back to free ones
  # alone: nobody pays unasked. A client that wants the error sends "disable_fallbacks": true.
"""

_LARGER = """
  # Who answers where the prompt is too long for a model: those with a larger context.
"""

_ROUTER_SETTINGS = """
router_settings:
  # Without it `rpm` only helps to choose among several entries of one name, and limits nothing.
  optional_pre_call_checks: [enforce_model_rate_limits]
  # Tries after the first, for what may succeed then. It is the only layer that tries again: `lfm/` itself does not.
  num_retries: 2
  # Seconds to wait for an answer, or for the next piece of a stream.
  timeout: 120
  # A model that fails more often than this in cooldown_time seconds is left alone for as long; its fallbacks answer.
  # 3, LiteLLM's default, would be taken for no number at all.
  allowed_fails: 5
  cooldown_time: 30
  # OpenRouter's ids lead to the same models. They are not listed at /v1/models a second time.
"""

_GENERAL_SETTINGS = """
general_settings:
  # What clients send as their API key. Whoever has it can spend what the budgets above allow.
  master_key: {master_key}
  # Clients connect directly. Behind a proxy of your own, name its addresses.
  trusted_proxy_ranges: []
"""

_CACHE = """
  # OutputReader are kept in Redis for an hour, but only for requests that ask for it with "cache": {{"use-cache": true}}:
  # the same question often wants another answer.
  cache: true
  cache_params:
    type: redis
    host: {host}
    port: {port}
    mode: default_off
    ttl: 3600
"""

_REDIS = """
  # Counts of requests, budgets and cooldowns, for all Proxies that name this Redis. Its password, if it has one, comes
  # from the environment variable REDIS_PASSWORD.
  redis_host: {host}
  redis_port: {port}
"""

_ENVIRONMENT = """
# The app to credit at OpenRouter (https://openrouter.ai/docs/app-attribution).
environment_variables:
"""

_NO_ENVIRONMENT = """
# The app to credit at OpenRouter (https://openrouter.ai/docs/app-attribution): none, unless these variables are set in
# the environment or here.
# environment_variables:
#   OPENROUTER_APP_URL: https://example.com
#   OPENROUTER_APP_TITLE: My gateway
"""

# What LiteLLM keeps for its own table, and what is said elsewhere in the file.
_NOT_IN_INFO = frozenset({"litellm_provider", "source", "deprecation_date"})


def _deployment(card: ModelCard, options: ProxyOptions) -> str:
    lines = [
        "",
        f"  # {_about(card)}",
        f"  - model_name: {_text(_name(card))}",
        "    litellm_params:",
        f"      model: {_text(f'lfm/{card.id}')}",
        "      api_key: os.environ/OPENROUTER_API_KEY",
        f"      rpm: {min(options.rpm, FREE_RPM) if card.is_free else options.rpm}",
    ]
    if not card.is_free:
        lines += [f"      max_budget: {options.daily_budget_usd:f}", "      budget_duration: 1d"]
    lines += ["    model_info:", f"      id: {_text(_name(card))}"]
    row = model_cost_entries()[f"lfm/{card.id}"]
    lines += [f"      {name}: {_value(value)}" for name, value in row.items() if name not in _NOT_IN_INFO]
    return "\n".join(lines)


def _about(card: ModelCard) -> str:
    about = f"{card.name}, https://openrouter.ai/{card.id}"
    if card.retired_between is not None:
        return f"{about}: retired by {card.retired_between[1]}, so its fallbacks answer"
    return f"{about}: free, at most {FREE_RPM} requests a minute" if card.is_free else about


def _name(card: ModelCard) -> str:
    return card.aliases[0] if card.aliases else card.id


def _fallbacks(card: ModelCard, cards: Sequence[ModelCard]) -> list[ModelCard]:
    """Return who may answer instead, the nearest first."""
    others = [other for other in cards if other is not card and other.status == "live"]
    named = [other for successor in card.successors for other in others if other.id == successor]
    rest = [other for other in others if other not in named and (other.is_free or not card.is_free)]
    twin = [other for other in rest if other.id.removesuffix(":free") == card.id]
    return named + twin + [other for other in rest if other not in twin]


def _larger(card: ModelCard, cards: Sequence[ModelCard]) -> list[ModelCard]:
    context = card.context_length or 0
    return [other for other in _fallbacks(card, cards) if (other.context_length or 0) > context]


def _table(setting: str, table: Mapping[ModelCard, Iterable[ModelCard]], why: str) -> str:
    lines = [
        f"    - {{{_text(_name(card))}: [{', '.join(_text(_name(other)) for other in others)}]}}"
        for card, others in table.items()
        if others
    ]
    return "\n".join([why.strip("\n"), f"  {setting}:", *lines])


def _aliases(cards: Iterable[ModelCard]) -> str:
    lines = [
        f"    {_text(card.id)}: {{model: {_text(_name(card))}, hidden: true}}"
        for card in cards
        if _name(card) != card.id
    ]
    return "\n".join(["  model_group_alias:", *lines])


def _cache(redis: RedisAddress | None) -> str:
    return "" if redis is None else _CACHE.format(host=_text(redis.host), port=redis.port)


def _redis(redis: RedisAddress | None) -> str:
    return "" if redis is None else _REDIS.format(host=_text(redis.host), port=redis.port)


def _environment(attribution: Attribution) -> str:
    variables = {
        "OPENROUTER_APP_URL": attribution.url,
        "OPENROUTER_APP_TITLE": attribution.title,
        "OPENROUTER_APP_CATEGORIES": ",".join(attribution.categories),
    }
    lines = [f"  {name}: {_text(value)}" for name, value in variables.items() if value]
    return "\n".join([_ENVIRONMENT.strip("\n"), *lines]) if lines else _NO_ENVIRONMENT


def _value(value: object) -> str:
    # YAML 1.1 takes 2e-08 for a word.
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else _text(value)


def _text(value: object) -> str:
    """Return `value` as JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False)
