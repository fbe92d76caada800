"""The configuration of LiteLLM's Proxy, as YAML with comments for the person who edits it.

The comments about crashes and missing databases were tested with LiteLLM 1.106 to 1.109.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from lfm_adapter import catalog
from lfm_adapter._openrouter.request import Attribution
from lfm_adapter._version import __version__
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from lfm_adapter.types import ModelCard

MASTER_KEY_VARIABLE = "os.environ/LITELLM_MASTER_KEY"
"""LiteLLM replaces this with the variable's value."""

FREE_RPM = 20
"""Requests per minute to free models: https://openrouter.ai/docs/api-reference/limits, read 2026-11-23."""

# Retired, but still the model that most programs ask for. Its fallbacks answer.
_KEPT = "liquid/lfm-3b"


def yaml_config(
    *, master_key: str, rpm: int, daily_budget_usd: Decimal, keys: Path | None, redis: tuple[str, int] | None
) -> str:
    """Return a `config.yaml` for `litellm --config`. The Proxy needs no database and no internet to start.

    Args:
        master_key: The API key that clients must send, or `MASTER_KEY_VARIABLE`.
        rpm: Requests per minute and paid model. Free models get at most `FREE_RPM`.
        daily_budget_usd: Daily budget per paid model, in US$.
        keys: The file with the keys of people (`lfm_adapter.apps.proxy.keys`); None for the master key alone.
        redis: Host and port of the Redis that several Proxies share; None for a single Proxy.

    Raises:
        ConfigurationError: The budget is 0, or the attribution in the environment is invalid.
    """
    if not daily_budget_usd:
        raise ConfigurationError(f"The daily budget must be more than US$ 0, got {daily_budget_usd}.")
    cards = [
        card
        for card in catalog.models()
        if card.kind in ("chat", "embeddings") and (card.status == "live" or card.id == _KEPT)
    ]
    aliases = [f"    {_text(card.id)}: {{model: {_text(_name(card))}, hidden: true}}" for card in cards if card.aliases]
    parts = {
        "VERSION": __version__,
        "MODELS": "\n".join(_deployment(card, rpm, daily_budget_usd) for card in cards),
        "FALLBACKS": _lists({card: _fallbacks(card, cards) for card in cards}),
        "LARGER_CONTEXTS": _lists({card: _larger(card, cards) for card in cards}),
        "CACHE": "" if redis is None else _CACHE.format(*map(_text, redis)),
        "ALIASES": "\n".join(aliases),
        "REDIS": "" if redis is None else _REDIS.format(*map(_text, redis)),
        "KEYS": "" if keys is None else _KEYS,
        "ENVIRONMENT": _environment(keys, redis),
        "MASTER_KEY": _text(master_key),
    }
    template = files("lfm_adapter.apps.proxy").joinpath("config.template.yaml").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@(\n?)", lambda found: (part := parts[found[1]]) and part + found[2], template)


_CACHE = """\
  # Redis caches answers for an hour, but only for requests with "cache": {{"use-cache": true}}, because repeating a
  # question usually should give a new answer.
  cache: true
  cache_params:
    type: redis
    host: {}
    port: {}
    mode: default_off
    ttl: 3600"""

_REDIS = """\
  # All Proxies with this Redis share counts of requests, budgets and cooldowns. Its password is in REDIS_PASSWORD.
  redis_host: {}
  redis_port: {}"""

_KEYS = """\
  # People's keys, from the file of LFM_PROXY_KEYS above. The master key opens everything, people's keys only the APIs.
  custom_auth: lfm_adapter.apps.proxy.hooks.authenticate"""

_APP = "# The app to credit at OpenRouter (https://openrouter.ai/docs/app-attribution)."

_NO_APP = f"""\
{_APP} Off unless these variables are set, here
# or in the environment.
#   OPENROUTER_APP_URL: https://example.com
#   OPENROUTER_APP_TITLE: My gateway"""


def _deployment(card: ModelCard, rpm: int, daily_budget_usd: Decimal) -> str:
    lines = [
        "",
        f"  # {_about(card)}",
        f"  - model_name: {_text(_name(card))}",
        "    litellm_params:",
        f"      model: {_text(f'lfm/{card.id}')}",
        f"      rpm: {min(rpm, FREE_RPM) if card.is_free else rpm}",
    ]
    if not card.is_free:
        lines += [f"      max_budget: {daily_budget_usd:f}", "      budget_duration: 1d"]
    lines += ["    model_info:", f"      id: {_text(_name(card))}"]
    if card.kind == "embeddings":
        lines.append("      mode: embedding")
    return "\n".join(lines)


def _about(card: ModelCard) -> str:
    about = f"{card.name}, https://openrouter.ai/{card.id}"
    if card.retired_between is not None:
        return f"{about}: retired by {card.retired_between[1]}; its fallbacks answer"
    return f"{about}: free, at most {FREE_RPM} requests per minute" if card.is_free else about


def _name(card: ModelCard) -> str:
    return card.aliases[0] if card.aliases else card.id


def _fallbacks(card: ModelCard, cards: Sequence[ModelCard]) -> list[ModelCard]:
    """Return the models that may answer instead, the most similar first."""
    others = [other for other in cards if other is not card and other.kind == card.kind and other.status == "live"]
    named = [other for successor in card.successors for other in others if other.id == successor]
    rest = [other for other in others if other not in named and (other.is_free or not card.is_free)]
    same_for_free = [other for other in rest if other.id.removesuffix(":free") == card.id]
    return named + same_for_free + [other for other in rest if other not in same_for_free]


def _larger(card: ModelCard, cards: Sequence[ModelCard]) -> list[ModelCard]:
    context = card.context_length or 0
    return [other for other in _fallbacks(card, cards) if (other.context_length or 0) > context]


def _lists(table: Mapping[ModelCard, Iterable[ModelCard]]) -> str:
    return "\n".join(
        f"    - {{{_text(_name(card))}: [{', '.join(_text(_name(other)) for other in others)}]}}"
        for card, others in table.items()
        if others
    )


def _environment(keys: Path | None, redis: tuple[str, int] | None) -> str:
    app = Attribution.from_env()
    credit = {
        "OPENROUTER_APP_URL": app.url,
        "OPENROUTER_APP_TITLE": app.title,
        "OPENROUTER_APP_CATEGORIES": ",".join(app.categories),
    }
    host, port = redis or (None, None)
    variables = credit | {
        "REDIS_HOST": host,
        "REDIS_PORT": port and str(port),
        "LFM_PROXY_KEYS": keys and str(keys.absolute()),
    }
    lines = [f"  {name}: {_text(value)}" for name, value in variables.items() if value]
    about = _APP if any(credit.values()) else _NO_APP
    return "\n".join([about, *(["environment_variables:"] if lines else []), *lines])


def _text(value: object) -> str:
    """Return `value` as JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False)
