"""ChatLFM against cassettes of models that have no tools and no schemas, or whose calls slip into the text.

LFM-3B is served no more, so what it says here is scripted, in the form in which it is asked to say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from lfm_adapter import ChatLFM
from lfm_adapter.testing import completion, stream

if TYPE_CHECKING:
    from tests.support.recording import Service

pytestmark = pytest.mark.vcr

QUESTION = "How is the weather in Oslo?"
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
LEAK = '<|tool_call_start|>[weather(city="Oslo")]<|tool_call_end|>'


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"Rain in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def chat(service: Service, **fields: Any) -> ChatLFM:
    return ChatLFM(**{"model": "liquid/lfm-3b", "base_url": service.base_url, "api_key": service.api_key, **fields})


@pytest.mark.scripted(completion(CALL), completion("It rains in Oslo."), always=True)
def test_tools(service: Service):
    llm = chat(service).bind_tools([weather])
    asked = llm.invoke(QUESTION)
    [call] = asked.tool_calls
    assert (asked.text, call["name"], call["args"]) == ("", "weather", {"city": "Oslo"})
    result = {"role": "tool", "content": weather(**call["args"]), "tool_call_id": call["id"]}
    assert llm.invoke([("human", QUESTION), asked, result]).text == "It rains in Oslo."


@pytest.mark.scripted(stream(["Let me see.\n", CALL[:20], CALL[20:50], CALL[50:]]), always=True)
def test_tools_streamed(service: Service):
    chunks = list(chat(service).bind_tools([weather]).stream(QUESTION))
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) == 1  # a call written as text comes whole
    whole = sum(chunks[1:], start=chunks[0])
    [call] = whole.tool_calls
    assert (whole.text, call["name"], call["args"]) == ("Let me see.", "weather", {"city": "Oslo"})


@pytest.mark.scripted(completion("I do not know."), completion(CALL), always=True)
def test_call_that_is_demanded_is_asked_for_again(service: Service):
    message = chat(service).bind_tools([weather], tool_choice="weather").invoke(QUESTION)
    assert [call["args"] for call in message.tool_calls] == [{"city": "Oslo"}]
    assert message.response_metadata["output_retries"] == 1


@pytest.mark.scripted(completion('Of course:\n```json\n{"name": "Ada", "age": "36",}\n```'), always=True)
def test_structured_output(service: Service):
    person = chat(service, max_output_retries=0).with_structured_output(Person, method="json_mode").invoke("Ada is 36.")
    assert person == Person(name="Ada", age=36)


@pytest.mark.scripted(completion("Ada?"), completion('{"name": "Ada", "age": 36}'), always=True)
async def test_structured_output_that_is_asked_for_again(service: Service):
    person = await chat(service).with_structured_output(Person).ainvoke("Ada is 36 years old.")
    assert person == Person(name="Ada", age=36)


@pytest.mark.scripted(completion(LEAK, model="liquid/lfm-2.5-2.6b:free"), always=True)
def test_call_that_slips_into_the_text_is_recovered(service: Service):
    message = chat(service, model="liquid/lfm-2.5-2.6b:free").bind_tools([weather]).invoke(QUESTION)
    assert [call["args"] for call in message.tool_calls] == [{"city": "Oslo"}]
    assert message.response_metadata["finish_reason"] == "tool_calls"
