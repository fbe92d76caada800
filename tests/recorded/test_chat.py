"""ChatLFM against cassettes: what OpenRouter's replies look like on the wire, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from lfm_adapter import ChatLFM
from lfm_adapter.testing import completion, error, stream, token_usage, tool_call

if TYPE_CHECKING:
    from tests.support.recording import Service

pytestmark = pytest.mark.vcr

LIVE = "liquid/lfm-2.5-2.6b:free"
QUESTION = "What is the capital of France? Answer with one word."
REASONED = token_usage(prompt_tokens=18, completion_tokens=12, reasoning_tokens=9, cost=0)


def chat(service: Service, **fields: Any) -> ChatLFM:
    return ChatLFM(**{"model": LIVE, "base_url": service.base_url, "api_key": service.api_key, **fields})


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"Rain in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


PLAIN = completion(
    "Paris", model=LIVE, reasoning="France's capital is Paris.", usage=REASONED, padding=b"\n         \n"
)
STREAMED = stream(["Par", "is"], model=LIVE, reasoning=["France's capital", " is Paris."], usage=REASONED)


@pytest.mark.scripted(PLAIN)
def test_plain(service: Service):
    message = chat(service, max_tokens=500).invoke(QUESTION)
    assert message.text == "Paris"
    assert message.additional_kwargs["reasoning_content"]
    assert message.response_metadata["provider"] == "Liquid"
    assert message.response_metadata["cost"] == 0
    assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.scripted(PLAIN)
async def test_plain_async(service: Service):
    message = await chat(service, max_tokens=500).ainvoke(QUESTION)
    assert message.text == "Paris"
    assert message.response_metadata["id"].startswith("gen-")


@pytest.mark.scripted(STREAMED)
def test_streamed(service: Service):
    chunks = list(chat(service, max_tokens=500).stream(QUESTION))
    whole = sum(chunks[1:], start=chunks[0])
    assert whole.text == "Paris"
    assert whole.additional_kwargs["reasoning_content"]
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.response_metadata["cost"] == 0


@pytest.mark.scripted(STREAMED)
async def test_streamed_async(service: Service):
    whole = None
    async for chunk in chat(service, max_tokens=500).astream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.text == "Paris"
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_token_details"]["reasoning"] > 0


@pytest.mark.scripted(
    completion(None, model=LIVE, tool_calls=[tool_call("weather", {"city": "Oslo"})]),
    completion("It rains in Oslo.", model=LIVE),
)
def test_tools(service: Service):
    llm = chat(service, max_tokens=1_000).bind_tools([weather])
    asked = llm.invoke("How is the weather in Oslo?")
    [call] = asked.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    result = {"role": "tool", "content": weather(**call["args"]), "tool_call_id": call["id"]}
    answer = llm.invoke([("human", "How is the weather in Oslo?"), asked, result])
    assert "rain" in answer.text.lower()


@pytest.mark.scripted(stream([], model=LIVE, tool_calls=[tool_call("weather", {"city": "Oslo"})]))
def test_tools_streamed(service: Service):
    chunks = list(chat(service, max_tokens=1_000).bind_tools([weather]).stream("How is the weather in Oslo?"))
    whole = sum(chunks[1:], start=chunks[0])
    [call] = whole.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})


@pytest.mark.scripted(completion('{"name": "Ada", "age": 36}', model=LIVE))
def test_structured_output(service: Service):
    person = chat(service, max_tokens=1_000).with_structured_output(Person).invoke("Ada is 36 years old.")
    assert person == Person(name="Ada", age=36)


@pytest.mark.from_local_model
def test_structured_output_of_a_local_model(service: Service):
    llm = chat(service, model="local/smollm2-135m-instruct", temperature=0, max_tokens=60)
    person = llm.with_structured_output(Person, method="json_schema").invoke("Describe a person named Bob, aged 42.")
    assert isinstance(person, Person)


@pytest.mark.scripted(
    completion("", model=LIVE, reasoning="They ask for a story, and I think", finish_reason="length", usage=REASONED)
)
def test_reasoning_that_eats_the_budget(service: Service):
    message = chat(service, max_tokens=16).invoke("Tell me a long story.")
    assert message.text == ""
    assert message.additional_kwargs["reasoning_details"]
    assert message.response_metadata["finish_reason"] == "length"


@pytest.mark.scripted(
    error(429, "Rate limit exceeded", metadata={"error_type": "rate_limit_exceeded"}, headers={"Retry-After": "0"}),
    completion("Paris", model=LIVE),
    always=True,
)
def test_retry_then_success(service: Service):
    assert chat(service, max_tokens=500).invoke(QUESTION).text == "Paris"
