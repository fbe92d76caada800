"""Whether OpenRouter answers, to this key, with this model."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter.apps.cli.findings.finding import Finding
from lfm_adapter.errors import APIConnectionError, APIError, APITimeoutError, ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfm_adapter._client.settings import Settings
    from lfm_adapter._client.sync_client import LFMClient
    from lfm_adapter.types import ModelCard

__all__ = ["connection"]

TIMEOUT_S = 15.0

_NO_CONNECTION = (APIConnectionError, APITimeoutError)


def connection(*, model: str | None = None, base_url: str | None = None, live: bool = False) -> Iterator[Finding]:
    """Yield a finding for the connection, the key, the attribution and the model.

    Args:
        model: The model that has to be there. Default: `LFM_MODEL`.
        base_url: Where to ask. Default: as `LFMClient`.
        live: Whether to ask OpenRouter about the model too.
    """
    from lfm_adapter._client.sync_client import LFMClient

    try:
        client = LFMClient(model, base_url=base_url, timeout=TIMEOUT_S, max_retries=0)
        key = client._settings.key(needed=False)
    except ConfigurationError as error:
        yield Finding("fail", str(error))
        return
    yield from _server_and_key(client) if key else _server_without_key(client)
    yield _attribution(client._settings)
    yield _model(client, chosen=bool(model or os.environ.get("LFM_MODEL")), live=live)


def _server_and_key(client: LFMClient) -> Iterator[Finding]:
    try:
        facts = client.key_info()
    except _NO_CONNECTION as error:
        yield _no_connection(client, error)
        yield Finding("skip", "key: not checked, for want of a connection")
    except NotFoundError:
        yield _connected(client)
        yield Finding("skip", "key: not checked, as only OpenRouter tells of keys")
    except APIError as error:
        yield _connected(client)
        yield Finding("fail", f"key: {error}")
    else:
        yield _connected(client)
        yield _key(facts)


def _server_without_key(client: LFMClient) -> Iterator[Finding]:
    try:
        client.list_models()
    except _NO_CONNECTION as error:
        yield _no_connection(client, error)
    except APIError as error:
        yield Finding("fail", f"{client._settings.base_url} answers with an error: {error}")
    else:
        yield _connected(client)
    if client._settings.is_openrouter:
        yield Finding("fail", "key: OPENROUTER_API_KEY is not set. Keys come from https://openrouter.ai/settings/keys")
    else:
        yield Finding("skip", "key: none is set, and this server may need none")


def _connected(client: LFMClient) -> Finding:
    return Finding("ok", f"{client._settings.base_url} answers")


def _no_connection(client: LFMClient, error: APIError) -> Finding:
    return Finding("fail", f"{client._settings.base_url} cannot be reached: {error}")


def _key(facts: dict[str, Any]) -> Finding:
    """Judge what `GET /key` says (https://openrouter.ai/docs/api-reference/limits).

    Its label holds a part of the key, and stays out.
    """
    limit, left = _amount(facts.get("limit")), _amount(facts.get("limit_remaining"))
    if facts.get("is_management_key") is True or facts.get("is_provisioning_key") is True:
        return Finding("fail", "key: it manages keys and may ask no model. Make another at openrouter.ai/settings/keys")
    if left is not None and left <= 0:
        reset = facts.get("limit_reset")
        return Finding("fail", f"key: its limit is used up{f', until it is reset ({reset})' if reset else ''}")
    told = ["no limit" if left is None else f"US$ {left:f} left" + ("" if limit is None else f" of {limit:f}")]
    free = facts.get("free_model_daily_requests")
    remaining = free.get("remaining") if isinstance(free, dict) else None
    if isinstance(remaining, int):
        told.append(f"{remaining} requests to free models left today")
    return Finding("warn" if remaining == 0 else "ok", f"key: {', '.join(told)}")


def _amount(value: object) -> Decimal | None:
    return Decimal(repr(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _attribution(settings: Settings) -> Finding:
    app = settings.attribution
    if app.url is None and (app.title or app.categories):
        return Finding("warn", "attribution: none, because OPENROUTER_APP_URL is not set; a title alone is ignored")
    if app.url is None:
        return Finding("skip", "attribution: none. OPENROUTER_APP_URL and OPENROUTER_APP_TITLE would credit your app")
    return Finding("ok", f"attribution: {', '.join(filter(None, (app.title, app.url, *app.categories)))}")


def _model(client: LFMClient, *, chosen: bool, live: bool) -> Finding:
    settings = client._settings
    card = settings.card(settings.model)
    if settings.is_local and "/" not in card.id:
        return Finding("skip", f"model: {card.id} of a server on this machine")
    if card.kind != "chat":
        return Finding("fail", f"model: {card.id} is no chat model, but for {card.kind}")
    if not live:
        return _by_catalogue(card, chosen=chosen)
    return _by_openrouter(card, lambda: client.list_endpoints(card.id), chosen=chosen)


def _by_catalogue(card: ModelCard, *, chosen: bool) -> Finding:
    if card.status == "retired":
        instead = card.successors[0] if card.successors else "another"
        # Nobody has chosen it, `lfm chat` asks its successor, and a program that names a model is not concerned.
        default = "" if chosen else ", the default,"
        told = f"model: {card.id}{default} is retired. export LFM_MODEL={instead}"
        return Finding("fail" if chosen else "warn", told)
    if card.status == "unknown":
        return Finding("warn", f"model: the catalogue does not have {card.id}. `lfm doctor --live` asks OpenRouter")
    return Finding("ok", f"model: {card.id} is {card.status}, by the catalogue of {card.checked}")


def _by_openrouter(card: ModelCard, endpoints: Callable[[], dict[str, Any]], *, chosen: bool) -> Finding:
    try:
        offers = endpoints().get("endpoints")
    except NotFoundError:
        offers = None
    except APIError as error:
        known = _by_catalogue(card, chosen=chosen)
        told = f"{known.text}; OpenRouter could not be asked about it: {error.message}"
        return Finding("fail" if known.level == "fail" else "warn", told)
    providers = [str(offer.get("provider_name")) for offer in offers or () if isinstance(offer, dict)]
    if providers:
        return Finding("ok", f"model: {card.id} is served by {', '.join(sorted(set(providers)))} today")
    known = _by_catalogue(card, chosen=chosen)
    if card.status == "retired":
        return known
    return Finding("fail", f"model: OpenRouter does not serve {card.id} today. See `lfm models --live`")
