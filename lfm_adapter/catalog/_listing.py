"""OpenRouter's own description of a model -> `ModelCard`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from lfm_adapter.catalog._cards import get
from lfm_adapter.types import Capabilities, Endpoint, Pricing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfm_adapter.types import Kind, ModelCard

__all__ = ["from_listing"]

_KINDS: tuple[tuple[str, Kind], ...] = (("text", "chat"), ("embeddings", "embedding"), ("decisions", "decisions"))


def from_listing(
    model: Mapping[str, Any], endpoints: Mapping[str, Any] | None = None, *, checked: date | None
) -> ModelCard:
    """Return a card of what OpenRouter says today, over what the catalogue knows of the same model.

    Where endpoints are given they decide: the context and the longest answer are the largest that one of them offers,
    and a parameter is supported where one of them supports it, because OpenRouter sends a request to an endpoint that
    can serve it. A model without any endpoint is dead, and its card is retired.

    Args:
        model: An object of `GET /models`. Where a field is missing, null or of the wrong type, the catalogue's fact
            stays. Prices are the exception: where there are any, none is kept from the catalogue.
        endpoints: The `data` of `GET /models/{id}/endpoints`, where it was asked for.
        checked: The day of the listing.

    Returns:
        The card; of a model unknown to the catalogue too.

    >>> card = from_listing({"id": "liquid/lfm-4", "context_length": 65536}, checked=None)
    >>> card.status, card.context_length
    ('live', 65536)
    """
    base = get(_text(model.get("id")) or _text(_mapping(endpoints).get("id")) or "")
    offers = _endpoints(endpoints)
    dead = offers is not None and not offers
    offers = offers or ()
    supported = _supported(model, offers)
    prices = _mapping(model.get("pricing"))
    defaults = model.get("default_parameters")
    return replace(
        base,
        name=_text(model.get("name")) or base.name,
        canonical_slug=_text(model.get("canonical_slug")) or base.canonical_slug,
        kind=_kind(model) or base.kind,
        status="retired" if dead else "live",
        retired_between=base.retired_between if dead else None,
        successors=base.successors if dead else (),
        created=_day(model.get("created")) or base.created,
        context_length=_largest(offer.context_length for offer in offers)
        or _tokens(model.get("context_length"))
        or base.context_length,
        max_output_tokens=_longest_answer(model, offers) or base.max_output_tokens,
        pricing=_pricing(prices) if prices else base.pricing,
        supported_parameters=base.supported_parameters if supported is None else supported,
        default_parameters=_numbers(defaults) if isinstance(defaults, Mapping) else base.default_parameters,
        capabilities=base.capabilities if supported is None else _capabilities(supported, model),
        provider=_only(offer.provider for offer in offers) if offers else base.provider,
        quantization=_only(offer.quantization for offer in offers) if offers else base.quantization,
        expires=_iso_day(model.get("expiration_date")),
        checked=checked,
        endpoints=offers,
    )


def _endpoints(data: Mapping[str, Any] | None) -> tuple[Endpoint, ...] | None:
    """Return the endpoints, or None where the answer does not say."""
    listed = _mapping(data).get("endpoints")
    if not isinstance(listed, list):
        return None
    return tuple(_endpoint(offer) for offer in listed if isinstance(offer, Mapping))


def _endpoint(offer: Mapping[str, Any]) -> Endpoint:
    status = offer.get("status")
    return Endpoint(
        provider=_text(offer.get("provider_name")),
        tag=_text(offer.get("tag")),
        quantization=_text(offer.get("quantization")),
        context_length=_tokens(offer.get("context_length")),
        max_output_tokens=_tokens(offer.get("max_completion_tokens")),
        max_prompt_tokens=_tokens(offer.get("max_prompt_tokens")),
        pricing=_pricing(_mapping(offer.get("pricing"))),
        supported_parameters=_names(offer.get("supported_parameters")),
        supports_tool_choice={
            form: known
            for form, known in _mapping(offer.get("supports_tool_choice")).items()
            if isinstance(known, bool)
        },
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        uptime_5m_percent=_number(offer.get("uptime_last_5m")),
        uptime_30m_percent=_number(offer.get("uptime_last_30m")),
        uptime_1d_percent=_number(offer.get("uptime_last_1d")),
        latency_30m=offer.get("latency_last_30m"),
        throughput_30m=offer.get("throughput_last_30m"),
    )


def _pricing(listed: Mapping[str, Any]) -> Pricing:
    return Pricing(**{known.name: _price(listed.get(known.name)) for known in fields(Pricing)})


def _price(value: object) -> Decimal | None:
    """Return a price, sent as a decimal string; "-1" and all else that is no amount mean that there is no one price."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price >= 0 else None


def _supported(model: Mapping[str, Any], offers: tuple[Endpoint, ...]) -> frozenset[str] | None:
    known = [offer.supported_parameters for offer in offers if offer.supported_parameters is not None]
    return frozenset().union(*known) if known else _names(model.get("supported_parameters"))


def _capabilities(supported: frozenset[str], model: Mapping[str, Any]) -> Capabilities:
    reasoning = "reasoning" in supported
    mandatory = _mapping(model.get("reasoning")).get("mandatory")
    return Capabilities(
        tools="tools" in supported,
        tool_choice="tool_choice" in supported,
        response_format="response_format" in supported,
        structured_outputs="structured_outputs" in supported,
        logprobs="logprobs" in supported,
        reasoning=reasoning,
        reasoning_mandatory=(mandatory if isinstance(mandatory, bool) else None) if reasoning else False,
    )


def _longest_answer(model: Mapping[str, Any], offers: tuple[Endpoint, ...]) -> int | None:
    told = [offer.max_output_tokens for offer in offers]
    if told and None not in told:
        return _largest(told)
    # An endpoint without a bound of its own may go beyond that of the others.
    return None if told else _tokens(_mapping(model.get("top_provider")).get("max_completion_tokens"))


def _kind(model: Mapping[str, Any]) -> Kind | None:
    outputs = _names(_mapping(model.get("architecture")).get("output_modalities")) or frozenset()
    return next((kind for output, kind in _KINDS if output in outputs), None)


def _largest(counts: Iterable[int | None]) -> int | None:
    return max((count for count in counts if count is not None), default=None)


def _only(names: Iterable[str | None]) -> str | None:
    different = set(names)
    return different.pop() if len(different) == 1 else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _names(value: object) -> frozenset[str] | None:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def _numbers(value: Mapping[str, Any]) -> dict[str, float]:
    return {name: number for name, told in value.items() if (number := _number(told)) is not None}


def _tokens(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 1 else None


def _day(value: object) -> date | None:
    """Return the day of a Unix time in seconds."""
    number = _number(value)
    try:
        return None if number is None else datetime.fromtimestamp(number, tz=UTC).date()
    except (OverflowError, OSError, ValueError):
        return None


def _iso_day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
