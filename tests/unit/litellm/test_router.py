"""LiteLLM's Router over our provider: fallbacks, retries, cooldown, wildcards, limits."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import litellm
import pytest
from litellm import Router

from lfm_adapter.litellm import register
from lfm_adapter.testing import completion, error, stream
from tests.support.litellm_ways import ALL_WAYS, MESSAGES, STREAMED, built, run

SMALL = {"model_name": "small", "litellm_params": {"model": "lfm/lfm-3b"}}
OTHER = {"model_name": "other", "litellm_params": {"model": "lfm/lfm-3-1.7b"}}
CONTEXT = "This endpoint's maximum context length is 32768 tokens. However, you requested about 90000 tokens."


def route(router: Router, way: str, model: str = "small", messages: Any = MESSAGES) -> Any:
    """Ask through the Router."""

    async def collected() -> list[Any]:
        return [chunk async for chunk in await router.acompletion(model, messages, stream=True)]

    match way:
        case "completion":
            return router.completion(model, messages)
        case "acompletion":
            return run(router.acompletion(model, messages))
        case "stream":
            return built([*router.completion(model, messages, stream=True)])
        case _:
            return built(run(collected()))


def answer(way: str, text: str, **reply: Any) -> Any:
    return stream(text, **reply) if way in STREAMED else completion(text, **reply)


def text(response: Any) -> str:
    return response.choices[0].message.content


def models(server: Any) -> list[str]:
    return [request.body["model"] for request in server.requests]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_router_deployment_answers(openrouter_server, way):
    openrouter_server.add(answer(way, "Hello."))
    assert text(route(Router([SMALL]), way)) == "Hello."


@pytest.mark.parametrize("way", ALL_WAYS)
def test_router_wildcard_accepts_any_model(openrouter_server, way):
    router = Router([{"model_name": "lfm/*", "litellm_params": {"model": "lfm/*"}}])
    openrouter_server.add(answer(way, "Hello."))
    assert text(route(router, way, "lfm/liquid/lfm-3-1.7b:free")) == "Hello."
    assert models(openrouter_server) == ["liquid/lfm-3-1.7b:free"]


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_router_falls_back_on_failure(openrouter_server, way, status):
    router = Router([SMALL, OTHER], fallbacks=[{"small": ["other"]}], num_retries=0)
    openrouter_server.add(error(status, "No."), answer(way, "I can."))
    assert text(route(router, way)) == "I can."
    assert models(openrouter_server) == ["liquid/lfm-3b", "liquid/lfm-3-1.7b"]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_router_falls_back_if_openrouter_reports_context_overflow(openrouter_server, way):
    # After an asynchronous stream has begun, a Router uses only its plain `fallbacks`.
    kind = "fallbacks" if way == "astream" else "context_window_fallbacks"
    router = Router([SMALL, OTHER], num_retries=0, **{kind: [{"small": ["other"]}]})
    openrouter_server.add(error(400, CONTEXT), answer(way, "It fits."))
    assert text(route(router, way)) == "It fits."
    assert models(openrouter_server) == ["liquid/lfm-3b", "liquid/lfm-3-1.7b"]


@pytest.mark.parametrize("way", ALL_WAYS)
def test_router_falls_back_if_prompt_cannot_fit(openrouter_server, way):
    router = Router([SMALL, OTHER], context_window_fallbacks=[{"small": ["other"]}], num_retries=0)
    openrouter_server.add(answer(way, "It fits."))
    long = [{"role": "user", "content": "word " * 40_000}]
    assert text(route(router, way, messages=long)) == "It fits."
    assert models(openrouter_server) == ["liquid/lfm-3-1.7b"]


def test_only_router_retries(openrouter_server):
    router = Router([SMALL], num_retries=2, retry_after=0)
    openrouter_server.add(*[error(500, "Internal Server Error", headers={"Retry-After": "0"})] * 10)
    with pytest.raises(litellm.InternalServerError):
        router.completion("small", MESSAGES)
    assert len(openrouter_server.requests) == 3


def test_router_waits_for_retry_after(openrouter_server):
    router = Router([SMALL], num_retries=1)
    openrouter_server.add(error(429, "Slow down", headers={"Retry-After": "2"}), completion("Now."))
    begun = time.monotonic()
    assert text(router.completion("small", MESSAGES)) == "Now."
    assert time.monotonic() - begun >= 2  # its own wait is less than 1 s


def test_router_cools_down_failing_deployment(openrouter_server):
    pool = [
        {**SMALL, "model_info": {"id": "first"}},
        {"model_name": "small", "litellm_params": {"model": "lfm/lfm-3-1.7b"}, "model_info": {"id": "second"}},
    ]
    router = Router(pool, num_retries=0, allowed_fails=0, cooldown_time=60)
    openrouter_server.default = lambda request: (
        error(429, "Slow down") if request.body["model"] == "liquid/lfm-3b" else completion("Hello.")
    )
    for _ in range(12):
        with contextlib.suppress(litellm.RateLimitError):
            router.completion("small", MESSAGES)
    assert models(openrouter_server).count("liquid/lfm-3b") <= 1


@pytest.mark.parametrize("way", ALL_WAYS)
def test_prompts_that_are_too_long_do_not_cool_a_deployment_down(openrouter_server, way):
    router = Router([SMALL], num_retries=0, allowed_fails=1, cooldown_time=60)
    for _ in range(4):
        with pytest.raises(litellm.ContextWindowExceededError):
            route(router, way, messages=[{"role": "user", "content": "word " * 40_000}])
    openrouter_server.add(answer(way, "Hello."))
    assert text(route(router, way)) == "Hello."


def test_register_again_repairs_model_cost_after_router():
    # Up to 1.106 at least, a deployment's `model_info` replaces the model's prices in the global table.
    Router([{**SMALL, "model_info": {"max_input_tokens": 3}}])
    register()
    assert litellm.model_cost["lfm/lfm-3b"]["max_input_tokens"] == 32_768
    assert litellm.model_cost["lfm/lfm-3b"]["input_cost_per_token"] == 2e-8
