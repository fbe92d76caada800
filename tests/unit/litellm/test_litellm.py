"""LiteLLM against cassettes, through our provider (`lfm/`) and its own (`openrouter/`)."""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING, Any

import litellm
import pytest

from lfm_adapter.testing import completion, error, stream, token_usage, tool_call
from tests.support.litellm_ways import ALL_WAYS, MESSAGES, STREAMED, ask, failure

if TYPE_CHECKING:
    from tests.support.recording import Service

LIVE = "liquid/lfm-2.5-2.6b:free"
USAGE = token_usage(18, 12, reasoning_tokens=9, cost=0)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
PLAIN = completion("Paris", model=LIVE, reasoning="France's capital is Paris.", usage=USAGE)
STREAM = stream(["Par", "is"], model=LIVE, reasoning=["France's", " capital."], usage=USAGE)

# liquid/lfm-3b as it was served: US$ 0.02 per million tokens, each way.
LFM_3B = "liquid/lfm-3b"
LFM_3B_USAGE = token_usage(2_000, 500, cost=5e-5)
LFM_3B_PLAIN = completion("Paris", model=LFM_3B, usage=LFM_3B_USAGE)
LFM_3B_STREAM = stream(["Par", "is"], model=LFM_3B, usage=LFM_3B_USAGE)


def recorded(*replies: Any, id: str, always: bool = False) -> Any:  # noqa: A002 # pytest calls it so
    return pytest.param(id, id=id, marks=[pytest.mark.vcr, pytest.mark.scripted(*replies, always=always)])


def call(service: Service, route: str = "lfm") -> dict[str, Any]:
    where = {"api_base": service.base_url} if route == "openrouter" else {}
    return {"model": f"{route}/{LIVE}", "api_key": service.api_key, "max_tokens": 500, **where}


@pytest.mark.parametrize("way", [recorded(STREAM if way in STREAMED else PLAIN, id=way) for way in ALL_WAYS])
def test_answer(service: Service, way: str):
    response = ask(way, **call(service))
    assert response.choices[0].message.content == "Paris"
    assert response.choices[0].message.reasoning_content
    assert response.choices[0].finish_reason == "stop"
    assert response.id.startswith("gen-")
    assert response.usage.total_tokens == 30


@pytest.mark.parametrize(
    "way",
    [
        recorded(completion(None, model=LIVE, tool_calls=[tool_call("weather", {"city": "Oslo"})]), id="completion"),
        recorded(stream([], model=LIVE, tool_calls=[tool_call("weather", {"city": "Oslo"})]), id="stream"),
    ],
)
def test_tools(service: Service, way: str):
    message = ask(way, tools=TOOLS, **call(service)).choices[0].message
    [asked] = message.tool_calls
    assert (asked.function.name, json.loads(asked.function.arguments)) == ("weather", {"city": "Oslo"})


@pytest.mark.parametrize(
    "name",
    [
        recorded(error(401, "User not found."), id="AuthenticationError", always=True),
        recorded(error(404, f"No endpoints found for {LIVE}."), id="NotFoundError", always=True),
        recorded(error(429, "Slow down", headers={"Retry-After": "3"}), id="RateLimitError", always=True),
    ],
)
def test_error(service: Service, name: str):
    assert type(failure("completion", **call(service))) is getattr(litellm, name)


@pytest.mark.vcr
@pytest.mark.scripted(PLAIN)
def test_litellms_own_provider(service: Service):
    response = litellm.completion(messages=MESSAGES, **call(service, "openrouter"))
    assert response.choices[0].message.content == "Paris"
    assert response._hidden_params["response_cost"] == 0


@pytest.mark.parametrize(
    "way",
    [
        recorded(LFM_3B_PLAIN, id="completion", always=True),
        recorded(LFM_3B_STREAM, id="stream", always=True),
    ],
)
@pytest.mark.parametrize("model", ["lfm/lfm-3b", "openrouter/liquid/lfm-3b"])
def test_lfm_3b_costs_two_cents_per_million_tokens(service: Service, model: str, way: str):
    where = {"api_base": service.base_url} if model.startswith("openrouter/") else {}
    response = ask(way, model=model, api_key=service.api_key, **where)
    assert response.choices[0].message.content == "Paris"
    if (
        way in STREAMED
        and model.startswith("openrouter/")
        and importlib.metadata.version("litellm").startswith("1.81.")
    ):
        pytest.skip("1.81 loses the usage of its own openrouter streams")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (2_000, 500)
    assert litellm.completion_cost(response) == pytest.approx(2_500 * 0.02 / 1_000_000)
