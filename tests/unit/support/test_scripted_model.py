from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.schema_example import PromptWords, example_of
from tests.support.scripted_model import openrouter_like
from tests.support.scripted_openrouter import RecordedRequest

MODEL = "liquid/lfm-2.5-2.6b:free"


def ask(messages, *, key="test-key", **body):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    text = json.dumps({"model": MODEL, "messages": messages, **body})
    return openrouter_like(RecordedRequest("POST", "/chat/completions", headers, text.encode(), 1))


def answer(messages, **body):
    reply = ask(messages, **body)
    assert reply.status == 200
    return json.loads(reply.body)


def message_of(body):
    return body["choices"][0]["message"]


def refusal(messages, **body):
    reply = ask(messages, **body)
    return reply.status, json.loads(reply.body)["error"]["message"]


def function(name, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


MAGIC = function("magic_function", input={"type": "integer", "exclusiveMinimum": -1000, "exclusiveMaximum": 1000})
WEATHER = function("get_weather", location={"type": "string"})
NO_ARGUMENTS = function("magic_function_no_args")


def calls_of(body):
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message_of(body).get("tool_calls", [])
    ]


def test_the_same_prompt_is_always_answered_the_same():
    assert ask("Hello") == ask("Hello")
    assert answer("Hello")["id"] != answer("Hey")["id"]


def test_it_reasons_and_counts_what_it_says():
    body = answer("Hello")
    assert message_of(body)["content"] == "Thank you for your message: Hello"
    assert message_of(body)["reasoning"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    assert usage["cost"] == 0


def test_a_paid_model_costs():
    body = answer("Hello", model="liquid/lfm-3-1.7b")
    usage = body["usage"]
    assert usage["cost"] == pytest.approx(usage["prompt_tokens"] * 8e-8 + usage["completion_tokens"] * 2e-7)


def test_hidden_reasoning_is_counted_and_not_shown():
    body = answer("Hello", reasoning={"exclude": True})
    assert message_of(body)["reasoning"] is None
    assert body["usage"] == answer("Hello")["usage"]


def streamed(reply):
    lines = [line[6:] for line in reply.body.decode().split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def test_a_stream_says_what_the_whole_answer_says():
    whole, *events = answer("Hello"), *streamed(ask("Hello", stream=True))
    deltas = [event["choices"][0]["delta"] for event in events]
    assert len(events) > 10
    assert "".join(delta["content"] for delta in deltas) == message_of(whole)["content"]
    assert "".join(delta.get("reasoning") or "" for delta in deltas) == message_of(whole)["reasoning"]
    assert events[-1]["usage"]["total_tokens"] == whole["usage"]["total_tokens"]


def test_stop_ends_the_text_before_the_first_sequence():
    body = answer("hi", stop=["never", "you"])
    assert (message_of(body)["content"], body["choices"][0]["finish_reason"]) == ("Thank ", "stop")
    assert message_of(answer("hi", stop=" you"))["content"] == "Thank"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_reasoning_uses_up_the_limit_before_the_text(name):
    usage = answer("Hello")["usage"]
    reasoning, total = usage["completion_tokens_details"]["reasoning_tokens"], usage["completion_tokens"]
    for limit, content_left in [(total, True), (total - 1, True), (reasoning, False), (1, False)]:
        body = answer("Hello", **{name: limit})
        assert body["usage"]["completion_tokens"] == limit
        assert body["choices"][0]["finish_reason"] == ("stop" if limit == total else "length")
        assert bool(message_of(body)["content"]) is content_left


@pytest.mark.parametrize(
    ("prompt", "tools", "called"),
    [
        ("What is the value of magic_function(3)?", [WEATHER, MAGIC], [("magic_function", {"input": 3})]),
        ("What is magic_function_no_args()?", [MAGIC, NO_ARGUMENTS], [("magic_function_no_args", {})]),
        ("What is the weather in San Francisco, CA?", [WEATHER], [("get_weather", {"location": "San Francisco, CA"})]),
        (
            "get_weather for 'Zürich' and magic_function(-4)",
            [WEATHER, MAGIC],
            [("get_weather", {"location": "Zürich"}), ("magic_function", {"input": -4})],
        ),
        ("Hello!", [WEATHER, MAGIC], []),
    ],
)
def test_it_calls_the_tools_that_the_prompt_is_about(prompt, tools, called):
    body = answer(prompt, tools=tools)
    assert calls_of(body) == called
    assert body["choices"][0]["finish_reason"] == ("tool_calls" if called else "stop")


def test_a_tool_call_can_be_demanded_chosen_and_forbidden():
    tools = [WEATHER, MAGIC]
    chosen = {"type": "function", "function": {"name": "magic_function"}}
    assert calls_of(answer("Hello!", tools=tools, tool_choice="required")) == [
        ("get_weather", {"location": "the location"})
    ]
    assert calls_of(answer("Hello!", tools=tools, tool_choice=chosen)) == [("magic_function", {"input": 1})]
    assert calls_of(answer("get_weather", tools=tools, tool_choice="none")) == []
    assert len(calls_of(answer("get_weather magic_function", tools=tools, parallel_tool_calls=False))) == 1


def test_streamed_tool_calls_join_to_the_same_call():
    prompt = "Create a customer named '你好啊集团'"
    tools = [function("create_customer", customer_name={"type": "string"})]
    parts = [
        part
        for event in streamed(ask(prompt, tools=tools, stream=True))
        for part in event["choices"][0]["delta"].get("tool_calls", [])
    ]
    arguments = "".join(part["function"]["arguments"] for part in parts)
    assert json.loads(arguments) == {"customer_name": "你好啊集团"}
    assert "你好啊集团" in arguments
    assert len(parts) > 2


def conversation(**result):
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"location": "Bern"}'}}
    return [
        {"role": "user", "content": "What is the weather in Bern?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "Fog.", **result},
    ]


def test_after_a_tools_result_it_answers_with_it():
    body = answer(conversation(), tools=[WEATHER])
    assert message_of(body)["content"] == "The tool says: Fog."
    assert calls_of(body) == []


SCHEMAS = [
    {"type": "object", "properties": {"setup": {"type": "string"}}, "required": ["setup"]},
    {"type": "object", "properties": {"a": {"enum": ["red", "blue"]}, "b": {"const": 4}}, "required": ["a", "b"]},
    {
        "type": "object",
        "properties": {
            "who": {"$ref": "#/$defs/Person"},
            "all": {"type": "array", "items": {"$ref": "#/$defs/Person"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 18, "maximum": 20}]},
            "nothing": {"type": "null"},
            "yes": {"type": "boolean"},
            "either": {"type": ["null", "number"], "exclusiveMaximum": 0},
        },
        "required": ["who", "all", "maybe", "nothing", "yes", "either"],
        "$defs": {
            "Person": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 12, "maxLength": 14},
                    "age": {"type": "integer"},
                },
                "required": ["name"],
                "additionalProperties": False,
            }
        },
    },
    {"allOf": [{"type": "object"}, {"properties": {"day": {"type": "string", "format": "date"}}, "required": ["day"]}]},
    {"type": "array", "items": {"oneOf": [{"type": "integer"}]}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
@given(prompt=st.text(st.sampled_from(" .'\"abAB10-(){}\n")))
def test_structured_output_fits_its_schema(schema, prompt):
    jsonschema.validate(example_of(schema, PromptWords(prompt)), schema)
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    text = message_of(answer(prompt or "hi", response_format=wanted))["content"]
    jsonschema.validate(json.loads(text), schema)


def test_a_choice_with_null_takes_the_other():
    assert example_of({"anyOf": [{"type": "null"}, {"type": "integer"}]}, PromptWords("Ada is 36")) == 36


def test_json_mode_takes_the_keys_from_the_prompt_or_from_a_schema_in_it():
    quoted = answer("As JSON with 'setup' and 'punchline' keys.", response_format={"type": "json_object"})
    assert set(json.loads(message_of(quoted)["content"])) == {"setup", "punchline"}
    schema = {"properties": {"age": {"type": "integer"}}, "required": ["age"]}
    given_schema = answer(f"Follow {json.dumps(schema)}: Ada, 36", response_format={"type": "json_object"})
    assert isinstance(json.loads(message_of(given_schema)["content"])["age"], int)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"key": ""}, 401, "No cookie auth credentials found"),
        ({"model": "liquid/lfm-9"}, 400, "liquid/lfm-9 is not a valid model ID"),
        ({"model": "liquid/lfm-3b"}, 404, "No endpoints found for liquid/lfm-3b."),
        ({"messages": []}, 400, 'Input required: specify "prompt" or "messages"'),
        ({"reasoning": {"effort": "none"}}, 400, "Reasoning is mandatory for this endpoint and cannot be disabled."),
    ],
)
def test_it_refuses_what_openrouter_refuses(changes, status, message):
    assert refusal(**({"messages": "Hello"} | changes)) == (status, message)


def test_a_prompt_that_does_not_fit_is_refused():
    status, message = refusal("word " * 66_000)
    assert status == 400
    assert message.startswith("This endpoint's maximum context length is 65536 tokens. However, you requested about")


def test_the_next_model_serves_where_the_first_is_not_served():
    assert answer("Hello", model="liquid/lfm-3b", models=[MODEL])["model"] == MODEL


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([{"role": "human", "content": "Hello"}], "unknown role 'human'"),
        ([{"role": "user", "content": None}], "no content"),
        ([{"role": "user", "content": [{"type": "tool_use"}]}], "unknown content parts ['tool_use']"),
        (conversation(tool_call_id="b"), "`tool_call_id` answers no tool call"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}],
            "a tool call's arguments are no JSON object",
        ),
    ],
)
def test_messages_out_of_shape_are_refused(messages, wrong):
    assert refusal(messages) == (400, f"messages[{len(messages) - 1}]: {wrong}")


def test_a_choice_among_no_tools_is_refused():
    chosen = {"type": "function", "function": {"name": "other"}}
    assert refusal("Hello", tools=[WEATHER], tool_choice=chosen)[0] == 400
