"""The code that LiteLLM's Proxy loads: the provider `lfm/`, the keys of people, and hooks for each request.

`lfm proxy-config` writes their names into the configuration.
"""

from __future__ import annotations

import hmac
import logging
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request, Response  # pyright: ignore[reportMissingImports]
from fastapi.routing import APIRoute  # pyright: ignore[reportMissingImports]
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.proxy.health_endpoints._health_endpoints import health_readiness

from lfm_adapter._json import as_dict, as_number
from lfm_adapter.apps.proxy.keys import Person, key_sha256, read_people
from lfm_adapter.apps.proxy.spending import Spending
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.litellm import handler, register

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["authenticate", "handler", "hooks"]

logger = logging.getLogger("uvicorn.lfm_adapter")  # so that the Proxy shows it

KEYS_VARIABLE = "LFM_PROXY_KEYS"

# The only paths for people's keys; all others, such as /metrics, /health and /key/generate, take the master key alone.
_PATHS = (
    "/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/messages/count_tokens", "/models",
)  # fmt: skip

# Parameters with which a request would make LiteLLM use another provider or model than the named one.
_ROUTES = frozenset({
    "content_policy_fallbacks", "context_window_fallbacks", "custom_llm_provider", "default_fallbacks",
    "model_group_alias", "router_settings_override",
})  # fmt: skip

_DAY_S = 24 * 60 * 60


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Return who has sent a request: LiteLLM's `custom_auth`.

    Raises:
        HTTPException: 401 for an unknown key, 403 for a path that needs the master key, 503 if the keys are unreadable.
    """
    shown, master = (api_key or "").encode(), (proxy_server.master_key or "").encode()
    if master and hmac.compare_digest(shown, master):
        return UserAPIKeyAuth(api_key=api_key, user_id="master", user_role=LitellmUserRoles.PROXY_ADMIN)
    person = _people().get(key_sha256(api_key or ""))
    if person is None:
        raise HTTPException(401, "This key is unknown, or was revoked.")
    path = request.url.path.removeprefix("/v1").rstrip("/")
    if not (path in _PATHS or path.startswith("/models/")):
        raise HTTPException(403, f"{request.url.path} needs the master key.")
    return UserAPIKeyAuth(
        api_key=person.key_sha256,
        key_alias=person.name,
        user_id=person.name,
        user_role=LitellmUserRoles.INTERNAL_USER,
        rpm_limit=person.rpm,
    )


def _people() -> Any:
    file = os.environ.get(KEYS_VARIABLE)
    try:
        return read_people(Path(file)) if file else {}
    except ConfigurationError as error:
        logger.critical("Only the master key works now: %s", error)
        raise HTTPException(503, "The file of keys cannot be read. The Proxy's log has the reason.") from error


def _person(name: str | None) -> Person | None:
    return next((person for person in _people().values() if person.name == name), None) if name else None


class ProxyHooks(CustomLogger):  # type: ignore[misc]
    """Restricts requests to the models of the configuration and people to their limits, and adds `Retry-After`."""

    def __init__(self) -> None:
        super().__init__()
        self.spending = Spending()

    # LiteLLM passes the arguments of all hooks by name.
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> None:
        """Refuse requests that would reach another provider, and those that the sender may not make.

        Raises:
            HTTPException: 400 for the former, 403 for the latter, 429 if the sender's budget is spent.
        """
        for name in sorted(_ROUTES & data.keys()):
            raise HTTPException(400, f"`{name}` is not allowed here. Choose a model of this Proxy with `model`.")
        fallbacks = data.get("fallbacks") or []
        if not (isinstance(fallbacks, list) and all(isinstance(name, str) for name in fallbacks)):
            raise HTTPException(400, "`fallbacks` must be a list of this Proxy's models.")
        layers = [data]  # an `extra_body` may contain another one, and each a model
        while extra := as_dict(layers[-1].get("extra_body")):
            layers.append(extra)
        person = _person(user_api_key_dict.key_alias)
        if person is not None:
            await self._check_person(person, layers, fallbacks)
        if any("model" in extra for extra in layers[1:]):
            raise HTTPException(
                400, "`extra_body` must not contain a `model`. Choose a model of this Proxy with `model`."
            )

    async def _check_person(self, person: Person, layers: Sequence[dict[str, Any]], fallbacks: Sequence[str]) -> None:
        """Refuse models that a person may not use, in the fields and each `extra_body`, and a spent budget."""
        asked: list[Any] = [*fallbacks]
        for fields in layers:  # OpenRouter has fallbacks of its own
            models = fields.get("models") or []
            asked += [fields.get("model"), *(models if isinstance(models, list) else [models])]
        for model in asked:
            if model is not None and not person.may_ask(str(model)):
                raise HTTPException(403, f"{person.name} may not use `{model}`.")
        budget = person.daily_budget_usd
        if budget is not None and (spent := await self.spending.today(person.name)) >= budget:
            message = f"{person.name} has spent US$ {spent:.4f} today, of a daily budget of US$ {budget:g}."
            raise HTTPException(429, message, headers={"Retry-After": f"{math.ceil(_DAY_S - time.time() % _DAY_S)}"})

    async def async_filter_listed_models(self, user_api_key_dict: Any, model_names: Sequence[str]) -> list[str]:
        """Return the models that the sender may ask for."""
        person = _person(user_api_key_dict.key_alias)
        return [name for name in model_names if person is None or person.may_ask(name)]

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Any, user_api_key_dict: Any, traceback_str: str | None = None
    ) -> None:
        """Add a `Retry-After` to the answer. LiteLLM alone would rename it."""
        headers = getattr(getattr(original_exception, "response", None), "headers", {})
        if "retry-after" in headers and not getattr(original_exception, "headers", None):
            original_exception.headers = {"retry-after": headers["retry-after"]}

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Count and log the cost of a person's request."""
        logged = kwargs.get("standard_logging_object") or {}
        name = (logged.get("metadata") or {}).get("user_api_key_alias")
        if name:
            cost = float(logged.get("response_cost") or 0)  # 0 for an answer from the cache
            if cost:  # LiteLLM 1.108 takes the price table for text completions
                cost = as_number(getattr(getattr(response_obj, "usage", None), "cost", None)) or cost
            await self.spending.add(name, cost)
            tokens = logged.get("total_tokens") or 0
            logger.info("%s asked %s: %d tokens, US$ %.6f", name, logged.get("model_group"), tokens, cost)


async def readiness(response: Response) -> Any:
    """Return LiteLLM's own readiness, and whether Redis answers."""
    health = await health_readiness(response)
    if await hooks.spending.is_shared():
        return {**health, "redis": "connected"}
    return {**health, "status": "degraded", "redis": "unreachable: limits and budgets hold for each Proxy alone"}


hooks = ProxyHooks()
"""The hooks, for LiteLLM's `callbacks`."""

register()
if os.environ.get("REDIS_HOST"):  # before LiteLLM's route, which does not check Redis
    proxy_server.app.router.routes.insert(0, APIRoute("/health/readiness", readiness, methods=["GET"]))
