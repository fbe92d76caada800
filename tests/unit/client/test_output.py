"""Output is validated the same way for every model: native, unknown, or prompted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.errors import ConfigurationError, OutputValidationError
from lfm_adapter.testing import completion, stream, tool_call
from tests.unit.client.test_exchange import BY_NAME, NATIVE, PROMPTED, RESPONSE_FORMAT, TIME, WEATHER, ask, called, says

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedReply as WireReply

OWN = "my-own-model"
CAT = '{"name": "Tom", "age": 3}'
MODELS = [NATIVE, OWN, PROMPTED, "liquid/lfm-3-1.7b"]


def schema(root: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "Answer", "schema": root}}


def calls(way: str, *made: dict[str, Any], text: str = "", **facts: Any) -> WireReply:
    if way == "plain":
        return completion(text or None, tool_calls=list(made), **facts)
    return stream([text] if text else [], tool_calls=list(made), **facts)


class TestJSON:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize(
        "written",
        [
            '{"name": "Tom", "age": 3,}',
            "{'name': 'Tom', 'age': 3}",
            'Here you are:\n```json\n{"name": "Tom", "age": 3}\n```\nAnything else?',
            '\n{"name": "Tom", "age": 3}\n',
        ],
        ids=["trailing comma", "single quotes", "prose", "line breaks"],
    )
    def test_loose_json_is_read_as_the_json_it_means(self, make, server, way, model, written):
        server.add(says(way, written))
        reply = ask(make(server, model=model), way, response_format=RESPONSE_FORMAT)
        assert (json.loads(reply.text), reply.output_retries) == ({"name": "Tom", "age": 3}, 0)

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_well_formed_json_is_unchanged(self, make, server, way, model):
        written = '{ "name":"T\\u00f6m",\n  "age" : 3e0 }'
        server.add(says(way, written))
        assert ask(make(server, model=model), way, response_format=RESPONSE_FORMAT).text == written

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
    def test_number_that_json_does_not_have_is_refused(self, make, server, way, model, number):
        server.add(says(way, f'{{"n": {number}}}'))
        with pytest.raises(OutputValidationError):
            ask(
                make(server, model=model, max_output_retries=0), way,
                response_format=schema({"type": "object", "properties": {"n": {"type": "number"}}}),
            )  # fmt: skip

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (schema({"type": 5}), r"5 is not of type string or list of strings \(at \$.json_schema.schema.type\)"),
            (schema({"properties": []}), r"\[\] is not of type object \(at \$.json_schema.schema.properties\)"),
            (schema({"properties": {"a": {"items": "string"}}}), r"\(at \$.json_schema.schema.properties.a.items\)"),
            (
                schema({"anyOf": [{"required": [1]}]}),
                r"1 is not of type string \(at \$.json_schema.schema.anyOf\[0\].required\[0\]\)",
            ),
            (schema("object"), r"'object' is not of type object or boolean \(at \$.json_schema.schema\)"),
            ({"type": "json_schema", "json_schema": {"name": 5, "schema": {}}}, r"5 is not a string \(at \$.*name\)"),
            ({"type": "json_schema", "json_schema": "Answer"}, r"'Answer' is not an object \(at \$.json_schema\)"),
        ],
    )
    def test_schema_with_a_wrong_type_is_refused_before_any_request(self, make, server, model, wrong, says):
        with pytest.raises(ConfigurationError, match=says):
            make(server, model=model).chat("Hi", response_format=wrong)
        assert not server.requests

    def test_schema_that_only_the_client_checks_must_follow_all_rules(self, make, server):
        with pytest.raises(ConfigurationError, match=r"not a valid JSON schema: 'text' .*\$.properties.a.type"):
            make(server, model=PROMPTED).chat("Hi", response_format=schema({"properties": {"a": {"type": "text"}}}))
        assert not server.requests

    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("wrong", [{1}, 10**5_000, object()], ids=["set", "huge", "object"])
    def test_schema_without_json_form_is_refused_before_any_request(self, make, server, model, wrong):
        with pytest.raises(ConfigurationError, match="cannot be encoded as JSON"):
            ask(make(server, model=model), "plain", response_format=schema({"default": wrong}))
        assert not server.requests

    @pytest.mark.parametrize("model", MODELS)
    def test_invalid_json_is_retried_with_the_reason(self, make, server, model):
        server.add(says("plain", '{"name": "Tom"}'), says("plain", CAT))
        reply = ask(make(server, model=model), "plain", response_format=RESPONSE_FORMAT)
        assert (reply.text, reply.output_retries) == (CAT, 1)
        *_, answer, reason = server.requests[1].body["messages"]
        assert answer == {"role": "assistant", "content": '{"name": "Tom"}'}
        assert "'age' is a required property" in reason["content"]

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_native_retry_keeps_the_response_format(self, make, server, model):
        server.add(says("plain", "What cat?"), says("plain", CAT))
        ask(make(server, model=model), "plain", response_format=RESPONSE_FORMAT)
        assert [request.body["response_format"] for request in server.requests] == [RESPONSE_FORMAT] * 2

    @pytest.mark.parametrize("model", MODELS)
    def test_json_still_invalid_raises_or_is_returned(self, make, server, way, model):
        server.add(*[says(way, "What cat?")] * 4)
        client = make(server, model=model)
        with pytest.raises(OutputValidationError, match=r"invalid after 2 attempts: the answer is not JSON") as caught:
            ask(client, way, response_format=RESPONSE_FORMAT)
        reply = ask(client, way, response_format=RESPONSE_FORMAT, on_invalid_output="return")
        assert caught.value.partial.text == reply.text == "What cat?"
        assert (reply.validation_error, reply.output_retries) == ("the answer is not JSON", 1)

    def test_error_names_what_the_server_may_not_support(self, make, server):
        server.add(says("plain", "What cat?"))
        with pytest.raises(OutputValidationError, match=r"is invalid: .*may not support `response_format`"):
            make(server, model=OWN, max_output_retries=0).chat("Hi", response_format=RESPONSE_FORMAT)

    @pytest.mark.parametrize("model", MODELS)
    def test_cut_off_json_is_not_retried(self, make, server, way, model):
        server.add(says(way, '{"name": "To', finish_reason="length"))
        reply = ask(make(server, model=model), way, response_format=RESPONSE_FORMAT)
        assert (reply.text, reply.validation_error) == ('{"name": "To', None)

    @pytest.mark.parametrize("action", ["raise", "return"])
    def test_valid_choice_does_not_hide_an_invalid_one(self, make, server, action):
        choices = [
            {"index": index, "message": {"content": text}, "finish_reason": "stop"}
            for index, text in enumerate(["What cat?", CAT])
        ]
        server.add(completion("", choices=choices))
        client = make(server, model=NATIVE, on_invalid_output=action)
        if action == "return":
            reply = client.chat("Hi", n=2, response_format=RESPONSE_FORMAT)
            reason = reply.validation_error
        else:
            with pytest.raises(OutputValidationError) as raised:
                client.chat("Hi", n=2, response_format=RESPONSE_FORMAT)
            reply, reason = raised.value.partial, raised.value.message
        assert [choice.text for choice in reply.choices] == ["What cat?", CAT]
        assert "in choice 0 of 2, " in reason

    @pytest.mark.parametrize(
        ("root", "written"),
        [
            ({"anyOf": [{"type": "array"}, {"type": "object"}]}, '[{"a": 1}]'),
            ({"anyOf": [{"type": "array"}, {"type": "object"}]}, '{"a": [1]}'),
            ({"type": "array"}, '[{"a": 1}]'),
            ({"type": "string"}, '"see {a: 1}"'),
            ({"type": "integer"}, "42"),
            ({}, "true"),
        ],
    )
    def test_json_of_any_type_is_unchanged(self, make, server, way, root, written):
        server.add(says(way, written))
        assert ask(make(server, model=OWN), way, response_format=schema(root)).text == written

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_json_is_read_beside_uncalled_tools(self, make, server, way, model):
        server.add(says(way, f"Sure: {CAT}"))
        fields = {"response_format": RESPONSE_FORMAT, "tools": [WEATHER]}
        assert ask(make(server, model=model), way, **fields).text == CAT

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_text_beside_native_call_is_kept(self, make, server, way, model):
        server.add(calls(way, tool_call("get_weather", {"city": "Oslo"}), text="Let me look."))
        reply = ask(make(server, model=model), way, response_format=RESPONSE_FORMAT, tools=[WEATHER])
        assert (reply.text, called(reply)) == ("Let me look.", [("get_weather", {"city": "Oslo"})])


class TestStreaming:
    def pieces(self, client, **parameters):
        with client.stream("Hi", response_format=RESPONSE_FORMAT, **parameters) as deltas:
            return [delta.text or delta.reasoning for delta in deltas if delta.reply is None]

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_native_json_is_streamed(self, make, server, model):
        server.add(stream(["{", '"name": "Tom"', ', "age"', ": 3}"], reasoning=["A cat."]))
        pieces = self.pieces(make(server, model=model))
        # A quote waits for the next key, which shows whether it ends the string.
        assert pieces == ["A cat.", '{"name": "Tom', '", "age": 3}']

    def test_native_json_is_streamed_beside_tools(self, make, server):
        server.add(stream(["{", '"name": "Tom"', ', "age"', ": 3}"]))
        assert len(self.pieces(make(server, model=NATIVE), tools=[WEATHER])) == 2

    @pytest.mark.parametrize("model", MODELS)
    def test_stream_is_retried_if_nothing_was_passed_on(self, make, server, model):
        server.add(says("streamed", "What cat?"), says("streamed", CAT))
        reply = ask(make(server, model=model), "streamed", response_format=RESPONSE_FORMAT)
        assert (reply.text, reply.output_retries) == (CAT, 1)

    @pytest.mark.parametrize("model", MODELS)
    def test_stream_is_not_retried_after_text(self, make, server, model):
        server.add(says("streamed", '{"name": "Tom"}'))
        with pytest.raises(OutputValidationError, match="'age' is a required property") as caught:
            ask(make(server, model=model), "streamed", response_format=RESPONSE_FORMAT)
        assert caught.value.partial.text == '{"name": "Tom"}'

    def test_native_stream_is_not_retried_after_reasoning(self, make, server):
        server.add(stream(["What cat?"], reasoning=["Hm."]))
        with pytest.raises(OutputValidationError, match="the answer is not JSON"):
            ask(make(server, model=NATIVE), "streamed", response_format=RESPONSE_FORMAT)


class TestNativeCalls:
    WRONG = tool_call("get_weather", {"town": "Oslo"})
    RIGHT = tool_call("get_weather", {"city": "Oslo"})

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_valid_native_arguments_are_unchanged(self, make, server, way, model):
        call = tool_call("get_weather", {})
        call["function"]["arguments"] = '{ "city":"T\\u00f6nsberg",\n"days": "2" }'
        server.add(calls(way, call))
        (made,) = ask(make(server, model=model), way, tools=[WEATHER]).tool_calls
        assert (made.arguments, made.error) == (call["function"]["arguments"], None)

    @pytest.mark.parametrize("recover_tool_calls", [True, False])
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            ('{"town": "Oslo"}', "'city' is a required property"),
            ('{"city": "Os', "the arguments are not valid JSON"),
            ('{"city": "Oslo", "wind": NaN}', "the arguments are not valid JSON"),
            ('["Oslo"]', "the arguments are not a JSON object"),
        ],
    )
    def test_invalid_native_arguments_set_error_of_call(self, make, server, arguments, problem, recover_tool_calls):
        call = tool_call("get_weather", {})
        call["function"]["arguments"] = arguments
        client = make(server, model=NATIVE, max_output_retries=0, recover_tool_calls=recover_tool_calls)
        for way in ("plain", "streamed"):
            server.add(calls(way, call))
            reply = ask(client, way, tools=[WEATHER])
            assert problem in reply.tool_calls[0].error
            assert (reply.tool_calls[0].arguments, reply.validation_error) == (arguments, None)

    @pytest.mark.parametrize("model", [NATIVE, OWN])
    def test_invalid_native_arguments_are_retried_natively(self, make, server, model):
        server.add(calls("plain", self.WRONG), calls("plain", self.RIGHT))
        reply = ask(make(server, model=model), "plain", tools=[WEATHER])
        assert (called(reply), reply.output_retries) == ([("get_weather", {"city": "Oslo"})], 1)
        assert server.requests[1].body["tools"] == [WEATHER]
        _, answer, reason = server.requests[1].body["messages"]
        assert answer == {"role": "assistant", "content": 'get_weather({"town":"Oslo"})'}
        assert "'city' is a required property" in reason["content"]

    def test_more_than_a_thousand_calls_are_invalid(self, make, server, way):
        written = ", ".join(['get_weather(city="Oslo")'] * 1_001)
        server.add(calls(way, *[self.RIGHT] * 1_001), says(way, f"<|tool_call_start|>[{written}]<|tool_call_end|>"))
        for model in (NATIVE, PROMPTED):
            with pytest.raises(OutputValidationError, match="more than 1,000 tools were called"):
                ask(make(server, model=model, max_output_retries=0), way, tools=[WEATHER])

    def test_one_valid_native_call_of_two_is_enough(self, make, server, way):
        server.add(calls(way, self.WRONG, self.RIGHT))
        made = ask(make(server, model=NATIVE), way, tools=[WEATHER]).tool_calls
        assert [call.error is None for call in made] == [False, True]

    def test_missing_required_call_of_native_model_is_retried_natively(self, make, server):
        server.add(says("plain", "I would rather not."), calls("plain", self.RIGHT))
        reply = ask(make(server, model=NATIVE), "plain", tools=[WEATHER], tool_choice="required")
        assert called(reply) == [("get_weather", {"city": "Oslo"})]
        assert server.requests[1].body["tool_choice"] == "required"
        assert "no tool was called" in server.requests[1].body["messages"][-1]["content"]

    def test_native_call_of_another_tool_than_named_raises(self, make, server, way):
        server.add(*[calls(way, tool_call("get_time", {}))] * 2)
        with pytest.raises(OutputValidationError, match="`get_time` was called, which is not one of the tools"):
            ask(make(server, model=NATIVE), way, tools=[WEATHER, TIME], tool_choice=BY_NAME)

    def test_native_call_of_unknown_tool_is_left_to_the_caller(self, make, server, way):
        server.add(calls(way, tool_call("search", {"q": "x"})))
        (call,) = ask(make(server, model=NATIVE), way, tools=[WEATHER]).tool_calls
        assert (call.name, call.error) == ("search", None)

    def test_two_native_calls_without_parallel_tool_calls_are_retried(self, make, server):
        server.add(calls("plain", self.RIGHT, self.RIGHT | {"id": "call_2"}), calls("plain", self.RIGHT))
        reply = ask(make(server, model=NATIVE), "plain", tools=[WEATHER], parallel_tool_calls=False)
        assert (len(reply.tool_calls), reply.output_retries) == (1, 1)

    def test_cut_off_native_call_is_not_validated(self, make, server, way):
        call = tool_call("get_weather", {})
        call["function"]["arguments"] = '{"city": "Os'
        server.add(calls(way, call, finish_reason="length"))
        assert ask(make(server, model=NATIVE), way, tools=[WEATHER]).tool_calls[0].error is None

    def test_server_tool_satisfies_required_choice(self, make, server, way):
        server.add(says(way, "It rains."))
        tools = [{"type": "openrouter:web_search"}, WEATHER]
        reply = ask(make(server, model=NATIVE), way, tools=tools, tool_choice="required")
        assert (reply.text, reply.validation_error) == ("It rains.", None)


class TestArgumentsAlone:
    FORCED = {"tools": [WEATHER, TIME], "tool_choice": BY_NAME}  # noqa: RUF012 - a constant

    @pytest.mark.parametrize(
        "written", ['{"city": "Oslo", "days": "2"}', "Sure:\n```json\n{'city': 'Oslo', 'days': 2,}\n```"]
    )
    def test_arguments_of_forced_tool_are_its_call(self, make, server, way, written):
        server.add(says(way, written))
        reply = ask(make(server, model=PROMPTED), way, **self.FORCED)
        assert (called(reply), reply.text) == ([("get_weather", {"city": "Oslo", "days": 2})], "")

    def test_arguments_without_a_forced_tool_are_text(self, make, server, way):
        server.add(says(way, '{"city": "Oslo"}'))
        reply = ask(make(server, model=PROMPTED), way, tools=[WEATHER])
        assert (reply.tool_calls, reply.text) == ([], '{"city": "Oslo"}')

    def test_arguments_that_do_not_fit_forced_tool_are_retried(self, make, server):
        server.add(says("plain", '{"town": "Oslo"}'), says("plain", '{"city": "Oslo"}'))
        reply = ask(make(server, model=PROMPTED), "plain", **self.FORCED)
        assert (called(reply), reply.output_retries) == ([("get_weather", {"city": "Oslo"})], 1)


class TestAmbiguousQuotes:
    def test_ambiguous_string_of_json_is_retried_with_the_reason(self, make, server):
        tags = schema({"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}})
        server.add(says("plain", '{"tags": ["paste -d "," "{x}" f", "y"]}'), says("plain", '{"tags": ["x"]}'))
        reply = ask(make(server, model=PROMPTED), "plain", response_format=tags)
        assert (json.loads(reply.text), reply.output_retries) == ({"tags": ["x"]}, 1)
        assert "unclear where the string ends" in server.requests[1].body["messages"][-1]["content"]
