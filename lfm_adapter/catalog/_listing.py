"""Updates the catalogue's cards with what OpenRouter lists now. `get` and `models` keep answering from the file."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_number, as_str, dicts
from lfm_adapter.catalog._cards import get, models
from lfm_adapter.errors import ResponseError
from lfm_adapter.types import Capabilities, Endpoint, Pricing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfm_adapter.types import JSONDict, Kind, ModelCard

_KINDS: tuple[tuple[str, Kind], ...] = (("text", "chat"), ("embeddings", "embeddings"), ("decisions", "decisions"))


def from_listing(
    model: Mapping[str, Any], endpoints: Mapping[str, Any] | None = None, *, checked: date | None
) -> ModelCard:
    """Return the catalogue's card of a model, updated with what OpenRouter lists today.

    Endpoints, where given, take precedence. The limits are the largest of any endpoint, and a parameter is supported if
    one endpoint supports it: OpenRouter chooses an endpoint that can serve the request. A model without any is retired.

    Args:
        model: An object of `GET /models`. For a field that is missing, null or of the wrong type, the catalogue's fact
            stays. Prices are replaced together: if there are any, none stays from the catalogue.
        endpoints: The `data` of `GET /models/{id}/endpoints`, if requested.
        checked: The day of the listing.

    Returns:
        The card, also for a model that the catalogue does not know.

    >>> card = from_listing({"id": "liquid/lfm-4", "context_length": 65536}, checked=None)
    >>> card.status, card.context_length
    ('live', 65536)
    """
    data = endpoints or {}
    base = get(as_str(model.get("id")) or as_str(data.get("id")) or "")
    listed = data.get("endpoints")
    offers = tuple(map(_endpoint, dicts(listed)))
    is_retired = isinstance(listed, list) and not offers
    parameters = [offer.supported_parameters for offer in offers if offer.supported_parameters is not None]
    supported = frozenset().union(*parameters) if parameters else _names(model.get("supported_parameters"))
    prices = as_dict(model.get("pricing"))
    defaults = model.get("default_parameters")
    return replace(
        base,
        name=as_str(model.get("name")) or base.name,
        canonical_slug=as_str(model.get("canonical_slug")) or base.canonical_slug,
        kind=_kind(model) or base.kind,
        input_modalities=_names(as_dict(model.get("architecture")).get("input_modalities")) or base.input_modalities,
        status="retired" if is_retired else "live",
        retired_between=base.retired_between if is_retired else None,
        successors=base.successors if is_retired else (),
        created=_day(model.get("created")) or base.created,
        context_length=_largest(offer.context_length for offer in offers)
        or _tokens(model.get("context_length"))
        or base.context_length,
        max_output_tokens=_max_output_tokens(model, offers) or base.max_output_tokens,
        pricing=_pricing(prices) if prices else base.pricing,
        supported_parameters=base.supported_parameters if supported is None else supported,
        default_parameters=base.default_parameters
        if not isinstance(defaults, dict)
        else {name: number for name, value in defaults.items() if (number := as_number(value)) is not None},
        capabilities=base.capabilities if supported is None else _capabilities(supported, model),
        provider=_only({offer.provider for offer in offers}) if offers else base.provider,
        quantization=_only({offer.quantization for offer in offers}) if offers else base.quantization,
        expires=_iso_day(model.get("expiration_date")),
        checked=checked,
        endpoints=offers,
    )


def liquid_models(listing: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the Liquid models of a listing by id, or raise `ResponseError` if there are none."""
    liquid = {model["id"]: model for model in listing if str(model.get("id")).startswith("liquid/")}
    if not liquid:
        raise ResponseError(
            "The list of models contains no Liquid model, so the server is probably not OpenRouter. Check `base_url`."
        )
    return liquid


def refreshed_cards(
    listed: Mapping[str, Mapping[str, Any]], endpoints: Mapping[str, Mapping[str, Any]], checked: date | None
) -> tuple[ModelCard, ...]:
    """Return the file's models in the file's order, then models new to it.

    A chat model that the file calls live but that is not listed comes back retired, as the listing has every chat
    model. The file's cards of other models, and of those long retired, come back unchanged.
    """
    today = {id_: from_listing(model, endpoints.get(id_), checked=checked) for id_, model in listed.items()}
    known = [today.get(card.id) or _unlisted(card, checked) for card in models()]
    ids = {card.id for card in known}
    return (*known, *(card for card in today.values() if card.id not in ids))


def _unlisted(card: ModelCard, checked: date | None) -> ModelCard:
    if card.status != "live" or card.kind != "chat":
        return card
    between = None if card.checked is None or checked is None else (card.checked.isoformat(), checked.isoformat())
    return replace(card, status="retired", retired_between=between, checked=checked)


def _endpoint(offer: JSONDict) -> Endpoint:
    status = offer.get("status")
    choices = as_dict(offer.get("supports_tool_choice"))
    return Endpoint(
        provider=as_str(offer.get("provider_name")),
        tag=as_str(offer.get("tag")),
        quantization=as_str(offer.get("quantization")),
        context_length=_tokens(offer.get("context_length")),
        max_output_tokens=_tokens(offer.get("max_completion_tokens")),
        max_prompt_tokens=_tokens(offer.get("max_prompt_tokens")),
        pricing=_pricing(as_dict(offer.get("pricing"))),
        supported_parameters=_names(offer.get("supported_parameters")),
        supports_tool_choice={form: known for form, known in choices.items() if isinstance(known, bool)},
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
        uptime_5m_percent=as_number(offer.get("uptime_last_5m")),
        uptime_30m_percent=as_number(offer.get("uptime_last_30m")),
        uptime_1d_percent=as_number(offer.get("uptime_last_1d")),
        latency_30m=offer.get("latency_last_30m"),
        throughput_30m=offer.get("throughput_last_30m"),
    )


def _pricing(listed: JSONDict) -> Pricing:
    return Pricing(**{price.name: _price(listed.get(price.name)) for price in fields(Pricing)})


def _price(value: object) -> Decimal | None:
    """Return a price, sent as a decimal string. "-1" marks a variable price."""
    number = as_number(value)
    return None if number is None or number < 0 else Decimal(str(value))


def _capabilities(supported: frozenset[str], model: Mapping[str, Any]) -> Capabilities:
    mandatory = as_dict(model.get("reasoning")).get("mandatory")
    names = ("tools", "tool_choice", "response_format", "structured_outputs", "logprobs", "reasoning")
    return Capabilities(
        **{name: name in supported for name in names},
        reasoning_mandatory=(mandatory if isinstance(mandatory, bool) else None) if "reasoning" in supported else False,
    )


def _max_output_tokens(model: Mapping[str, Any], offers: tuple[Endpoint, ...]) -> int | None:
    if not offers:
        return _tokens(as_dict(model.get("top_provider")).get("max_completion_tokens"))
    limits = [offer.max_output_tokens for offer in offers]
    # An endpoint without a limit may exceed those of the others.
    return None if None in limits else _largest(limits)


def _kind(model: Mapping[str, Any]) -> Kind | None:
    outputs = _names(as_dict(model.get("architecture")).get("output_modalities")) or frozenset()
    return next((kind for output, kind in _KINDS if output in outputs), None)


def _largest(counts: Iterable[int | None]) -> int | None:
    return max((count for count in counts if count is not None), default=None)


def _only(names: set[str | None]) -> str | None:
    return names.pop() if len(names) == 1 else None


def _names(value: object) -> frozenset[str] | None:
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else None


def _tokens(value: object) -> int | None:
    number = as_number(value)
    return int(number) if number is not None and number >= 1 else None


def _day(value: object) -> date | None:
    """Return the day of a Unix time in seconds."""
    number = as_number(value)
    try:
        return None if number is None else datetime.fromtimestamp(number, tz=UTC).date()
    except (OverflowError, OSError, ValueError):
        return None


def _iso_day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
