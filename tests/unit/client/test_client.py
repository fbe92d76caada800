"""What both clients send, and what they make of the answer. Each test runs with `LFMClient` and `AsyncLFMClient`."""

from __future__ import annotations

import socket
import traceback
from decimal import Decimal

import pytest

from lfm_adapter import errors
from lfm_adapter._client.request import CompletionRequest
from lfm_adapter.testing import (
    Break,
    ScriptedOpenRouter,
    ScriptedReply,
    completion,
    error,
    stream,
    token_usage,
    tool_call,
)
from lfm_adapter.testing._reply import html
from lfm_adapter.testing._wire import GENERATION_ID, PADDING, midstream_error
from tests.support.both_clients import KEY, record_waits
from tests.support.scripted_model import openrouter_like

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
COMPRESSION = {"id": "context-compression"}
TOO_MUCH = (
    "This endpoint's maximum context length is 32768 tokens. However, you requested about {requested} tokens "
    "(of text input, and in the output). Please reduce the length of either one."
)
TOO_LONG = "word " * 33_000  # for the 32,768 tokens of LFM-3B


class TestChat:
    def test_chat_returns_the_reply(self, make, server):
        server.add(completion("Hello.", reasoning="Greet.", tool_calls=[tool_call("weather", {"city": "Bonn"})]))
        reply = make(server).chat([{"role": "user", "content": "Hi"}])
        assert (reply.text, reply.reasoning, reply.id) == ("Hello.", "Greet.", GENERATION_ID)
        assert [(tool.name, tool.arguments) for tool in reply.tool_calls] == [("weather", '{"city":"Bonn"}')]

    def test_string_is_a_message_of_the_user(self, make, server):
        server.add(completion())
        make(server).chat("Grüß Gott\u2028!")
        assert server.requests[0].body["messages"] == [{"role": "user", "content": "Grüß Gott\u2028!"}]

    def test_whitespace_that_keeps_a_connection_open_is_skipped(self, make, server):
        server.add(completion("Hello.", padding=PADDING * 100))
        assert make(server).chat("Hi").text == "Hello."

    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            (error(401, "User not found."), errors.AuthenticationError),
            (error(200, "Moderated", code=403), errors.PermissionDeniedError),
            (html(403), errors.PermissionDeniedError),
            (ScriptedReply(200, {"Content-Type": "application/json"}, [b"Hello"]), errors.ResponseError),
        ],
    )
    @pytest.mark.parametrize("streamed", [False, True])
    def test_chat_raises_the_error_of_the_server(self, make, server, failure, kind, streamed):
        server.add(failure)
        client = make(server, max_retries=0)
        with pytest.raises(kind) as caught:
            client.text() if streamed else client.chat("Hi")
        assert caught.value.model == "liquid/lfm-3b"

    def test_body_above_max_reply_bytes_is_refused(self, make, server):
        server.add(completion("word " * 1000))
        with pytest.raises(errors.ResponseError, match=r"larger than 2,000 bytes"):
            make(server).but(max_reply_bytes=2_000).chat("Hi")
        assert len(server.requests) == 1

    def test_body_within_max_reply_bytes_is_read(self, make, server):
        reply = completion("Hello.")
        server.add(reply)
        assert make(server).but(max_reply_bytes=len(reply.body)).chat("Hi").text == "Hello."

    def test_chat_refuses_to_stream(self, make, server):
        with pytest.raises(errors.ConfigurationError, match="Use the method `stream`"):
            make(server).chat("Hi", stream=True)
        assert server.requests == []


class TestLookups:
    def test_models_are_listed_without_a_key(self, make, server):
        models = make(server, api_key=None, as_openrouter=True).list_models()
        assert "liquid/lfm-3-1.7b" in [model["id"] for model in models]
        assert "authorization" not in server.requests[0].headers

    @pytest.mark.parametrize("model", ["liquid/lfm-3-1.7b:free", "lfm-3-1.7b:free"])
    def test_endpoints_are_those_of_the_model(self, make, server, model):
        client = make(server, api_key=None, as_openrouter=True)
        assert client.list_endpoints(model)["endpoints"][0]["provider_name"] == "Liquid"
        assert server.requests[0].path == "/models/liquid/lfm-3-1.7b:free/endpoints"

    def test_endpoints_of_an_unknown_model_are_not_found(self, make, server):
        with pytest.raises(errors.NotFoundError):
            make(server).list_endpoints("liquid/none")

    def test_key_is_described(self, make, server):
        assert "limit" in make(server).key_info()
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"

    def test_key_that_is_missing_is_refused_by_the_server(self, make, server):
        with pytest.raises(errors.AuthenticationError):
            make(server, api_key=None).key_info()


class TestBody:
    def sent(self, client, server, **parameters):
        server.add(completion())
        client.chat("Hi", **parameters)
        return server.requests[-1].body

    def test_body_has_the_given_fields_and_no_others(self, make, server):
        assert self.sent(make(server), server) == {
            "model": "liquid/lfm-3b",
            "messages": [{"role": "user", "content": "Hi"}],
        }

    def test_body_has_no_null_or_empty_field(self, make, server):
        body = self.sent(make(server), server, stop=None, tools=[], provider={}, max_tokens=None, temperature=0)
        assert body.keys() == {"model", "messages", "temperature"}

    def test_body_has_unknown_fields_of_the_caller(self, make, server):
        body = self.sent(make(server), server, top_p=0.5, brand_new={"a": [1]}, seed=7)
        assert (body["top_p"], body["brand_new"], body["seed"]) == (0.5, {"a": [1]}, 7)

    def test_max_completion_tokens_is_sent_as_max_tokens(self, make, server):
        body = self.sent(make(server), server, max_completion_tokens=100)
        assert body["max_tokens"] == 100
        assert "max_completion_tokens" not in body

    def test_max_tokens_wins_over_max_completion_tokens(self, make, server):
        assert self.sent(make(server), server, max_tokens=50, max_completion_tokens=100)["max_tokens"] == 50

    @pytest.mark.parametrize(("model", "sent"), [("lfm-3b", "liquid/lfm-3b"), ("gpt-oss", "gpt-oss"), ("a/b", "a/b")])
    def test_body_has_the_full_id_of_the_model(self, make, server, model, sent):
        assert self.sent(make(server, as_openrouter=True, model=model), server)["model"] == sent
        assert self.sent(make(server, as_openrouter=True), server, model=model)["model"] == sent

    def test_body_has_the_fields_of_extra_body(self, make, server):
        body = self.sent(make(server), server, seed=1, extra_body={"brand_new": {"a": [1]}, "seed": 7})
        assert (body["brand_new"], body["seed"]) == ({"a": [1]}, 7)
        assert "extra_body" not in body

    def test_extra_body_does_not_change_settings(self, make, server):
        assert self.sent(make(server), server, extra_body={"tool_calling": "x"})["tool_calling"] == "x"

    def test_same_call_has_the_same_body(self, make, server):
        client = make(server)
        for _ in range(2):
            self.sent(client, server, temperature=0.1, tools=[WEATHER], max_tokens=9, provider={"order": ["b", "a"]})
        assert server.requests[0].body == server.requests[1].body

    def test_body_requests_usage_of_a_stream_from_other_servers(self, make, server):
        server.add(stream())
        make(server).text()
        body = server.requests[0].body
        assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})

    def test_body_does_not_request_usage_from_openrouter(self, make, server):
        server.add(stream())
        make(server, as_openrouter=True).text()
        assert server.requests[0].body.keys() == {"model", "messages", "stream"}

    def test_body_does_not_request_usage_if_the_caller_declines(self, make, server):
        server.add(stream())
        make(server).text(stream_options=None)
        assert "stream_options" not in server.requests[0].body

    @pytest.mark.parametrize(
        "parameters",
        [
            {"temperature": float("nan")},
            {"metadata": {"a": object()}},
            {"max_tokens": 0},
            {"models": ["a/1", "a/2", "a/3", "a/4"]},
        ],
    )
    def test_body_that_cannot_be_encoded_is_refused_before_sending(self, make, server, parameters):
        client = make(server)
        with pytest.raises(errors.ConfigurationError):
            client.chat("Hi", **parameters)
        with pytest.raises(errors.ConfigurationError):
            client.stream("Hi", **parameters)
        assert server.requests == []

    def test_empty_list_of_messages_is_refused(self, make, server):
        with pytest.raises(errors.ConfigurationError, match="`messages` is empty"):
            make(server).chat([])

    @pytest.mark.parametrize(
        ("messages", "got"),
        [(3, "int"), (None, "NoneType"), ({"role": "user"}, "dict"), (["Hi"], "a list with str")],
    )
    def test_messages_of_another_type_are_refused(self, make, server, messages, got):
        with pytest.raises(errors.ConfigurationError, match=f"`messages` must be a string or a list.*got {got}"):
            make(server).chat(messages)
        assert server.requests == []

    @pytest.mark.parametrize("levels", [300, 700, 5_000])
    def test_message_that_is_too_deep_for_a_prompt_is_refused(self, make, server, levels):
        deep: list[object] = []
        for _ in range(levels):
            deep = [deep]
        tools = [{"type": "function", "function": {"name": "f"}}]
        with pytest.raises(
            errors.ConfigurationError, match=r"nested in more than 250 levels|cannot be encoded as JSON"
        ):
            make(server, tool_calling="prompted").chat([{"role": "user", "content": deep}], tools=tools)
        assert server.requests == []

    @pytest.mark.parametrize("content", [5, b"Hi", {"type": "text", "text": "Hi"}, True])
    def test_content_of_another_type_is_refused(self, make, server, content):
        with pytest.raises(
            errors.ConfigurationError, match="`content` of a message must be a string or a list of parts"
        ):
            make(server).chat([{"role": "user", "content": content}])
        assert server.requests == []

    @pytest.mark.parametrize("message", [{"rol": "user", "content": "Hi"}, {"role": None, "content": "Hi"}, {}])
    def test_message_without_a_role_is_refused(self, make, server, message):
        with pytest.raises(errors.ConfigurationError, match="A message has no `role`"):
            make(server).chat([{"role": "user", "content": "Hi"}, message])
        assert server.requests == []


class TestHeaders:
    def sent(self, client, server):
        server.add(completion())
        client.chat("Hi")
        return server.requests[-1].headers

    def test_headers_have_the_key_and_the_app(self, make, server):
        client = make(server, app_url="https://app.example", app_title="Grüße", app_categories=["cli-agent"])
        headers = self.sent(client, server)
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["http-referer"] == "https://app.example"
        assert headers["x-openrouter-title"].encode("latin-1").decode() == "Grüße"
        assert headers["x-openrouter-categories"] == "cli-agent"

    def test_headers_request_an_uncompressed_stream(self, make, server):
        server.add(stream())
        make(server).text()
        headers = server.requests[0].headers
        assert (headers["accept"], headers["accept-encoding"]) == ("text/event-stream", "identity")

    def test_headers_of_the_caller_win(self, make, server):
        headers = self.sent(make(server, default_headers={"user-agent": "mine/1", "X-Trace": "7"}), server)
        assert (headers["user-agent"], headers["x-trace"]) == ("mine/1", "7")

    def test_headers_without_a_key_have_no_authorization(self, make, server):
        assert "authorization" not in self.sent(make(server, api_key=None), server)

    def test_key_of_the_environment_is_not_sent_to_a_local_server(self, make, server, monkeypatch):
        monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
        assert "authorization" not in self.sent(make(server, api_key=None), server)

    def test_headers_have_the_key_that_the_function_returns_now(self, make, server):
        keys = iter(["sk-or-v1-first", "sk-or-v1-second"])
        client = make(server, api_key=lambda: next(keys))
        sent = [self.sent(client, server)["authorization"] for _ in range(2)]
        assert sent == ["Bearer sk-or-v1-first", "Bearer sk-or-v1-second"]


class TestKey:
    def test_missing_key_is_reported_before_any_request(self, make, server):
        client = make(server, api_key=None, as_openrouter=True)
        for ask in (lambda: client.chat("Hi"), client.text, client.key_info):
            with pytest.raises(errors.ConfigurationError, match="OPENROUTER_API_KEY"):
                ask()
        assert server.requests == []

    def test_key_is_sent_without_surrounding_whitespace(self, make, server):
        server.add(completion())
        make(server, api_key=f" {KEY}\r\n").chat("Hi")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize("key", [f"{KEY}\nX-Evil: 1", f"{KEY} {KEY}", f"{KEY}\N{ZERO WIDTH SPACE}", f"{KEY}\0"])
    def test_malformed_key_is_refused_and_not_shown(self, make, server, key):
        with pytest.raises(errors.ConfigurationError) as caught:
            make(server, api_key=key).chat("Hi")
        assert KEY not in str(caught.value)
        assert server.requests == []

    def test_key_does_not_go_unencrypted_to_a_public_host(self, make):
        with pytest.raises(errors.ConfigurationError, match="unencrypted"):
            make(base_url="http://api.example.com/v1").chat("Hi")

    @pytest.mark.parametrize("streamed", [False, True])
    def test_key_does_not_follow_a_redirect(self, make, server, streamed):
        with ScriptedOpenRouter(default=openrouter_like, path="/api/v1") as other:
            server.add(ScriptedReply(307, {"Location": f"{other.base_url}/chat/completions"}, [b""]))
            client = make(server)
            with pytest.raises(errors.ResponseError, match=r"redirects \(HTTP 307\).*`base_url`"):
                client.text() if streamed else client.chat("Hi")
            assert other.requests == []

    @pytest.mark.parametrize(
        "failure",
        [
            error(401, f"Incorrect API key provided: {KEY}."),
            error(502, "Provider returned error", metadata={"raw": f"Authorization: Bearer {KEY}"}),
            midstream_error([], 500, f"Bad key {KEY}"),
            completion().broken(1, Break.RESET),
            ScriptedReply(200, {"Content-Type": "text/plain"}, [b"Hello"]),
        ],
    )
    def test_key_is_neither_in_an_error_nor_in_a_log(self, make, server, caplog, monkeypatch, failure):
        record_waits(monkeypatch)
        caplog.set_level("DEBUG")
        client = make(server, max_retries=1)
        for ask in (lambda: client.chat("Hi"), client.text, client.list_models):
            server.add(failure, failure)
            server.add(failure, failure, path="/models")
            with pytest.raises(errors.APIError) as caught:
                ask()
            assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
        assert KEY not in caplog.text

    def test_key_of_an_unusual_form_is_masked_if_the_server_repeats_it(self, make, server):
        key = "my-own-gateway-key"
        server.add(error(401, f"Incorrect API key: {key}"))
        with pytest.raises(errors.AuthenticationError) as raised:
            make(server, api_key=key).chat("Hi")
        assert key not in "".join(traceback.format_exception(raised.value))

    def test_key_is_not_in_the_repr_of_a_request(self):
        from lfm_adapter import LFMClient

        settings = LFMClient(api_key=KEY, default_headers={"X-Secret": "hush-hush"})._settings
        request = CompletionRequest(
            settings, "lfm-3b", settings.card("lfm-3b"), [{"role": "user", "content": "my question"}], {}, stream=False
        ).http(1)
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert not any(secret in repr(request) for secret in (KEY, "hush-hush", "my question"))


class TestLimits:
    @pytest.mark.parametrize("streamed", [False, True])
    def test_prompt_that_cannot_fit_is_refused_before_sending(self, make, server, streamed):
        client = make(server)
        with pytest.raises(errors.ContextWindowExceededError) as caught:
            client.stream(TOO_LONG) if streamed else client.chat(TOO_LONG)
        assert (caught.value.context_length, caught.value.estimated_tokens) == (32_768, 33_000)
        assert server.requests == []

    def test_max_tokens_is_clamped_and_reported(self, make, server, caplog):
        caplog.set_level("INFO", "lfm_adapter")
        server.add(completion(), stream())
        client = make(server, model="liquid/lfm-2.5-2.6b:free")
        reply = client.chat("Hi", max_tokens=100_000)
        with client.stream("Hi", max_tokens=100_000) as deltas:
            list(deltas)
        assert [request.body["max_tokens"] for request in server.requests] == [8_192, 8_192]
        for fit in (reply.token_limits, deltas.reply.token_limits):
            assert (fit.max_tokens, fit.clamped_from) == (8_192, 100_000)
        assert "max_tokens 100000 does not fit" in caplog.text

    def test_max_tokens_that_fits_is_unchanged(self, make, server):
        server.add(completion())
        fit = make(server).chat("Hi", max_tokens=100).token_limits
        assert (fit.max_tokens, fit.clamped_from) == (100, None)

    @pytest.mark.parametrize("streamed", [False, True])
    def test_overflow_is_retried_with_the_tokens_that_are_left(self, make, server, streamed):
        too_much = error(400, TOO_MUCH.format(requested="42,768"))
        server.add(too_much, stream() if streamed else completion())
        client = make(server)
        if streamed:
            with client.stream("Hi", max_tokens=20_000) as deltas:
                list(deltas)
            reply = deltas.reply
        else:
            reply = client.chat("Hi", max_tokens=20_000)
        assert [request.body["max_tokens"] for request in server.requests] == [20_000, 10_000]
        assert (reply.token_limits.max_tokens, reply.token_limits.clamped_from) == (10_000, 20_000)

    @pytest.mark.parametrize(
        "refusal",
        [
            "input length and `max_tokens` exceed context limit: 22768 + 20000 > 32768",
            "`inputs` + `max_new_tokens` must be <= 32768. Given: 22768 `inputs` tokens and 20000 `max_new_tokens`",
            "It exceeds the model's maximum context length of 32768 tokens. You requested a total of 42768 tokens.",
            "'max_tokens' is too large: 20000. The maximum context length is 32768 and it has 22768 input tokens.",
            "You passed 22768 input tokens and requested 20000 output tokens, but the context length is only 32768.",
            "Please reduce the length of the messages or completion. Current length is 42768 while limit is 32768",
            "Your request exceeded model token limit: 32768 (requested: 42768)",
        ],
    )
    def test_tokens_left_are_read_from_the_words_of_each_server(self, make, server, refusal):
        server.add(error(400, refusal), completion())
        make(server).chat("Hi", max_tokens=20_000)
        assert [request.body["max_tokens"] for request in server.requests] == [20_000, 10_000]

    @pytest.mark.parametrize("requested", ["60,000", "20,000"])
    def test_overflow_that_a_shorter_answer_cannot_avoid_is_an_error(self, make, server, requested):
        server.add(error(400, TOO_MUCH.format(requested=requested)))
        with pytest.raises(errors.ContextWindowExceededError) as caught:
            make(server).chat("Hi", max_tokens=20_000)
        assert (caught.value.context_length, caught.value.requested_tokens) == (32_768, int(requested.replace(",", "")))
        assert len(server.requests) == 1

    def test_overflow_that_the_server_reports_is_retried_once_with_less(self, make, server):
        server.add(error(400, TOO_MUCH.format(requested="42768")), error(400, TOO_MUCH.format(requested="33000")))
        with pytest.raises(errors.ContextWindowExceededError):
            make(server).chat("Hi", max_tokens=20_000)
        assert len(server.requests) == 2

    def test_token_counter_replaces_the_estimate(self, make, server):
        counted = []

        def count(messages):
            counted.append(messages)
            return 32_000

        server.add(completion())
        fit = make(server, token_counter=count).chat("Hi", max_tokens=1_000).token_limits
        assert counted == [[{"role": "user", "content": "Hi"}]]
        assert (fit.estimated_tokens, fit.max_tokens) == (32_000, 768)
        with pytest.raises(errors.ContextWindowExceededError):
            make(server, token_counter=lambda _: 32_768).chat("Hi")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "parameters",
        [
            {"plugins": [{"id": "web"}, COMPRESSION]},
            {"plugins": [COMPRESSION | {"enabled": True}]},
            {"transforms": ["middle-out"]},
            {"models": ["liquid/lfm-3-1.7b"]},
            {"model": "somebody/unknown"},
        ],
    )
    def test_prompt_that_the_server_may_shorten_is_not_refused(self, make, server, parameters):
        server.add(completion())
        assert make(server).chat(TOO_LONG, **parameters).text == "Hello."

    @pytest.mark.parametrize(
        "parameters",
        [{"plugins": [COMPRESSION | {"enabled": False}]}, {"plugins": [{"id": "web"}]}, {"transforms": []}],
    )
    def test_prompt_that_the_server_will_not_shorten_is_refused(self, make, server, parameters):
        with pytest.raises(errors.ContextWindowExceededError):
            make(server).chat(TOO_LONG, **parameters)


class TestRetiredModel:
    @pytest.mark.parametrize(
        "refusal",
        [
            error(404, "No endpoints found for liquid/lfm-3b."),
            error(400, "liquid/lfm-3b is not a valid model ID"),
            error(200, "No endpoints found for liquid/lfm-3b.", code=404),
        ],
    )
    def test_retired_model_is_asked_and_the_error_names_its_successors(self, make, server, refusal):
        server.add(refusal)
        with pytest.raises(errors.ModelRetiredError, match=r'model="liquid/lfm-3-1\.7b"') as caught:
            make(server).chat("Hi")
        assert caught.value.successors[0] == "liquid/lfm-3-1.7b"
        assert server.requests[0].body["model"] == "liquid/lfm-3b"

    def test_successor_of_a_retired_model_is_named_in_the_reply(self, make, server):
        server.default = openrouter_like
        client = make(server, as_openrouter=True, model="lfm-3b", when_retired="successor")
        with pytest.warns(UserWarning, match=r"`liquid/lfm-3b` is retired .*; asking .* `liquid/lfm-3-1\.7b`"):
            assert client.chat("Hi").model == "liquid/lfm-3-1.7b"
        assert [request.body["model"] for request in server.requests] == ["liquid/lfm-3-1.7b"]

    def test_retired_model_warning_points_at_the_calling_line(self, make, server):
        with pytest.warns(UserWarning, match="retired") as warned:
            make(server, when_retired="successor").client.stream("Hi")
        assert warned[0].filename == __file__

    def test_limits_of_the_successor_apply_to_a_retired_model(self, make, server):
        server.add(completion())
        with pytest.warns(UserWarning, match="retired"):
            assert make(server, when_retired="successor").chat(TOO_LONG).text == "Hello."

    def test_model_that_is_served_is_not_replaced(self, make, server):
        server.add(completion())
        make(server, model="liquid/lfm-3-1.7b", when_retired="successor").chat("Hi")
        assert server.requests[0].body["model"] == "liquid/lfm-3-1.7b"


class TestCost:
    def test_cost_is_what_was_charged(self, make, server):
        server.add(completion(usage=token_usage(1000, 500, cost=0.1)))
        cost = make(server, as_openrouter=True).chat("Hi").cost
        assert (cost.total, cost.source) == (Decimal("0.1"), "openrouter")

    @pytest.mark.parametrize("streamed", [False, True])
    def test_cost_is_computed_if_the_reply_has_none(self, make, server, streamed):
        usage = token_usage(1000, 500, cost=None)
        server.add(stream(usage=usage) if streamed else completion(usage=usage))
        client = make(server, as_openrouter=True)
        if streamed:
            with client.stream("Hi") as deltas:
                list(deltas)
            cost = deltas.reply.cost
        else:
            cost = client.chat("Hi").cost
        assert (cost.total, cost.source) == (Decimal("0.00003"), "catalog")

    def test_cost_is_that_of_the_model_that_served(self, make, server):
        server.add(completion(model="liquid/lfm-3-1.7b", usage=token_usage(1000, 500, cost=None)))
        assert make(server, as_openrouter=True).chat("Hi").cost.total == Decimal("0.00018")

    def test_cost_of_an_unknown_model_is_unknown(self, make, server):
        server.add(completion(model="somebody/unknown", usage=token_usage(cost=None)))
        assert make(server, as_openrouter=True).chat("Hi").cost is None

    def test_cost_of_an_answer_without_usage_is_unknown(self, make, server):
        server.add(completion(usage=None))
        assert make(server, as_openrouter=True).chat("Hi").cost is None

    def test_cost_is_not_computed_for_a_local_server(self, make, server):
        server.add(completion(usage=token_usage(1000, 500, cost=None)))
        assert make(server).chat("Hi").cost is None

    def test_cost_that_a_local_server_reports_is_kept(self, make, server):
        server.add(completion(usage=token_usage(cost=0.1)))
        assert make(server).chat("Hi").cost.total == Decimal("0.1")


class TestProxy:
    def test_proxy_of_the_environment_is_used(self, make, server, monkeypatch):
        address = "http://lfm.internal/api/v1"
        monkeypatch.setenv("HTTP_PROXY", server.base_url.removesuffix("/api/v1"))
        server.add(completion("Through it."), path=f"{address}/chat/completions")
        assert make(base_url=address).chat("Hi").text == "Through it."

    def test_proxy_is_not_used_for_this_machine(self, make, server, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.add(completion("Without it."))
        assert make(server).chat("Hi").text == "Without it."
