"""The cost of a reply in LiteLLM: OpenRouter's figure, else usage times catalogue prices."""

from __future__ import annotations

import importlib.metadata
import threading
import uuid
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from lfm_adapter.testing import completion, stream, token_usage
from tests.support.litellm_ways import ALL_WAYS, MESSAGES, PLAIN, STREAMED, ask, built, run

REPORTED = token_usage(1_000, 500, cost=9e-5)  # differs from the table's price
UNREPORTED = {name: value for name, value in token_usage(1_000, 500).items() if name not in ("cost", "cost_details")}
BY_TABLE = 1_500 * 2e-8

VERSION = tuple(int(part) for part in importlib.metadata.version("litellm").split(".")[:2])
ROUTES = ["lfm/lfm-3b", "lfm/liquid/lfm-3b", "openrouter/liquid/lfm-3b"]


class Log(CustomLogger):
    """Collects the success callbacks of one call; those of earlier calls may still arrive."""

    def __init__(self, call_id: str) -> None:
        super().__init__()
        self.call_id = call_id
        self.calls: list[dict[str, Any]] = []
        self.logged = threading.Event()

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._keep(kwargs)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._keep(kwargs)

    def _keep(self, kwargs: dict[str, Any]) -> None:
        # A single chunk of a stream has no standard log.
        if kwargs.get("standard_logging_object") and kwargs["litellm_call_id"] == self.call_id:
            self.calls.append(kwargs)
            self.logged.set()


def route(server: Any, model: str, way: str, usage: Any) -> dict[str, Any]:
    """Script an answer, and return the arguments of a call through one of `ROUTES`."""
    server.add(stream(usage=usage) if way in STREAMED else completion(usage=usage))
    by_litellm = model.startswith("openrouter/")
    return {"model": model} | ({"api_base": server.base_url, "api_key": "test-key"} if by_litellm else {})


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("model", ROUTES)
def test_reported_cost_takes_precedence_in_litellm(openrouter_server, model, way):
    response = ask(way, **route(openrouter_server, model, way, REPORTED))
    assert response._hidden_params["response_cost"] == 9e-5


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("model", ROUTES)
def test_litellm_uses_catalogue_price_without_reported_cost(openrouter_server, model, way):
    response = ask(way, **route(openrouter_server, model, way, UNREPORTED))
    assert response._hidden_params["response_cost"] == pytest.approx(BY_TABLE)


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("model", ROUTES)
def test_completion_cost_works_for_each_route(openrouter_server, model, way):
    if VERSION < (1, 83) and way in STREAMED and model.startswith("openrouter/"):
        pytest.skip("1.81 loses the usage of its own openrouter streams")
    cost = litellm.completion_cost(ask(way, **route(openrouter_server, model, way, REPORTED)))
    # Before 1.109, it uses only its table.
    assert cost == pytest.approx(9e-5 if VERSION >= (1, 109) else BY_TABLE)


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("model", ROUTES)
def test_callbacks_and_standard_log_get_the_cost(openrouter_server, monkeypatch, model, way):
    if VERSION < (1, 83) and way in STREAMED and model.startswith("openrouter/"):
        pytest.skip("1.81 loses the usage of its own openrouter streams")
    log = Log(str(uuid.uuid4()))
    monkeypatch.setattr(litellm, "callbacks", [log])
    ask(way, until=log.logged, litellm_call_id=log.call_id, **route(openrouter_server, model, way, REPORTED))
    assert log.logged.wait(60)
    logged = log.calls[-1]
    # 1.81 uses its table for streams: it reads a reported cost only from headers.
    expected = BY_TABLE if VERSION < (1, 83) and way in STREAMED else 9e-5
    standard = logged["standard_logging_object"]
    costs = logged["response_cost"], standard["response_cost"]
    if VERSION < (1, 83) and way == "stream":
        # It logs each chunk in its own thread, which removes the cost; a late one removes that of the whole stream:
        # https://github.com/BerriAI/litellm/blob/v1.81.10-stable/litellm/litellm_core_utils/litellm_logging.py#L1745
        costs = tuple(cost or expected for cost in costs)
    assert costs == pytest.approx((expected, expected))
    assert (standard["prompt_tokens"], standard["completion_tokens"], standard["total_tokens"]) == (1_000, 500, 1_500)
    assert standard["custom_llm_provider"] == model.partition("/")[0]
    assert standard["status"] == "success"


@pytest.mark.parametrize("way", PLAIN)
def test_prices_of_a_call_apply_without_reported_cost(openrouter_server, way):
    call = route(openrouter_server, "lfm/unknown/model", way, UNREPORTED)
    response = ask(way, **call, input_cost_per_token=1e-3, output_cost_per_token=2e-3)
    assert response._hidden_params["response_cost"] == pytest.approx(2.0)


def test_free_model_costs_nothing_in_litellm(openrouter_server):
    openrouter_server.add(completion(usage=UNREPORTED, model="liquid/lfm-3-1.7b:free"))
    response = ask("completion", model="lfm/lfm-3-1.7b:free")
    assert response._hidden_params["response_cost"] == 0
    assert litellm.completion_cost(response) == 0


@pytest.mark.parametrize("way", ALL_WAYS)
def test_reported_cost_takes_precedence_over_prices_of_a_deployment(openrouter_server, monkeypatch, way):
    """Where LiteLLM's Proxy takes it for the header, the budget, and the log."""
    log = Log(str(uuid.uuid4()))
    monkeypatch.setattr(litellm, "callbacks", [log])
    prices = {"input_cost_per_token": 1e-9, "output_cost_per_token": 1e-9}
    router = litellm.Router([{"model_name": "m", "litellm_params": {"model": "lfm/lfm-3b"}, "model_info": prices}])
    openrouter_server.add(stream(usage=REPORTED) if way in STREAMED else completion(usage=REPORTED))
    call: dict[str, Any] = {"model": "m", "messages": MESSAGES, "litellm_call_id": log.call_id}

    async def streamed() -> list[Any]:
        return [chunk async for chunk in await router.acompletion(stream=True, **call)]

    if way == "completion":
        response = router.completion(**call)
    elif way == "acompletion":
        response = run(router.acompletion(**call), log.logged)
    else:
        response = built([*router.completion(stream=True, **call)] if way == "stream" else run(streamed(), log.logged))
    if way in PLAIN:
        assert response._hidden_params["response_cost"] == 9e-5
    if VERSION < (1, 83) and way in STREAMED:
        return  # it reads a reported cost only from headers
    assert log.logged.wait(60)
    costs = log.calls[-1]["response_cost"], log.calls[-1]["standard_logging_object"]["response_cost"]
    assert costs == pytest.approx((9e-5, 9e-5))
