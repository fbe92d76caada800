"""`bind_tools`: LangChain's tools on the wire, and `tool_choice`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import BaseModel, Field

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import completion, error, stream, tool_call
from tests.support.chat_ways import ALL_WAYS, STREAMED, ask, native_chat, sent

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter


class GetWeather(BaseModel):
    """Tell the weather."""

    city: str = Field(description="Where.")


class GetWeatherDict(TypedDict):
    """Tell the weather."""

    city: Annotated[str, ..., "Where."]


def get_weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: Where.
    """
    return f"Sunny in {city}."


@tool
def get_time(zone: str = "UTC") -> str:
    """Tell the time."""
    return zone


@tool
def ping() -> str:
    """Tell whether anyone is there."""
    return "pong"


PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where."}},
    "required": ["city"],
}
OPENAI = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Tell the weather.", "parameters": PARAMETERS},
}


def body_of(server: ScriptedOpenRouter, model: Any) -> dict[str, Any]:
    server.add(completion())
    model.invoke("Hi", max_output_retries=0, on_invalid_output="return")  # what is answered does not matter here
    return sent(server)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (GetWeather, "GetWeather"),
        (GetWeatherDict, "GetWeatherDict"),
        (get_weather, "get_weather"),
        (StructuredTool.from_function(get_weather, parse_docstring=True), "get_weather"),
        (OPENAI, "get_weather"),
        ({"title": "get_weather", "description": "Tell the weather.", **PARAMETERS}, "get_weather"),
        ({"name": "get_weather", "description": "Tell the weather.", "input_schema": PARAMETERS}, "get_weather"),
    ],
)
def test_tools_are_sent_in_openai_form(server: ScriptedOpenRouter, given: Any, name: str):
    body = body_of(server, native_chat(server).bind_tools([given]))
    (sent_tool,) = body["tools"]
    assert sent_tool == {"type": "function", "function": {**OPENAI["function"], "name": name}}
    assert "tool_choice" not in body
    assert "parallel_tool_calls" not in body


def test_openrouter_server_tools_are_sent_unchanged(server: ScriptedOpenRouter):
    search = {"type": "openrouter:web_search", "parameters": {"max_results": 3}}
    body = body_of(
        server, native_chat(server).bind_tools([search, get_time], tool_choice={"type": "openrouter:web_search"})
    )
    assert body["tools"][0] == search
    assert body["tools"][1]["function"]["name"] == "get_time"
    assert body["tool_choice"] == {"type": "openrouter:web_search"}


BY_NAME = {"type": "function", "function": {"name": "get_time"}}
BOTH = ["get_weather", "get_time"]


@pytest.mark.parametrize(
    ("choice", "expected", "offered"),
    [
        ("auto", "auto", BOTH),
        ("none", "none", BOTH),
        ("any", "required", BOTH),
        ("required", "required", BOTH),
        (True, "required", BOTH),
        # Not every server takes a name: see `_client/plan.py`.
        ("get_time", "required", ["get_time"]),
        (BY_NAME, "required", ["get_time"]),
    ],
)
def test_tool_choice_accepts_every_form(server: ScriptedOpenRouter, choice: Any, expected: Any, offered: list[str]):
    body = body_of(server, native_chat(server).bind_tools([get_weather, get_time], tool_choice=choice))
    assert body["tool_choice"] == expected
    assert [tool["function"]["name"] for tool in body["tools"]] == offered


def test_named_tool_choice_is_sent_to_openrouter(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lfm_adapter._client.settings.Settings.is_openrouter", True)
    body = body_of(server, native_chat(server).bind_tools([get_weather, get_time], tool_choice="get_time"))
    assert body["tool_choice"] == BY_NAME


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        ({"type": "tool", "name": "get_time"}, "required"),
        ({"name": "get_time"}, "required"),
    ],
)
def test_tool_choice_accepts_anthropic_form(server: ScriptedOpenRouter, choice: Any, expected: Any):
    assert body_of(server, native_chat(server).bind_tools([get_time], tool_choice=choice))["tool_choice"] == expected


@pytest.mark.parametrize("choice", [None, False, ""])
def test_empty_tool_choice_is_not_sent(server: ScriptedOpenRouter, choice: Any):
    assert "tool_choice" not in body_of(server, native_chat(server).bind_tools([get_time], tool_choice=choice))


@pytest.mark.parametrize("choice", ["get_tiem", {"type": "function", "function": {"name": "x"}}, {"type": "function"}])
def test_tool_choice_of_unbound_tool_is_refused(server: ScriptedOpenRouter, choice: Any):
    with pytest.raises(ConfigurationError, match=r"bound tools are \['get_time'\]"):
        native_chat(server).bind_tools([get_time], tool_choice=choice)


@pytest.mark.parametrize("tools", [None, 5, "get_time", {"type": "function"}])
def test_tools_that_are_no_list_are_refused(server: ScriptedOpenRouter, tools: Any):
    with pytest.raises(ConfigurationError, match="`tools` must be a list of tools, got"):
        native_chat(server).bind_tools(tools)


@pytest.mark.parametrize("tool", [5, None, "get_time", {}, {"title": 5}, {"name": 5}, b"get_time"])
def test_tool_in_no_known_form_is_refused(server: ScriptedOpenRouter, tool: Any):
    with pytest.raises(ConfigurationError, match=r"A tool (must be a function|has no name)"):
        native_chat(server).bind_tools([tool]).invoke("Hi")
    assert server.requests == []


def test_strict_is_sent_only_if_given(server: ScriptedOpenRouter):
    assert "strict" not in body_of(server, native_chat(server).bind_tools([GetWeather]))["tools"][0]["function"]
    function = body_of(server, native_chat(server).bind_tools([GetWeather], strict=True))["tools"][0]["function"]
    assert function["strict"] is True
    assert function["parameters"]["additionalProperties"] is False
    assert (
        body_of(server, native_chat(server).bind_tools([GetWeather], strict=False))["tools"][0]["function"]["strict"]
        is False
    )


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_tool_calls_is_sent_only_if_given(server: ScriptedOpenRouter, parallel: bool):
    bound = native_chat(server).bind_tools([GetWeather], parallel_tool_calls=parallel)
    assert body_of(server, bound)["parallel_tool_calls"] is parallel


def test_further_arguments_are_bound(server: ScriptedOpenRouter):
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert (
        body_of(server, native_chat(server).bind_tools([get_time], response_format=format_))["response_format"]
        == format_
    )


def test_empty_tools_are_not_sent(server: ScriptedOpenRouter):
    assert "tools" not in body_of(server, native_chat(server).bind_tools([]))


@pytest.mark.parametrize("way", ALL_WAYS)
def test_tool_calls_are_returned(server: ScriptedOpenRouter, way: str):
    calls = [tool_call("get_weather", {"city": "Zürich"}), tool_call("ping", "", call_id="call_2")]
    server.add(stream([], tool_calls=calls) if way in STREAMED else completion(None, tool_calls=calls))
    answer = ask(native_chat(server).bind_tools([get_weather, ping]), way)
    assert answer.tool_calls == [
        {"name": "get_weather", "args": {"city": "Zürich"}, "id": "call_1", "type": "tool_call"},
        {"name": "ping", "args": {}, "id": "call_2", "type": "tool_call"},
    ]
    assert answer.invalid_tool_calls == []


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("get_weather", '{"city": "Par', "The arguments are not a JSON object."),
        ("get_weather", '["Paris"]', "The arguments are not a JSON object."),
        ("get_weather", "[" * 100_000, "The arguments are not a JSON object."),
        ("", '{"city": "Paris"}', "The call names no tool."),
    ],
)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_call_with_bad_arguments_is_invalid(
    server: ScriptedOpenRouter, way: str, name: str, arguments: str, error: str
):
    """A call that was cut off must not look whole: an agent would make it with half of its arguments."""
    call = tool_call(name, arguments)
    server.add(stream([], tool_calls=[call]) if way == "stream" else completion(None, tool_calls=[call]))
    answer = ask(native_chat(server), way)
    assert answer.tool_calls == []
    (broken,) = answer.invalid_tool_calls
    assert (broken["name"] or "", broken["args"], broken["error"]) == (name, arguments, error)


def test_tool_result_is_sent_back(server: ScriptedOpenRouter):
    by_name: dict[str, BaseTool] = {"get_time": get_time}
    server.add(completion(None, tool_calls=[tool_call("get_time", {"zone": "UTC"})]), completion("It is noon."))
    model = native_chat(server).bind_tools([get_time])
    asked = model.invoke("What time is it?")
    results = [by_name[call["name"]].invoke(call) for call in asked.tool_calls]
    assert model.invoke([("user", "What time is it?"), asked, *results]).text == "It is noon."
    assert [message["role"] for message in sent(server)["messages"]] == ["user", "assistant", "tool"]
    assert sent(server)["messages"][2] == {"role": "tool", "content": "UTC", "tool_call_id": "call_1"}


def test_tools_are_bound_to_every_model_of_with_fallbacks(server: ScriptedOpenRouter):
    call = tool_call("get_time", {"zone": "UTC"})
    server.add(error(503, "Down"), completion(None, tool_calls=[call]))
    model: Any = native_chat(server).with_fallbacks([native_chat(server)])
    answer = model.bind_tools([get_time]).invoke("What time is it?")
    assert [call["name"] for call in answer.tool_calls] == ["get_time"]
    assert [request.body["tools"][0]["function"]["name"] for request in server.requests] == ["get_time"] * 2


@pytest.mark.parametrize("arguments", ["null", "", '""', "{}", '"{}"', " "])
@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("tool_calling", ["native", "prompted"])
def test_call_without_arguments_is_valid_however_it_is_written(
    server: ScriptedOpenRouter, tool_calling: Any, way: str, arguments: str
):
    text = f'<tool_call>{{"name": "ping", "arguments": {arguments.strip() or "null"}}}</tool_call>'
    calls = [tool_call("ping", arguments)] if tool_calling == "native" else []
    spoken = "" if calls else text
    server.add(stream([spoken], tool_calls=calls) if way == "stream" else completion(spoken, tool_calls=calls))
    answer = ask(native_chat(server, tool_calling=tool_calling).bind_tools([ping]), way)
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("ping", {})]
    assert answer.invalid_tool_calls == []


@pytest.mark.parametrize("tool_calling", ["native", "prompted"])
def test_arguments_that_were_encoded_twice_are_read(server: ScriptedOpenRouter, tool_calling: Any):
    twice = json.dumps(json.dumps({"zone": "UTC"}))
    text = f'<tool_call>{{"name": "get_time", "arguments": {twice}}}</tool_call>'
    calls = [tool_call("get_time", twice)] if tool_calling == "native" else []
    server.add(completion("" if calls else text, tool_calls=calls))
    answer = native_chat(server, tool_calling=tool_calling).bind_tools([get_time]).invoke("Hi")
    assert [call["args"] for call in answer.tool_calls] == [{"zone": "UTC"}]
