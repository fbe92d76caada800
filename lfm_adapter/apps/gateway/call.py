"""One call of a client: its fields, its app, its timeout, and the models that may answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from aiohttp import web

from lfm_adapter import catalog
from lfm_adapter._client.async_client import AsyncLFMClient
from lfm_adapter._client.metering import Meter
from lfm_adapter.apps.gateway.client_headers import app_name, identity_of, wait_of
from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.apps.gateway.inquiries import Inquiries
from lfm_adapter.apps.gateway.limits import Limits
from lfm_adapter.apps.gateway.metrics import Metrics
from lfm_adapter.errors import (
    APIConnectionError,
    APIError,
    BudgetExceededError,
    ContextWindowExceededError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.apps.gateway.access import Access
    from lfm_adapter.apps.gateway.models import Models, Route
    from lfm_adapter.apps.gateway.prices import Prices
    from lfm_adapter.ledger import CallRecord, Ledger
    from lfm_adapter.types import AsyncStream, Delta, JSONDict, Reply

T = TypeVar("T")
_Ask: TypeAlias = "Callable[[AsyncLFMClient, str], Awaitable[T]]"

RETRY_DELAY_S = 0.4

# A longer `Retry-After` is left to another model, or to the client.
MAX_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The state that all calls of a gateway share.

    Attributes:
        settings: The upstream address and key. No client can change them.
        models: The models that are served.
        access: The access rules.
        default_model: The model for requests without `model`.
        ledger: Where calls are recorded; None for no record.
        metrics: Counts the calls for Prometheus.
        limits: The budgets and rate limits.
        wait_s: Maximum seconds until an answer, or the first token of a stream, unless the client waits longer.
        prices: The prices of models outside the catalogue; None if these are not served.
    """

    settings: Settings = field(repr=False)
    models: Models
    access: Access
    default_model: str
    ledger: Ledger | None = None
    metrics: Metrics = field(default_factory=Metrics)
    limits: Limits = field(default_factory=Limits)
    wait_s: float = 30.0
    prices: Prices | None = None

    @cached_property
    def inquiries(self) -> Inquiries:
        """Find out what interrupted streams cost."""
        return Inquiries(self.settings)

    def record(self, call: CallRecord) -> None:
        """Record a call in the ledger, and in the metrics once its answer is sent."""
        if self.ledger is not None:
            self.ledger.record(call)
        asyncio.get_running_loop().call_soon(self.metrics.record, call, self.settings.provider_name)


GATEWAY = web.AppKey("gateway", Gateway)


async def read_object(request: web.Request) -> JSONDict:
    """Return the JSON object in the body of a request.

    Raises:
        GatewayError: The body is not a JSON object.
    """
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise GatewayError(400, f"The request is not valid JSON: {_json_problem(error)}.") from error
    if not isinstance(body, dict):
        raise GatewayError(400, "The request must be a JSON object.")
    return body


def _json_problem(error: Exception) -> object:
    if isinstance(error, RecursionError):
        return "its lists and objects are nested too deeply"
    return "an integer has thousands of digits" if "digits" in str(error) else error


def model_of(fields: JSONDict, default: str) -> str:
    """Remove and return the `model` of a request.

    Raises:
        GatewayError: It is not a string.
    """
    model = fields.pop("model", None) or default
    if not isinstance(model, str):
        raise GatewayError(400, "`model` must be a string.")
    return model


class UpstreamCall:
    """A request of a client, sent to the models of its route in turn.

    Attributes:
        app: The app's name.
        route: The models that may answer.

    Args:
        gateway: The gateway.
        request: The client's request.
        route: The models to ask.
        others: Models that OpenRouter itself may fall back to.
        falls_back: Whether the gateway may fall back to another model of the route.
    """

    _advice = "Try again."

    def __init__(
        self,
        gateway: Gateway,
        request: web.Request,
        route: Route,
        *,
        others: Sequence[str] = (),
        falls_back: bool = True,
    ) -> None:
        self.app = app_name(request)
        self.route = route
        self._others = [catalog.get(other).id for other in others]
        self._falls_back = falls_back and not others
        self._wait_s = wait_of(request, gateway.wait_s)
        self._gateway = gateway
        self._identity = identity_of(request)

    def answer_headers(self, model: str, generation_id: str | None) -> dict[str, str]:
        """Return the headers with the model that was asked, and the retired one that it replaces."""
        headers = {
            "X-LFM-Model": model,
            "X-LFM-Retired-Model": self.route.retired,
            "X-Generation-Id": generation_id,
        }
        return {name: value for name, value in headers.items() if value}

    async def _client(self, model: str) -> AsyncLFMClient:
        """Return a client with the budgets of the app and the model."""
        gateway = self._gateway
        budgets = gateway.limits.budgets(self.app, [model, *self._others])
        card = None
        if budgets and gateway.prices is not None and catalog.get(model).status == "unknown":
            card = await gateway.prices.card(model)
        meter = Meter(
            gateway,
            gateway.limits.ledger,
            budgets,
            self.app,
            "gateway",
            is_free=gateway.settings.is_local,
            card=card,
            inquire=gateway.inquiries.begin if gateway.settings.is_openrouter else None,
        )
        return AsyncLFMClient.from_settings(gateway.settings.with_overrides({**self._identity, "meter": meter}))

    async def first_answer(self, ask: _Ask[T]) -> tuple[str, T]:
        """Ask the models in turn until one answers, and return its name and the answer.

        Raises:
            APIError: None answered; this is the error of the first.
            GatewayError: No answer came in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                return await self._in_turn(ask)
        except TimeoutError as error:
            raise GatewayError(
                504,
                f"No answer arrived within {self._wait_s:g} s. {self._advice} To wait longer, send the seconds in the "
                "header X-Request-Timeout.",
                code="timeout",
            ) from error

    async def _in_turn(self, ask: _Ask[T]) -> tuple[str, T]:
        first: APIError | None = None
        models = self.route.models if self._falls_back else self.route.models[:1]
        failure: APIError | None = None
        for model in models:
            if failure is not None and not _may_replace(failure, model):
                continue
            try:
                return model, await with_retry(partial(ask, await self._client(model), model))
            except APIError as error:
                first = first or error
                if not _is_replaceable(error):
                    break
                failure = error
        raise first or AssertionError("a route has a model")


async def with_retry(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and once more after a temporary failure, unless a part of the answer has arrived."""
    try:
        return await ask()
    except (RateLimitError, ServerError, APIConnectionError) as error:
        if (
            not error.is_retryable
            or error.partial is not None
            or error.embeddings is not None
            or isinstance(error, StreamInterruptedError)
            or (error.retry_after or 0) > MAX_RETRY_AFTER_S
        ):
            raise
        await asyncio.sleep(error.retry_after or RETRY_DELAY_S)
    return await ask()


class Call(UpstreamCall):
    """A chat request of a client.

    Attributes:
        model: The model that it names.
        is_stream: Whether it asks for a stream.

    Raises:
        GatewayError: The request is malformed, or its model is not served.
    """

    _advice = "Try again, turn on streaming, or ask for a shorter answer."

    def __init__(self, gateway: Gateway, request: web.Request, body: JSONDict) -> None:
        fields = dict(body)
        self.model = model_of(fields, gateway.default_model)
        self._messages = _checked_messages(fields.pop("messages", None))
        self.is_stream = bool(fields.pop("stream", False))
        route = gateway.models.route(self.model)
        others = _checked_names(fields.get("models"))  # OpenRouter may fall back to these
        for other in others:
            gateway.models.route(other)
        falls_back = not fields.pop("disable_fallbacks", False)
        self._fields = fields
        super().__init__(gateway, request, route, others=others, falls_back=falls_back)

    async def reply(self) -> tuple[str, Reply]:
        """Return the whole reply, and the model that was asked for it."""
        return await self.first_answer(self._ask)

    async def events(self, write: Callable[[Sequence[Delta]], T], headers: dict[str, str]) -> AsyncGenerator[T]:
        """Stream the reply: yield what `write` makes of its deltas. `answer_headers` are added to `headers` first."""
        model, (stream, deltas) = await self.first_answer(self._open)
        headers |= self.answer_headers(model, deltas[0].generation_id)
        async with stream:
            while stream.reply is None:
                yield write(deltas)
                deltas = await stream._next_batch()
        yield write(deltas)

    async def _ask(self, client: AsyncLFMClient, model: str) -> Reply:
        return await client.chat(self._messages, model=model, extra_body=self._fields)

    async def _open(self, client: AsyncLFMClient, model: str) -> tuple[AsyncStream, Sequence[Delta]]:
        stream = client.stream(self._messages, model=model, extra_body=self._fields)
        return stream, await stream._next_batch()


def _is_replaceable(error: APIError) -> bool:
    """Return whether another model may answer after `error`: nothing of an answer has arrived or was charged."""
    if error.partial is not None or isinstance(error, StreamInterruptedError | BudgetExceededError):
        return False
    if isinstance(error, RateLimitError) and error.status_code is None:  # a limit of this gateway
        return False
    if isinstance(error, ContextWindowExceededError | NotFoundError | PaymentRequiredError | RateLimitError):
        return True
    return error.status_code is not None and error.status_code >= 500


def _may_replace(error: APIError, model: str) -> bool:
    """Return whether `model` can be expected to answer after `error`."""
    card = catalog.get(model)
    if isinstance(error, ContextWindowExceededError):
        failed = error.context_length or (catalog.get(error.model or "").context_length or 0)
        return (card.context_length or 0) > failed
    return card.is_free or not isinstance(error, PaymentRequiredError)


def _checked_names(models: object) -> list[str]:
    if models is None:
        return []
    if not isinstance(models, list) or not all(isinstance(one, str) for one in models):
        raise GatewayError(400, "`models` must be a list of strings.")
    return models


def _checked_messages(messages: object) -> list[JSONDict]:
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise GatewayError(400, "`messages` must be a list with at least one message, each a JSON object.")
    return messages
