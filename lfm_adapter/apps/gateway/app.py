"""The gateway's web application: routes, access checks, and errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from lfm_adapter._version import __version__
from lfm_adapter.apps.gateway.call import GATEWAY, Gateway
from lfm_adapter.apps.gateway.chat import chat_completions, json_response
from lfm_adapter.apps.gateway.completions import completions
from lfm_adapter.apps.gateway.decisions import decisions
from lfm_adapter.apps.gateway.embeddings import embedding_models, embeddings
from lfm_adapter.apps.gateway.errors import GatewayError, to_gateway_error
from lfm_adapter.apps.gateway.page import PAGE_PATHS, Sessions, add_page
from lfm_adapter.apps.gateway.shutdown import IN_PROGRESS, InProgress
from lfm_adapter.apps.gateway.translated import anthropic_error, count_tokens, messages, responses
from lfm_adapter.errors import LFMError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lfm_adapter.types import Kind

MAX_BODY_BYTES = 64 * 1024 * 1024  # images go out as text

# Clients append paths to a base URL with OpenAI's prefix, with OpenRouter's, or without any.
_PREFIXES = ("/v1", "", "/api/v1")

_OPEN_PATHS = PAGE_PATHS | {"/health"}  # the dashboard checks its own sign-in

logger = logging.getLogger("lfm_adapter.gateway")


def create_app(gateway: Gateway, sessions: Sessions) -> web.Application:
    """Return the application. `sessions` are the browsers that are signed in to the dashboard."""
    app = web.Application(middlewares=[_answer_errors], client_max_size=MAX_BODY_BYTES)
    app[GATEWAY] = gateway
    app[IN_PROGRESS] = in_progress = InProgress()
    app.on_shutdown.append(in_progress.end)
    app.on_response_prepare.append(_add_cors_headers)
    _add(app, "POST", "/chat/completions", chat_completions)
    _add(app, "POST", "/completions", completions)
    _add(app, "POST", "/embeddings", embeddings)
    _add(app, "GET", "/embeddings/models", embedding_models)
    _add(app, "POST", "/messages", messages)
    _add(app, "POST", "/messages/count_tokens", count_tokens)
    _add(app, "POST", "/responses", responses)
    _add(app, "POST", "/systemone", decisions)
    for path in ("/api/alpha/decisions", "/alpha/decisions"):  # of OpenRouter's clients, and of LiteLLM's
        app.router.add_route("POST", path, decisions)
    _add(app, "GET", "/models", _models)
    _add(app, "GET", "/models/{name:.+}", _model)
    _add(app, "GET", "/model/info", _model_info)
    _add(app, "GET", "/key", _key)
    _add(app, "GET", "/credits", _credits)
    app.router.add_get("/health", _health)
    app.router.add_get("/metrics", _metrics)
    add_page(app, sessions)
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


def _add(app: web.Application, method: str, path: str, handler: Callable[..., Awaitable[web.StreamResponse]]) -> None:
    add = {"GET": app.router.add_get, "POST": app.router.add_post}[method]  # `add_get` also adds HEAD
    for prefix in _PREFIXES:
        add(prefix + path, handler)
        if not path.endswith("}"):
            add(f"{prefix}{path}/", handler)


@web.middleware
async def _answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Check access, and return every error in the format of the client's API."""
    try:
        if request.method == "OPTIONS":
            return web.Response()
        if request.path not in _OPEN_PATHS:
            request.app[GATEWAY].access.check(request)
        return await request.app[IN_PROGRESS].run(handler(request))
    except GatewayError as error:
        failure = error
    except LFMError as error:
        failure = to_gateway_error(error)
    except web.HTTPRequestEntityTooLarge:
        failure = GatewayError(413, f"The request is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB.")
    except web.RequestPayloadError as error:
        failure = GatewayError(400, f"The body of the request cannot be read: {error}")
    except web.HTTPException as error:
        failure = GatewayError(error.status, error.reason)
    except ConnectionResetError:
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        failure = GatewayError(500, "The gateway failed unexpectedly. Its log has the reason.")
    body = anthropic_error(failure) if "/messages" in request.path else failure.body()
    return json_response(body, status=failure.status, reason=failure.reason, headers=failure.headers)


async def _add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(request.app[GATEWAY].access.cors_headers(request))


async def _models(request: web.Request) -> web.Response:
    kinds = _kinds(request.query.get("output_modalities", "text"))
    data = [row for kind in kinds for row in request.app[GATEWAY].models.listing(kind)]
    return json_response({"object": "list", "data": data})


def _kinds(modalities: str) -> list[Kind]:
    """Return the kinds of models to list, by OpenRouter's `output_modalities`."""
    wanted = {name.strip() for name in modalities.split(",")}
    made: dict[str, Kind] = {"text": "chat", "decisions": "decisions", "embeddings": "embeddings"}
    return [kind for modality, kind in made.items() if wanted & {modality, "all"}]


async def _model(request: web.Request) -> web.Response:
    name = request.match_info["name"].rstrip("/")
    row = request.app[GATEWAY].models.find(name)
    if row is None:
        raise GatewayError(404, f"The model {name!r} does not exist here.", code="model_not_found")
    return json_response(row)


async def _model_info(request: web.Request) -> web.Response:
    return json_response({"data": request.app[GATEWAY].models.info()})


async def _health(_: web.Request) -> web.Response:
    return json_response({"status": "ok", "version": __version__})


async def _metrics(request: web.Request) -> web.Response:
    text, content_type = request.app[GATEWAY].metrics.text()
    return web.Response(body=text, headers={"Content-Type": content_type})


async def _key(request: web.Request) -> web.Response:
    """Answer OpenRouter's request for the key's limits, with the gateway's daily budget."""
    limit, spent = await _spending(request.app[GATEWAY])
    data = {
        "label": "lfm gateway",
        "limit": limit,
        "limit_remaining": None if limit is None else max(0.0, limit - spent),
        "limit_reset": "daily",
        "usage": spent,
        "usage_daily": spent,
        "is_free_tier": False,
        "is_management_key": False,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated."},
    }
    return json_response({"data": data})


async def _credits(request: web.Request) -> web.Response:
    limit, spent = await _spending(request.app[GATEWAY])
    return json_response({"data": {"total_credits": limit, "total_usage": spent}})


async def _spending(gateway: Gateway) -> tuple[float | None, float]:
    """Return the daily budget, and what was spent of it, in US$."""
    budget, ledger = gateway.limits.overall, gateway.limits.ledger
    if budget is None or budget.usd is None:
        return None, 0.0
    return float(budget.usd), float(await asyncio.to_thread(ledger.spent, budget))


async def _not_found(request: web.Request) -> web.Response:
    base = f"{request.scheme}://{request.host}/v1"
    raise GatewayError(
        404,
        f"Unknown address: {request.method} {request.path}. The base URL of this gateway is {base}; chat requests "
        f"go to {base}/chat/completions.",
        code="unknown_url",
    )
