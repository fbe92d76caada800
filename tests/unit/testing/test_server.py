from __future__ import annotations

import gc
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from operator import mul

import pytest
import urllib3

from lfm_adapter import ChatLFM, LFMClient, catalog, errors
from lfm_adapter.testing import (
    Break,
    ScriptedOpenRouter,
    completion,
    error,
    failure,
    failure_names,
    json_reply,
    key_info,
    stream,
    token_usage,
    tool_call,
)

HELLO = {"model": "liquid/lfm-3b", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def pool():
    with urllib3.PoolManager(retries=False, timeout=20, maxsize=4) as pool:
        yield pool


def post(pool, server, body=HELLO, *, preload_content=True, **headers):
    return pool.request(
        "POST",
        f"{server.base_url}/chat/completions",
        body=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
        preload_content=preload_content,
    )


def data_of(body):
    lines = [line for line in body.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def client(server, **settings):
    return LFMClient("liquid/lfm-3-1.7b", base_url=server.base_url, api_key="test-key", max_retries=0, **settings)


class TestReplies:
    def test_replies_come_in_the_order_they_were_added(self, server, pool):
        server.add(error(429, "Rate limit exceeded", headers={"Retry-After": "1"}), completion("Hi."))
        first, second = post(pool, server), post(pool, server)
        assert (first.status, first.headers["retry-after"]) == (429, "1")
        assert second.json()["choices"][0]["message"]["content"] == "Hi."
        assert server.unplayed == 0

    def test_default_replies_when_no_added_reply_is_left(self, server, pool):
        server.default = lambda request: completion(request.body["messages"][0]["content"])
        server.add(completion("queued"))
        texts = [post(pool, server).json()["choices"][0]["message"]["content"] for _ in range(2)]
        assert texts == ["queued", "Hello"]

    def test_replies_for_another_path_are_added_by_path(self, server, pool):
        server.add(json_reply({"data": []}), path="/models")
        assert pool.request("GET", server.base_url + "/models").json() == {"data": []}

    def test_replies_with_a_length_are_not_chunked(self, server, pool):
        server.add(json_reply("ab", headers={"Content-Length": "4"}))
        reply = post(pool, server)
        assert (reply.data, reply.headers.get("transfer-encoding")) == (b'"ab"', None)

    def test_stream_sends_each_event_when_it_is_due(self, server, pool):
        seen = threading.Event()
        server.add(stream(["one", "two"], comments=0).held(1, seen))
        reply = post(pool, server, preload_content=False)
        assert data_of(reply.read1())[0]["choices"][0]["delta"]["content"] == "one"
        seen.set()
        assert data_of(reply.read())[0]["choices"][0]["delta"]["content"] == "two"

    def test_pause_for_seconds(self, server, pool):
        server.add(completion().held(0, 0.05))
        start = time.monotonic()
        assert post(pool, server).status == 200
        assert time.monotonic() - start >= 0.05

    @pytest.mark.parametrize("how", [Break.CUT, Break.RESET])
    def test_replies_can_break_off(self, server, how):
        server.add(stream(["one", "two"], comments=0).broken(1, how))
        with pytest.raises(errors.StreamInterruptedError) as raised, client(server).stream("Hi") as deltas:
            assert [delta.text for delta in deltas] == ["one"]
        assert raised.value.partial.text == "one"

    def test_replies_can_fall_silent_until_the_client_hangs_up(self, server):
        server.add(completion().broken(0, Break.SILENCE))
        with pytest.raises(errors.APITimeoutError):
            client(server, timeout=0.1).chat("Hi")
        server.wait_for_requests(1)
        assert server.requests[0].abandoned.wait(60)


class TestRequests:
    def test_requests_are_kept_as_they_were_sent(self, server, pool):
        server.add(completion())
        post(pool, server, Authorization="Bearer test-key")
        (request,) = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/chat/completions", HELLO)
        assert request.headers["authorization"] == "Bearer test-key"
        assert "test-key" not in repr(request)

    def test_requests_of_one_connection_share_its_number(self, server, pool):
        server.add(completion(), stream(), error(502, "Bad gateway"), completion())
        for _ in range(4):
            post(pool, server)
        assert [request.connection for request in server.requests] == [1, 1, 1, 1]
        assert server.connections == 1

    def test_requests_are_answered_at_the_same_time(self, server):
        everyone_is_here = threading.Event()
        server.default = lambda _: completion().held(0, everyone_is_here)
        with ThreadPoolExecutor(20) as threads:
            asked = [threads.submit(client(server).chat, "Hi") for _ in range(20)]
            server.wait_for_requests(20)
            everyone_is_here.set()
            assert [one.result().text for one in asked] == ["Hello."] * 20

    def test_requests_without_a_reply_get_a_501_and_fail_the_check(self, server, pool):
        reply = post(pool, server)
        assert reply.status == 501
        assert "scripts no reply for POST /chat/completions" in reply.json()["error"]["message"]
        with pytest.raises(AssertionError, match=r'no reply for:\nPOST /chat/completions \{"model": "liquid/lfm-3b"'):
            server.check()

    def test_requests_that_the_default_cannot_answer_fail_the_test(self, pool):
        with (
            pytest.raises(KeyError, match="model"),
            ScriptedOpenRouter(default=lambda one: one.body["model"]) as server,
        ):
            assert post(pool, server, {}).json()["error"]["message"] == "The test's `default` raised KeyError('model')."

    def test_requests_that_do_not_come_fail_the_check(self, server):
        server.add(completion())
        with pytest.raises(AssertionError, match="1 scripted replies were not requested"):
            server.check()

    def test_requests_that_do_not_come_in_time_are_an_error(self, server):
        with pytest.raises(AssertionError, match="Only 0 of 1 requests arrived"):
            server.wait_for_requests(1, timeout=0.01)


def test_stopped_server_leaves_no_thread_and_no_open_socket(pool):
    before = set(threading.enumerate())
    with ScriptedOpenRouter(completion(), stream().held(2, threading.Event())) as server:
        post(pool, server)
        held = post(pool, server, preload_content=False)
    held.close()
    assert set(threading.enumerate()) <= before
    gc.collect()  # an open socket would warn here, and warnings are errors


def test_listings_come_from_the_catalogue():
    with ScriptedOpenRouter() as server:
        client = LFMClient(base_url=server.base_url, api_key="test-key")
        listed = {model["id"]: model for model in client.list_models()}
        assert set(listed) == {card.id for card in catalog.models() if card.status == "live" and card.kind == "chat"}
        endpoints = client.list_endpoints("liquid/lfm-3-1.7b")["endpoints"]
        assert endpoints[0]["pricing"]["completion"] == listed["liquid/lfm-3-1.7b"]["pricing"]["completion"]
        with pytest.raises(errors.NotFoundError):
            client.list_endpoints("liquid/lfm-3b")
        server.add(key_info(limit=10, used=4), path="/key")
        assert [client.key_info()["limit_remaining"] for _ in range(2)] == [6, None]


@pytest.mark.parametrize(
    ("ending", "finishes", "choices_beside_usage"),
    [("A", ["stop", None], 1), ("B", ["stop"], 0), ("C", ["stop", "stop"], 1), ("usage_in_finish", ["stop"], 1)],
)
def test_stream_ends_in_each_of_the_four_ways(ending, finishes, choices_beside_usage):
    spoken, *last = data_of(stream("Hi.", ending=ending).body)
    assert spoken["choices"][0]["delta"]["content"] == "Hi."
    assert [event["choices"][0]["finish_reason"] for event in last if event["choices"]] == finishes
    assert [len(event["choices"]) for event in last if "usage" in event] == [choices_beside_usage]
    assert last[-1]["usage"] == token_usage()


@pytest.mark.parametrize("ending", ["A", "B", "C", "usage_in_finish"])
def test_stream_without_usage_ends_with_its_finish_reason(ending):
    last = data_of(stream("Hi.", ending=ending, usage=None).body)[1:]
    assert [(event["choices"][0]["finish_reason"], "usage" in event) for event in last] == [("stop", False)]


def test_reply_carries_reasoning_tool_calls_usage_and_cost(server):
    calls = [tool_call("weather", {"city": "Zürich"}), tool_call("now", {}, call_id="call_2")]
    facts = {"reasoning": "Hm.", "tool_calls": calls, "usage": token_usage(7, 3, cost=2e-07)}
    server.add(completion(None, **facts), stream([], **facts | {"reasoning": ["H", "m."]}, comments=2))
    llm = ChatLFM(model="liquid/lfm-3-1.7b", base_url=server.base_url, api_key="test-key")
    whole, streamed = llm.invoke("Hi"), sum_of(llm.stream("Hi"))
    for message in (whole, streamed):
        assert message.additional_kwargs["reasoning_content"] == "Hm."
        assert [(call["name"], call["args"]) for call in message.tool_calls] == [
            ("weather", {"city": "Zürich"}),
            ("now", {}),
        ]
        assert message.usage_metadata["total_tokens"] == 10
        assert message.response_metadata["cost"] == 2e-07


def sum_of(chunks):
    first, *others = chunks
    return sum(others, start=first)


def test_misspelt_failure_names_a_few_close_ones():
    with pytest.raises(ValueError, match=r"no failure 'rate limt'\. Did you mean 'rate limit' or ") as raised:
        failure("rate limt")
    assert len(str(raised.value)) < 200
    with pytest.raises(ValueError, match=r"Did you mean '.*`failure_names\(\)` lists all\."):
        failure("typo")


def test_failure_names_can_stand_in_test_ids():
    assert all(re.fullmatch(r"[\w:,\[\] -]+", name) for name in failure_names())


@pytest.mark.parametrize("reply", [completion("Hi."), completion("Hi.").in_pieces(7), stream("Hi.")])
def test_reply_bears_the_name_of_the_requested_model(server, pool, reply):
    server.add(reply, reply)
    for body in (HELLO | {"model": 'acme/"quoted"'}, {"models": ["acme/first", "acme/second"]}):
        received = post(pool, server, body).data
        objects = data_of(received) or [json.loads(received)]
        assert {one["model"] for one in objects} == {body.get("model", "acme/first")}


def test_reply_bears_the_name_that_it_was_given(server, pool):
    server.add(completion("Hi.", model="liquid/lfm-3-1.7b-20261106"))
    assert post(pool, server).json()["model"] == "liquid/lfm-3-1.7b-20261106"


@pytest.mark.parametrize(
    ("reply", "texts"),
    [(stream("a", "b"), ["a", "b"]), (stream(["a", "b"]), ["a", "b"]), (stream("ab"), ["ab"]), (stream([]), [])],
)
def test_stream_takes_its_text_in_one_piece_several_or_none(reply, texts):
    deltas = [event["choices"][0]["delta"]["content"] for event in data_of(reply.body)]
    assert [text for text in deltas if text] == texts


class TestEmbeddings:
    def test_texts_with_the_same_words_have_near_vectors(self):
        with ScriptedOpenRouter() as server:
            client = LFMClient(base_url=server.base_url, api_key="test-key")
            cat, more, dog = client.embed(["The cat sat.", "the cat sat down", "A dog!"], role=None).vectors
        assert {len(cat), len(more), len(dog)} == {1024}
        assert sum(map(mul, cat, cat)) == pytest.approx(1)
        assert sum(map(mul, cat, more)) > 0.8
        assert sum(map(mul, cat, dog)) == 0

    @pytest.mark.parametrize("texts", [None, "", [], [1, 2], [[1]], ["a", ""]])
    def test_what_is_not_text_is_refused_as_openrouter_would(self, pool, texts):
        with ScriptedOpenRouter() as server:
            response = pool.request("POST", f"{server.base_url}/embeddings", json={"model": "liquid/x", "input": texts})
        assert response.status == 400
