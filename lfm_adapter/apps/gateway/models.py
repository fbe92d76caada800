"""The models of a gateway: their names, the models that may answer to each, and their listings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

from lfm_adapter import catalog
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.types import ModelCard, Pricing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import JSONDict, Kind

# Retired, but still the model that most programs request. Its successor answers.
_KEPT = "liquid/lfm-3b"

# The noun and the path for each kind.
_KINDS: dict[Kind, tuple[str, str]] = {
    "chat": ("a chat model", "/v1/chat/completions"),
    "decisions": ("a decision model", "/v1/systemone"),
    "embeddings": ("an embedding model", "/v1/embeddings"),
}

# Some clients request as many output tokens as a model lists, but the prompt needs most of the context.
_OUTPUT_SHARE = 4


@dataclass(frozen=True, slots=True)
class Route:
    """The models that may answer to one name.

    Attributes:
        models: Ids to ask, in this order, until one answers.
        retired: The retired model that was named, if its successor is asked instead.
    """

    models: tuple[str, ...]
    retired: str | None = None


class Models(ABC):
    """The models that a gateway serves.

    Attributes:
        cards: The chat models.
    """

    def __init__(self, served: Sequence[ModelCard]) -> None:
        self._served = served
        self.cards = self._of("chat")

    @abstractmethod
    def default_name(self, settings: Settings) -> str:
        """Return the name of the settings' model."""

    @abstractmethod
    def route(self, name: str, kind: Kind = "chat") -> Route:
        """Return the models that may answer to `name`.

        Args:
            name: A model's name.
            kind: The kind of model that the endpoint needs.

        Raises:
            GatewayError: The model is not served, or is of another kind.
        """

    def model_id(self, name: str) -> str:
        """Return the id of the first model to ask for `name`, of any kind.

        Raises:
            GatewayError: The model is not served.
        """
        return self.route(name, catalog.get(name).kind).models[0]

    def names(self, kind: Kind = "chat") -> list[str]:
        """Return the short name of each model of a kind."""
        return [short_name(card) for card in self._of(kind)]

    def listing(self, kind: Kind = "chat") -> list[JSONDict]:
        """Return the models of a kind as `/v1/models` lists them."""
        return [listed(short_name(card), card) for card in self._of(kind)]

    def find(self, name: str) -> JSONDict | None:
        """Return a model as `/v1/models/{name}` shows it, or None."""
        return next((listed(name, card) for card in self._served if name in (card.id, *card.aliases)), None)

    def info(self) -> list[JSONDict]:
        """Return the chat models as `/v1/model/info` of LiteLLM's Proxy lists them."""
        return [_info(short_name(card), card) for card in self.cards]

    def _of(self, kind: Kind) -> list[ModelCard]:
        return [card for card in self._served if card.kind == kind]


class CatalogModels(Models):
    """The catalogue's models.

    Args:
        is_openrouter: Whether OpenRouter is the upstream. Another server may still serve a retired model.
        any_model: Whether clients may use models outside the catalogue.
    """

    def __init__(self, *, is_openrouter: bool = True, any_model: bool = False) -> None:
        super().__init__([card for card in catalog.models() if card.status == "live" or card.id == _KEPT])
        self._is_openrouter = is_openrouter
        self._any_model = any_model

    def default_name(self, settings: Settings) -> str:
        """See `Models.default_name`."""
        return short_name(catalog.get(self.route(settings.model).models[0]))

    def route(self, name: str, kind: Kind = "chat") -> Route:
        """See `Models.route`."""
        card = catalog.get(name)
        if card.status == "unknown":
            if self._any_model:
                return Route((name,))
            known = ", ".join(self.names(kind))
            hint = " Start `lfm gateway` with `--any-model` for others." if self._is_openrouter else ""
            raise GatewayError(
                404, f"The model {name!r} does not exist here. Known: {known}.{hint}", code="model_not_found"
            )
        if card.kind != kind:
            (wanted, _), (what, path) = _KINDS[kind], _KINDS[card.kind]
            raise GatewayError(400, f"{name} is {what}, not {wanted}. Ask it at {path}.", code="wrong_endpoint")
        sent = name if "/" in name else card.id
        others = tuple(other.id for other in self._fallbacks(card))
        if card.status == "retired" and self._is_openrouter and others:
            return Route(others, retired=card.id)
        return Route((sent, *others))

    def _fallbacks(self, card: ModelCard) -> Sequence[ModelCard]:
        """Return the models to fall back to, the most similar first; only free models for a free one.

        Only chat models have any: probabilities and vectors of different models cannot be compared.
        """
        if card.kind != "chat":
            return [] if card.status == "live" else [catalog.get(successor) for successor in card.successors]
        base = card.id.rpartition(":")[0] or card.id
        others = [other for other in self.cards if other.status == "live" and other.id not in (card.id, base)]
        named = [other for successor in card.successors for other in others if other.id == successor]
        rest = [other for other in others if other not in named and (other.is_free or not card.is_free)]
        return named + sorted(rest, key=lambda other: other.id.removesuffix(":free") != base)


class LocalModel(Models):
    """One model on this machine. It answers to every name, so that clients set up for OpenRouter need no change.

    Args:
        model: Its id at the local server.
        context_length: Its context in tokens.
        max_tokens: Maximum tokens of an answer, unless the client sets its own.
    """

    def __init__(self, model: str, context_length: int, max_tokens: int | None = None) -> None:
        free = Pricing(prompt=Decimal(0), completion=Decimal(0))
        card = ModelCard(
            model, model, status="live", context_length=context_length, max_output_tokens=max_tokens, pricing=free
        )
        super().__init__([card])
        self._route = Route((model,))

    def default_name(self, settings: Settings) -> str:
        """See `Models.default_name`."""
        return self._route.models[0]

    def route(self, name: str, kind: Kind = "chat") -> Route:
        """See `Models.route`."""
        return self._route


def short_name(card: ModelCard) -> str:
    """Return the name that the listings show: the alias, if there is one."""
    return card.aliases[0] if card.aliases else card.id


def listed(name: str, card: ModelCard) -> JSONDict:
    """Return a model as `/v1/models` lists it: OpenAI's fields, and those that OpenRouter adds."""
    created = card.created or datetime.now(tz=UTC).date()
    is_chat = card.kind == "chat"
    return {
        "id": name,
        "object": "model",
        "created": int(datetime.combine(created, time(tzinfo=UTC)).timestamp()),
        "owned_by": card.id.partition("/")[0],
        "name": card.name,
        "canonical_slug": card.canonical_slug or card.id,
        "context_length": card.context_length,
        "max_input_tokens": card.context_length,
        "architecture": _architecture(card),
        "pricing": {
            "prompt": _price(card.pricing.prompt),
            "completion": _price(card.pricing.completion),
            "request": _price(card.pricing.request or Decimal(0)),
        },
        "top_provider": {
            "context_length": card.context_length,
            "max_completion_tokens": _max_output(card) if is_chat else None,
            "is_moderated": False,
        },
        "supported_parameters": _supported_parameters(card) if is_chat else [],
    }


def _architecture(card: ModelCard) -> JSONDict:
    given = sorted(card.input_modalities or ["text"], reverse=True)
    made = "text" if card.kind == "chat" else card.kind
    return {"modality": f"{'+'.join(given)}->{made}", "input_modalities": given, "output_modalities": [made]}


def _info(name: str, card: ModelCard) -> JSONDict:
    prices, can = card.pricing, card.capabilities
    return {
        "model_name": name,
        "litellm_params": {"model": f"lfm/{card.id}"},
        "model_info": {
            "id": name,
            "key": f"lfm/{card.id}",
            "mode": "chat",
            "litellm_provider": "lfm",
            "max_tokens": _max_output(card),
            "max_output_tokens": _max_output(card),
            "max_input_tokens": card.context_length,
            "input_cost_per_token": None if prices.prompt is None else float(prices.prompt),
            "output_cost_per_token": None if prices.completion is None else float(prices.completion),
            "supports_function_calling": True,
            "supports_tool_choice": True,
            "supports_response_schema": True,
            "supports_system_messages": True,
            "supports_reasoning": bool(can.reasoning),
            "supports_vision": False,
        },
    }


def _max_output(card: ModelCard) -> int | None:
    """Return the maximum output tokens to list: well under the context, which includes the prompt."""
    share = None if card.context_length is None else card.context_length // _OUTPUT_SHARE
    known = [limit for limit in (share, card.max_output_tokens) if limit is not None]
    return min(known, default=None)


# Every model on OpenRouter has these. They are listed if a card has no list.
_COMMON_PARAMETERS = frozenset({"max_tokens", "seed", "stop", "temperature", "top_p"})

# The client writes tools and schemas into the prompt where a model has no native support.
_BY_PROMPT = frozenset({"response_format", "structured_outputs", "tool_choice", "tools"})


def _supported_parameters(card: ModelCard) -> list[str]:
    reasoning = frozenset({"include_reasoning", "reasoning"} if card.capabilities.reasoning else ())
    return sorted((card.supported_parameters or _COMMON_PARAMETERS) | _BY_PROMPT | reasoning)


def _price(price: Decimal | None) -> str:
    return "-1" if price is None else f"{price:f}"  # "-1" is OpenRouter's notation for an unknown price
