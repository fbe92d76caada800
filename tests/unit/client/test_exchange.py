"""Tools and schemas on models that take them natively, and on models that know them from the prompt only."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter._client import exchange
from lfm_adapter._client.settings import Settings
from lfm_adapter.errors import ConfigurationError, NoEndpointsError, OutputValidationError, ServerError
from lfm_adapter.testing import chunk, completion, error, events, stream, token_usage, tool_call
from lfm_adapter.types import Delta

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedReply as WireReply
    from lfm_adapter.types import Reply
    from tests.support.both_clients import Client

PROMPTED = "liquid/lfm-3b"
NATIVE = "liquid/lfm-2.5-2.6b:free"
UNKNOWN = "liquid/lfm-3-1.7b"

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
TIME = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}},
}
BY_NAME = {"type": "function", "function": {"name": "get_weather"}}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
RESPONSE_FORMAT = {"type": "json_schema", "json_schema": {"name": "Cat", "schema": SCHEMA}}

OSLO = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
ROME = '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>'
LEAK = '<|tool_call_start|>[get_weather(city="Oslo", days=2)]<|tool_call_end|>'
BROKEN = '<tool_call>{"name": "get_weather", "arguments": {"town": "Oslo"}}</tool_call>'
NO_TOOL_ENDPOINT = error(404, 'No endpoints found that support tool use. Try disabling "get_weather".')


def says(way: str, text: str, **facts: Any) -> WireReply:
    if way == "plain":
        return completion(text, **facts)
    return stream([text[start : start + 3] for start in range(0, len(text), 3)], **facts)


def ask(client: Client, way: str, **parameters: Any) -> Reply:
    """The whole reply; of a stream, after its pieces were seen to add up to it."""
    if way == "plain":
        return client.chat("Hi", **parameters)
    with client.stream("Hi", **parameters) as deltas:
        received = list(deltas)
    reply = deltas.reply
    assert reply is not None
    assert "".join(delta.text for delta in received) == reply.text
    assert "".join(delta.reasoning for delta in received) == reply.reasoning
    calls: dict[int, list[Any]] = {}
    for delta in received:
        for piece in delta.tool_calls:
            call = calls.setdefault(piece.index, [piece.id, piece.name, ""])
            call[2] += piece.arguments
    assert [calls[index] for index in sorted(calls)] == [[c.id, c.name, c.arguments] for c in reply.tool_calls]
    return reply


def streamed(client: Client, question: str, **parameters: Any) -> Reply:
    with client.stream(question, **parameters) as deltas:
        list(deltas)
    assert deltas.reply is not None
    return deltas.reply


def called(reply: Reply) -> list[tuple[str | None, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]


def sent_text(server: Any, request: int = -1) -> str:
    return "\n".join(str(message["content"]) for message in server.requests[request].body["messages"])


class TestPromptedTools:
    def test_prompted_tools_are_in_the_prompt_and_not_in_the_request(self, make, server, way):
        server.add(says(way, "Hello."))
        ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="auto", parallel_tool_calls=True)
        body = server.requests[0].body
        assert not {"tools", "tool_choice", "parallel_tool_calls", "tool_calling"} & body.keys()
        assert [message["role"] for message in body["messages"]] == ["system", "user"]
        assert '"get_weather"' in sent_text(server)

    def test_calls_are_read_out_of_the_answer(self, make, server, way):
        server.add(says(way, f"Let me look.\n{OSLO}\n{ROME}"))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER])
        assert called(reply) == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})]
        assert len({call.id for call in reply.tool_calls}) == 2
        assert (reply.text, reply.finish_reason, reply.output_retries) == ("Let me look.", "tool_calls", 0)
        assert reply.choices[0].native_finish_reason == "stop"

    def test_answer_without_a_call_is_text(self, make, server, way):
        server.add(says(way, "It is <b>sunny</b> [1]."))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER])
        assert (reply.text, reply.tool_calls, reply.finish_reason) == ("It is <b>sunny</b> [1].", [], "stop")

    def test_arguments_are_checked_against_the_schema(self, make, server, way):
        loose = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo", "days": "3"}}</tool_call>'
        server.add(says(way, f'{loose}<tool_call>{{"name": "get_weather", "arguments": {{"days": 3}}}}</tool_call>'))
        good, bad = ask(make(server, model=PROMPTED), way, tools=[WEATHER]).tool_calls
        assert (json.loads(good.arguments), good.error) == ({"city": "Oslo", "days": 3}, None)
        assert "city" in bad.error

    def test_results_of_prompted_tools_are_sent_as_text(self, make, server, way):
        server.add(says(way, "Rain."))
        history = [
            {"role": "user", "content": "Weather in Oslo?"},
            {"role": "assistant", "content": None, "tool_calls": [tool_call("get_weather", {"city": "Oslo"})]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain </tool_response> <tool_call>{}"},
        ]
        client = make(server, model=PROMPTED)
        client.chat(history) if way == "plain" else list(client.stream(history))
        messages = server.requests[0].body["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert all("tool_calls" not in message for message in messages)
        assert "Oslo" in messages[1]["content"]
        assert "<tool_call>" not in messages[2]["content"]

    def test_prompt_has_no_tools_with_tool_choice_none(self, make, server, way):
        server.add(says(way, OSLO))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="none")
        assert (reply.text, reply.tool_calls) == (OSLO, [])
        assert "get_weather" not in sent_text(server)

    def test_prompt_has_only_the_tool_that_tool_choice_names(self, make, server, way):
        server.add(says(way, OSLO))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER, TIME], tool_choice=BY_NAME)
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert "get_time" not in sent_text(server)

    def test_tools_that_openrouter_runs_are_sent_natively(self, make, server, way):
        server.add(says(way, "Hello."))
        search = {"type": "openrouter:web_search"}
        ask(make(server, model=PROMPTED), way, tools=[search, WEATHER])
        assert server.requests[0].body["tools"] == [search]

    def test_tool_calling_prompted_works_on_any_model(self, make, server, way):
        server.add(says(way, LEAK))
        reply = ask(make(server, model=NATIVE, tool_calling="prompted"), way, tools=[WEATHER])
        assert called(reply) == [("get_weather", {"city": "Oslo", "days": 2})]
        assert "tools" not in server.requests[0].body

    @pytest.mark.parametrize("choice", ["sometimes", 3, {"name": "get_weather"}, {"type": "function", "function": {}}])
    def test_choice_that_cannot_be_meant_is_refused(self, make, server, way, choice):
        with pytest.raises(ConfigurationError, match="tool_choice"):
            ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice=choice)
        assert not server.requests

    def test_choice_of_an_unknown_tool_is_refused(self, make, server, way):
        with pytest.raises(ConfigurationError, match="get_weather"):
            ask(make(server, model=PROMPTED), way, tools=[TIME], tool_choice=BY_NAME)


class TestRepair:
    def test_missing_required_call_is_retried(self, make, server, way):
        server.add(says(way, "I would rather not."), says(way, f"Well.\n{OSLO}"))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert (reply.text, reply.output_retries) == ("Well.", 1)
        roles = [message["role"] for message in server.requests[1].body["messages"]]
        assert roles == ["system", "user", "assistant", "user"]
        assert "I would rather not." in sent_text(server)

    def test_retry_names_the_unknown_tool(self, make, server, way):
        server.add(says(way, '<tool_call>{"name": "get_news", "arguments": {}}</tool_call>'), says(way, OSLO))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert "`get_news` was called, which is not one of the tools" in sent_text(server)

    def test_two_calls_without_parallel_tool_calls_are_retried(self, make, server, way):
        server.add(says(way, f"{OSLO}\n{ROME}"), says(way, ROME))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], parallel_tool_calls=False)
        assert called(reply) == [("get_weather", {"city": "Rome"})]
        assert reply.output_retries == 1

    def test_invalid_arguments_of_a_required_call_are_retried(self, make, server, way):
        broken = '<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>'
        server.add(*[says("plain", broken)] * (way == "plain"), says(way, OSLO))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice=BY_NAME)
        assert called(reply) == [("get_weather", {"city": "Oslo"})]

    def test_invalid_arguments_of_an_optional_call_are_retried(self, make, server):
        server.add(says("plain", BROKEN), says("plain", OSLO))
        reply = ask(make(server, model=PROMPTED), "plain", tools=[WEATHER])
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert reply.output_retries == 1

    def test_optional_call_that_stays_invalid_is_returned(self, make, server, way):
        server.add(says(way, BROKEN), says(way, BROKEN))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER])
        (call,) = reply.tool_calls
        assert (json.loads(call.arguments), reply.validation_error) == ({"town": "Oslo"}, None)
        assert "'city' is a required property" in call.error

    def test_one_valid_call_among_invalid_ones_needs_no_correction(self, make, server, way):
        server.add(says(way, f"{BROKEN}\n{OSLO}"))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert [call.error is None for call in reply.tool_calls] == [False, True]

    def test_correction_that_exceeds_the_context_is_not_sent(self, make, server, way):
        server.add(says(way, "No. " * 16_000))
        question = "word " * 30_000
        client = make(
            server, model=PROMPTED, on_invalid_output="return", token_counter=lambda wire: len(str(wire)) // 5
        )
        fields = {"tools": [WEATHER], "tool_choice": "required"}
        reply = client.chat(question, **fields) if way == "plain" else streamed(client, question, **fields)
        assert (reply.validation_error, len(server.requests)) == ("no tool was called", 1)

    def test_usage_and_cost_include_the_retry(self, make, server, way):
        first, second = token_usage(10, 5, cost=0.25), token_usage(20, 7, cost=0.5, reasoning_tokens=3)
        server.add(says(way, "No.", usage=first), says(way, OSLO, usage=second))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert reply.usage["prompt_tokens"] == 30
        assert reply.usage["completion_tokens"] == 12
        assert reply.usage["completion_tokens_details"]["reasoning_tokens"] == 3
        assert reply.usage["is_byok"] is False
        assert (reply.cost.total, reply.cost.source) == (Decimal("0.75"), "openrouter")
        assert reply.usage["cost"] == 0.75

    @pytest.mark.parametrize("costs", [(0.1, 0.2), (0.1, None), (None, 0.2)])
    def test_cost_in_usage_is_the_cost_of_all_answers(self, make, server, way, costs):
        first, second = (
            {"prompt_tokens": 1_000, "completion_tokens": 500, **({} if cost is None else {"cost": cost})}
            for cost in costs
        )
        server.add(says(way, "No.", usage=first), says(way, OSLO, usage=second))
        reply = ask(make(server, model=PROMPTED, as_openrouter=True), way, tools=[WEATHER], tool_choice="required")
        assert reply.usage["cost"] == float(reply.cost.total)
        assert reply.cost.total == sum(Decimal(str(cost or 0.00003)) for cost in costs)

    def test_usage_is_unknown_if_one_answer_has_none(self, make, server, way):
        server.add(says(way, "No.", usage=token_usage(10, 5)), says(way, OSLO, usage=None))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert (reply.usage, reply.cost, reply.output_retries) == (None, None, 1)

    @pytest.mark.parametrize(("max_output_retries", "requests"), [(0, 1), (1, 2), (3, 4)])
    def test_answer_that_stays_invalid_is_in_the_error(self, make, server, way, max_output_retries, requests):
        server.add(*[says(way, f"No {number}.") for number in range(requests)])
        client = make(server, model=PROMPTED, max_output_retries=max_output_retries)
        with pytest.raises(OutputValidationError, match="no tool was called") as caught:
            ask(client, way, tools=[WEATHER], tool_choice="required")
        assert caught.value.partial.text == f"No {requests - 1}."
        assert caught.value.partial.usage["prompt_tokens"] == 9 * requests
        assert (caught.value.model, caught.value.provider, caught.value.is_retryable) == (PROMPTED, "Liquid", False)
        assert len(server.requests) == requests

    def test_answer_that_stays_invalid_can_be_returned(self, make, server, way):
        server.add(says(way, "No."))
        client = make(server, model=PROMPTED)
        reply = ask(
            client, way, tools=[WEATHER], tool_choice="required", max_output_retries=0, on_invalid_output="return"
        )
        assert (reply.text, reply.validation_error) == ("No.", "no tool was called")

    def test_failure_keeps_what_came_before(self, make, server, way):
        server.add(says(way, "No."), error(500, "down"))
        with pytest.raises(ServerError) as caught:
            ask(make(server, model=PROMPTED, max_retries=0), way, tools=[WEATHER], tool_choice="required")
        assert caught.value.partial.text == "No."

    def test_failure_after_content_has_the_cost_of_both_turns(self, make, server):
        failed = events(chunk({"content": "Hel"}, usage=token_usage(20, 7, cost=0.2)), {"error": {"code": 502}})
        server.add(says("streamed", "No.", usage=token_usage(10, 5, cost=0.1)), failed)
        with pytest.raises(ServerError) as caught:
            ask(make(server, model=PROMPTED), "streamed", tools=[WEATHER], tool_choice="required")
        partial = caught.value.partial
        assert (partial.text, partial.output_retries, partial.usage["prompt_tokens"]) == ("Hel", 1, 30)
        assert (partial.cost.total, partial.usage["cost"]) == (Decimal("0.3"), 0.3)

    def test_answer_that_was_cut_off_is_not_corrected(self, make, server, way):
        server.add(says(way, "I th", finish_reason="length"))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER], tool_choice="required")
        assert (reply.text, reply.finish_reason) == ("I th", "length")

    def test_text_streams_as_it_comes_if_no_call_is_required(self, make, server):
        server.add(says("streamed", "It is sunny in Oslo today."))
        with make(server, model=PROMPTED).stream("Hi", tools=[WEATHER]) as deltas:
            pieces = [delta.text for delta in deltas if delta.text]
        assert len(pieces) > 4


DRAFT = f"<think>{ROME} Or rather not. {LEAK}</think>"


NOTHING = [None, "", "null", "{}", '"{}"', '""', {}]


@pytest.mark.parametrize("sent", [*NOTHING, '{"zone": "CET"}', json.dumps('{"zone": "CET"}')])
def test_arguments_mean_the_same_natively_and_as_text(make, server, way, sent):
    native = [tool_call("get_time", sent)]
    server.add(completion(None, tool_calls=native) if way == "plain" else stream([], tool_calls=native))
    server.add(says(way, f"<tool_call>{json.dumps({'name': 'get_time', 'arguments': sent})}</tool_call>"))
    meant = {} if sent in NOTHING else {"zone": "CET"}
    for model in (NATIVE, PROMPTED):
        reply = ask(make(server, model=model), way, tools=[TIME])
        assert called(reply) == [("get_time", meant)]
        assert reply.tool_calls[0].error is None


@pytest.mark.parametrize("model", [PROMPTED, NATIVE])
class TestReasoningInText:
    @pytest.mark.parametrize("draft", [DRAFT, "\n<think>Never closes. " + ROME])
    def test_call_in_reasoning_does_not_count(self, make, server, way, model, draft):
        server.add(says(way, draft))
        reply = ask(make(server, model=model), way, tools=[WEATHER])
        assert (called(reply), reply.text) == ([], "")
        assert "get_weather" in reply.reasoning

    def test_only_the_call_after_reasoning_counts(self, make, server, way, model):
        server.add(says(way, f"{DRAFT}\n{LEAK}"))
        reply = ask(make(server, model=model), way, tools=[WEATHER])
        assert called(reply) == [("get_weather", {"city": "Oslo", "days": 2})]
        assert reply.reasoning == DRAFT.removeprefix("<think>").removesuffix("</think>")

    def test_json_in_reasoning_is_not_the_answer(self, make, server, way, model):
        server.add(says(way, '<think>{"name": "X", "age": 1}? No.</think>{"name": "Tom", "age": 3}'))
        reply = ask(make(server, model=model), way, response_format=RESPONSE_FORMAT)
        assert json.loads(reply.text) == {"name": "Tom", "age": 3}

    def test_call_after_the_first_text_in_reasoning_does_not_count(self, make, server, way, model):
        server.add(says(way, f"Let me see.\n{DRAFT}\nI will not."))
        reply = ask(make(server, model=model), way, tools=[WEATHER])
        assert (called(reply), reply.text) == ([], "Let me see.\nI will not.")

    def test_call_before_a_lone_closing_tag_does_not_count(self, make, server, way, model):
        server.add(says(way, f"Maybe {LEAK}? No, dangerous.\n</think>\nI will not."))
        reply = ask(make(server, model=model), way, tools=[WEATHER])
        assert called(reply) == []
        assert reply.text == ("I will not." if way == "plain" else "Maybe ? No, dangerous.\nI will not.")
        assert LEAK in reply.reasoning

    def test_only_the_call_after_a_lone_closing_tag_counts(self, make, server, way, model):
        server.add(says(way, f"{ROME}? Rather Oslo.</think>{LEAK}"))
        reply = ask(make(server, model=model), way, tools=[WEATHER], tool_choice="required")
        assert called(reply) == [("get_weather", {"city": "Oslo", "days": 2})]

    def test_call_before_a_closing_tag_that_ends_the_answer_counts(self, make, server, way, model):
        server.add(says(way, f"{LEAK}</think>\n"))
        assert called(ask(make(server, model=model), way, tools=[WEATHER])) == [
            ("get_weather", {"city": "Oslo", "days": 2})
        ]

    def test_prose_before_a_lone_closing_tag_is_no_part_of_the_json(self, make, server, way, model):
        server.add(says(way, 'The name is Tom, 3.</think>{"name": "Tom", "age": 3}'))
        reply = ask(make(server, model=model), way, response_format=RESPONSE_FORMAT)
        assert json.loads(reply.text) == {"name": "Tom", "age": 3}

    def test_json_before_a_lone_closing_tag_is_not_taken_for_the_answer(self, make, server, way, model):
        server.add(says(way, '{"name": "X", "age": 1}? No.</think>{"name": "Tom", "age": 3}'))
        client = make(server, model=model, max_output_retries=0)
        if way == "plain":
            assert json.loads(ask(client, way, response_format=RESPONSE_FORMAT).text) == {"name": "Tom", "age": 3}
        else:  # it has been passed on
            with pytest.raises(OutputValidationError, match="</think>"):
                ask(client, way, response_format=RESPONSE_FORMAT)


class TestNativeTools:
    def test_tool_choice_any_is_sent_as_required(self, make, server, way):
        calls = [tool_call("get_weather", {"city": "Oslo"})]
        server.add(completion(None, tool_calls=calls) if way == "plain" else stream([], tool_calls=calls))
        ask(make(server, model=NATIVE, as_openrouter=True), way, tools=[WEATHER], tool_choice="any")
        assert server.requests[0].body["tool_choice"] == "required"

    def test_native_tools_are_sent_unchanged(self, make, server, way):
        calls = [tool_call("get_weather", {"city": "Oslo"})]
        server.add(completion(None, tool_calls=calls) if way == "plain" else stream([], tool_calls=calls))
        reply = ask(make(server, model=NATIVE, as_openrouter=True), way, tools=[WEATHER, TIME], tool_choice=BY_NAME)
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        body = server.requests[0].body
        assert (body["tools"], body["tool_choice"]) == ([WEATHER, TIME], BY_NAME)
        assert [message["role"] for message in body["messages"]] == ["user"]

    def test_named_choice_is_one_tool_and_required_on_servers_that_take_it_for_auto(self, make, server, way):
        calls = [tool_call("get_weather", {"city": "Oslo"})]
        server.add(completion(None, tool_calls=calls) if way == "plain" else stream([], tool_calls=calls))
        ask(make(server, model=NATIVE), way, tools=[WEATHER, TIME], tool_choice=BY_NAME)
        body = server.requests[0].body
        assert (body["tools"], body["tool_choice"]) == ([WEATHER], "required")

    @pytest.mark.parametrize("recover_tool_calls", [True, False])
    def test_tools_are_prompted_if_a_required_call_does_not_come(self, make, server, way, recover_tool_calls):
        server.add(says(way, "I have no tools."), says(way, OSLO))
        client = make(server, model="local", recover_tool_calls=recover_tool_calls)
        reply = ask(client, way, tools=[WEATHER, TIME], tool_choice="required")
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert (reply.text, reply.output_retries, reply.usage["prompt_tokens"]) == ("", 1, 18)
        assert ["tools" in request.body for request in server.requests] == [True, False]

    def test_required_call_that_comes_is_returned_unchanged(self, make, server, way):
        calls = [tool_call("get_weather", {"city": "Oslo"})]
        server.add(completion("So.", tool_calls=calls) if way == "plain" else stream(["So."], tool_calls=calls))
        reply = ask(make(server, model="local"), way, tools=[WEATHER], tool_choice="required")
        assert (called(reply), reply.text, reply.output_retries) == ([("get_weather", {"city": "Oslo"})], "So.", 0)

    def test_required_call_that_does_not_come_is_an_error_with_native_tools(self, make, server, way):
        server.add(*[says(way, "I have no tools.")] * 2)
        client = make(server, model="local", tool_calling="native")
        with pytest.raises(
            OutputValidationError, match=r'2 attempts: no tool was called\..*tool_calling="prompted"'
        ) as caught:
            ask(client, way, tools=[WEATHER], tool_choice="required")
        assert caught.value.partial.text == "I have no tools."

    def test_calls_that_leaked_into_the_text_are_recovered(self, make, server, way):
        server.add(says(way, f"Sure.\n{LEAK}"))
        reply = ask(make(server, model=NATIVE), way, tools=[WEATHER])
        assert called(reply) == [("get_weather", {"city": "Oslo", "days": 2})]
        assert (reply.text, reply.finish_reason) == ("Sure.", "tool_calls")

    def test_leaked_calls_come_before_native_ones(self, make, server, way):
        native = [tool_call("get_time", {"zone": "CET"})]
        server.add(says(way, LEAK, tool_calls=native))
        reply = ask(make(server, model=NATIVE), way, tools=[WEATHER, TIME])
        assert [(call.index, call.name) for call in reply.tool_calls] == [(0, "get_weather"), (1, "get_time")]

    def test_calls_are_numbered_in_the_order_in_which_a_stream_brings_them(self, make, server):
        server.add(
            events(
                chunk({"tool_calls": [{"index": 0, **tool_call("get_time", {"zone": "CET"})}]}, model=NATIVE),
                chunk({"content": LEAK}, model=NATIVE),
                chunk({"content": ""}, model=NATIVE, finish_reason="stop", usage=token_usage()),
            )
        )
        reply = ask(make(server, model=NATIVE), "streamed", tools=[WEATHER, TIME])
        assert [call.name for call in reply.tool_calls] == ["get_time", "get_weather"]

    @pytest.mark.parametrize(
        "parameters",
        [
            {"tools": [WEATHER], "recover_tool_calls": False},
            {"tools": [WEATHER], "tool_choice": "none"},
            {
                "tools": [WEATHER, TIME],
                "tool_choice": {"type": "function", "function": {"name": "get_time"}},
                "max_output_retries": 0,
                "on_invalid_output": "return",
            },
            {"tools": [TIME]},
            {},
        ],
        ids=["turned off", "no call wanted", "another one wanted", "another tool", "no tools"],
    )
    def test_text_stays_text_where_no_call_can_be_meant(self, make, server, way, parameters):
        server.add(says(way, LEAK))
        reply = ask(make(server, model=NATIVE), way, **parameters)
        assert (reply.text, reply.tool_calls) == (LEAK, [])

    def test_tools_are_prompted_if_no_endpoint_supports_them(self, make, server, way):
        server.add(NO_TOOL_ENDPOINT, says(way, OSLO), says(way, ROME))
        client = make(server, model=UNKNOWN, as_openrouter=True)
        assert called(ask(client, way, tools=[WEATHER])) == [("get_weather", {"city": "Oslo"})]
        assert "tools" in server.requests[0].body
        assert "tools" not in server.requests[1].body
        ask(client, way, tools=[WEATHER])
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        "narrowing", [{"provider": {"only": ["together"]}}, {"models": [NATIVE]}, {"tool_choice": "required"}]
    )
    def test_refusal_that_the_request_may_have_caused_is_not_remembered(self, make, server, way, narrowing):
        server.add(NO_TOOL_ENDPOINT, says(way, OSLO), says(way, "Hello."))
        client = make(server, model=UNKNOWN, as_openrouter=True)
        ask(client, way, tools=[WEATHER], **narrowing)
        ask(client, way, tools=[WEATHER])
        assert "tools" in server.requests[2].body

    def test_refusal_is_forgotten_after_a_while(self, make, server, way, monkeypatch):
        server.add(NO_TOOL_ENDPOINT, says(way, OSLO), says(way, "Hello."))
        client = make(server, model=UNKNOWN, as_openrouter=True)
        ask(client, way, tools=[WEATHER])
        exchange.tool_support(client.settings.base_url, UNKNOWN).refused_at -= 600
        ask(client, way, tools=[WEATHER])
        assert "tools" in server.requests[2].body

    def test_tool_calling_native_fails_if_no_endpoint_supports_tools(self, make, server, way):
        server.add(NO_TOOL_ENDPOINT)
        with pytest.raises(NoEndpointsError, match="support tool use"):
            ask(make(server, model=UNKNOWN, tool_calling="native"), way, tools=[WEATHER])


class TestSchema:
    def test_schema_is_prompted_if_the_model_does_not_support_it(self, make, server, way):
        server.add(says(way, 'Here you are:\n```json\n{"name": "Tom", "age": 3}\n```\nBye.'))
        reply = ask(make(server, model=PROMPTED), way, response_format=RESPONSE_FORMAT)
        assert json.loads(reply.text) == {"name": "Tom", "age": 3}
        assert "response_format" not in server.requests[0].body
        assert '"age"' in sent_text(server)

    def test_schema_is_sent_natively_to_a_model_that_supports_it(self, make, server, way):
        server.add(says(way, '{"name": "Tom", "age": 3}'))
        ask(make(server, model=NATIVE), way, response_format=RESPONSE_FORMAT)
        body = server.requests[0].body
        assert body["response_format"] == RESPONSE_FORMAT
        assert [message["role"] for message in body["messages"]] == ["user"]

    def test_schema_is_sent_and_prompted_if_support_is_unknown(self, make, server, way):
        server.add(says(way, '```{"name": "Tom", "age": 3}```'))
        reply = ask(make(server, model=UNKNOWN, as_openrouter=True), way, response_format=RESPONSE_FORMAT)
        assert reply.text == '{"name": "Tom", "age": 3}'
        assert server.requests[0].body["response_format"] == RESPONSE_FORMAT
        assert '"age"' in sent_text(server)

    def test_json_mode_is_prompted_too(self, make, server, way):
        server.add(says(way, "Sure: {'a': True,}"))
        reply = ask(make(server, model=PROMPTED), way, response_format={"type": "json_object"})
        assert json.loads(reply.text) == {"a": True}

    def test_answer_that_breaks_the_schema_is_corrected_once(self, make, server):
        server.add(says("plain", '{"name": "Tom"}'), says("plain", '{"name": "Tom", "age": 3}'))
        reply = ask(make(server, model=PROMPTED), "plain", response_format=RESPONSE_FORMAT)
        assert json.loads(reply.text) == {"name": "Tom", "age": 3}
        assert reply.output_retries == 1
        assert "age" in server.requests[1].body["messages"][-1]["content"]

    def test_stream_that_has_shown_nothing_is_corrected(self, make, server):
        server.add(says("streamed", "What cat?"), says("streamed", '{"name": "Tom", "age": 3}'))
        reply = ask(make(server, model=PROMPTED), "streamed", response_format=RESPONSE_FORMAT)
        assert (json.loads(reply.text), reply.output_retries) == ({"name": "Tom", "age": 3}, 1)

    def test_answer_after_reasoning_is_corrected(self, make, server, way):
        thoughts = [("Which?", "What cat?"), ("Tom.", '{"name": "Tom", "age": 3}')]
        server.add(*(says(way, text, reasoning=thought if way == "plain" else [thought]) for thought, text in thoughts))
        reply = ask(make(server, model=PROMPTED), way, response_format=RESPONSE_FORMAT)
        assert (json.loads(reply.text), reply.reasoning) == ({"name": "Tom", "age": 3}, "Tom.")

    def test_error_of_an_answer_that_breaks_the_schema_has_its_text(self, make, server, way):
        server.add(says(way, "What cat?"))
        with pytest.raises(OutputValidationError) as caught:
            ask(make(server, model=PROMPTED, max_output_retries=0), way, response_format=RESPONSE_FORMAT)
        assert caught.value.partial.text == "What cat?"

    def test_answer_that_breaks_the_schema_can_be_returned(self, make, server, way):
        server.add(says(way, "What cat?"))
        client = make(server, model=PROMPTED, max_output_retries=0, on_invalid_output="return")
        reply = ask(client, way, response_format=RESPONSE_FORMAT)
        assert reply.text == "What cat?"
        assert reply.validation_error

    def test_cut_off_object_does_not_look_whole(self, make, server, way):
        server.add(says(way, '{"name": "Tom", "age": ', finish_reason="length"))
        reply = ask(make(server, model=PROMPTED), way, response_format=RESPONSE_FORMAT)
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(reply.text)

    @pytest.mark.parametrize("answer", [OSLO, 'Here: {"name": "Tom", "age": 3}'], ids=["call", "object"])
    def test_schema_beside_tools_leaves_the_choice_to_the_model(self, make, server, way, answer):
        server.add(says(way, answer))
        reply = ask(make(server, model=PROMPTED), way, response_format=RESPONSE_FORMAT, tools=[WEATHER])
        if answer == OSLO:
            assert called(reply) == [("get_weather", {"city": "Oslo"})]
        else:
            assert json.loads(reply.text) == {"name": "Tom", "age": 3}
        assert "in plain text" not in sent_text(server)
        assert "If you call no tool, answer with JSON alone" in sent_text(server)

    def test_schema_is_not_prompted_if_a_call_is_required(self, make, server, way):
        server.add(says(way, OSLO))
        fields = {"response_format": RESPONSE_FORMAT, "tools": [WEATHER], "tool_choice": "required"}
        assert called(ask(make(server, model=PROMPTED), way, **fields)) == [("get_weather", {"city": "Oslo"})]
        assert "JSON alone" not in sent_text(server)

    def test_schema_is_prompted_alone_with_tool_choice_none(self, make, server, way):
        server.add(says(way, '{"name": "Tom", "age": 3}'))
        fields = {"response_format": RESPONSE_FORMAT, "tools": [WEATHER], "tool_choice": "none"}
        ask(make(server, model=PROMPTED), way, **fields)
        assert "tool" not in sent_text(server)

    def test_value_is_coerced_to_the_type_of_the_schema(self, make, server, way):
        server.add(says(way, '{"name": "Tom", "age": "36"}'))
        reply = ask(make(server, model=PROMPTED), way, response_format=RESPONSE_FORMAT)
        assert (reply.text, reply.output_retries, reply.validation_error) == ('{"name": "Tom", "age": 36}', 0, None)

    @pytest.mark.parametrize("model", [PROMPTED, NATIVE])
    def test_value_is_unchanged_without_coerce_output(self, make, server, way, model):
        text = '{"name": "Tom", "age": "36"}'
        server.add(says(way, text))
        reply = ask(make(server, model=model, coerce_output=False), way, response_format=RESPONSE_FORMAT)
        assert (reply.text, reply.validation_error) == (text, None)


def test_buffered_text_is_read_once():
    class Empty(str):
        __slots__ = ()
        looks = 0

        def __bool__(self) -> bool:
            Empty.looks += 1
            return False

    asked = exchange.Exchange(Settings(api_key="k"), "Hi", PROMPTED, {"response_format": RESPONSE_FORMAT}, stream=True)
    for _ in range(1_000):
        assert not asked.on_delta(Delta(Empty(), reasoning="Hm. "))
    assert Empty.looks < 10_000
    assert len(asked.on_delta(Delta('{"name": "Tom", "age": 3}'))) == 1_001


def test_error_of_invalid_output_counts_the_attempts(make, server, way):
    server.add(*[says(way, "No.")] * 3)
    with pytest.raises(OutputValidationError, match=r"invalid after 3 attempts: no tool was called\."):
        ask(make(server, model="local", max_output_retries=2), way, tools=[WEATHER], tool_choice="required")
