from __future__ import annotations

import asyncio
import gc
import http.client
import json
import threading
import time
from contextlib import closing

import aiohttp
import pytest
import urllib3

from tests.support.http_reply import Break, html, raw
from tests.support.openrouter_replies import (
    PADDING,
    chunk,
    completion,
    error,
    error_in_200,
    error_in_choice,
    events,
    midstream_error,
    stream,
    tool_call,
    usage_of,
)
from tests.support.scripted_openrouter import ScriptedOpenRouter

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


def test_replies_are_played_in_the_order_they_were_added(server, pool):
    server.add(error(429, "Rate limit exceeded", headers={"Retry-After": "1"}), completion("Hi."))
    first, second = post(pool, server), post(pool, server)
    assert (first.status, first.headers["retry-after"]) == (429, "1")
    assert second.json()["choices"][0]["message"]["content"] == "Hi."
    assert server.unplayed == 0


def test_a_request_is_kept_as_it_was_sent(server, pool):
    server.add(completion())
    post(pool, server, Authorization="Bearer test-key")
    (request,) = server.requests
    assert (request.method, request.path, request.json) == ("POST", "/chat/completions", HELLO)
    assert request.headers["authorization"] == "Bearer test-key"
    assert "test-key" not in repr(request)


def test_a_request_without_a_scripted_reply_is_refused_and_says_so(server, pool):
    reply = post(pool, server)
    assert reply.status == 400
    assert "scripts no reply" in reply.json()["error"]["message"]


def test_a_responder_answers_when_no_reply_is_left(server, pool):
    server.default = lambda request: completion(request.json["messages"][0]["content"])
    server.add(completion("queued"))
    texts = [post(pool, server).json()["choices"][0]["message"]["content"] for _ in range(2)]
    assert texts == ["queued", "Hello"]


def test_a_connection_is_kept_for_the_next_request(server, pool):
    server.add(completion(), stream(), error(502, "Bad gateway"), completion())
    for _ in range(4):
        post(pool, server)
    assert [request.connection for request in server.requests] == [1, 1, 1, 1]
    assert server.connections == 1


async def test_many_connections_are_served_at_once(server):
    count = 60
    everyone_is_here = threading.Event()
    server.default = lambda _: completion().held(0, everyone_is_here)

    async def ask(session):
        async with session.post(f"{server.base_url}/chat/completions", data=b"{}") as reply:
            return reply.status

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        asked = [asyncio.create_task(ask(session)) for _ in range(count)]
        await asyncio.to_thread(server.wait_for_requests, count)
        everyone_is_here.set()
        assert await asyncio.gather(*asked) == [200] * count
    assert server.connections == count


def test_a_stopped_server_leaves_no_thread_and_no_open_socket(pool):
    before = set(threading.enumerate())
    never = threading.Event()
    with ScriptedOpenRouter(completion(), stream().held(2, never)) as server:
        post(pool, server)
        held = post(pool, server, preload_content=False)
    held.close()
    assert set(threading.enumerate()) <= before
    gc.collect()  # an open socket would warn here, and warnings are errors


def test_each_event_of_a_stream_is_sent_as_soon_as_it_is_due(server, pool):
    seen = threading.Event()
    server.add(stream(["one", "two"], comments=0).held(1, seen))
    reply = post(pool, server, preload_content=False)
    assert data_of(reply.read1())[0]["choices"][0]["delta"]["content"] == "one"
    assert not seen.is_set()
    seen.set()
    assert data_of(reply.read())[0]["choices"][0]["delta"]["content"] == "two"


def test_bytes_are_played_as_they_are(server, pool):
    body = stream(["é", "\u2028", "🙂"], reasoning=["hm"]).body
    server.add(stream(["é", "\u2028", "🙂"], reasoning=["hm"]).in_pieces(1))
    assert post(pool, server).data == body


def test_a_reply_with_a_length_is_not_sent_in_chunks(server, pool):
    server.add(raw(200, {"Content-Length": "4"}, [b"ab", b"cd"]))
    reply = post(pool, server)
    assert (reply.data, reply.headers.get("transfer-encoding")) == (b"abcd", None)


@pytest.mark.parametrize("how", list(Break))
def test_a_reply_can_break_off(server, how):
    server.add(stream(["one", "two"], comments=0).broken(1, how))
    with closing(http.client.HTTPConnection("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0]))) as client:
        client.request("POST", "/api/v1/chat/completions", body=b"{}")
        with client.getresponse() as reply:
            assert reply.status == 200
            expected = ConnectionResetError if how is Break.RESET else http.client.IncompleteRead
            with pytest.raises(expected):
                reply.read()


def test_a_client_that_hangs_up_is_noticed(server, pool):
    server.add(stream().held(1, threading.Event()))
    reply = post(pool, server, preload_content=False)
    reply.close()
    assert server.requests[0].abandoned.wait(20)


def test_a_pause_takes_its_time(server, pool):
    server.add(completion().held(0, 0.05))
    start = time.monotonic()
    assert post(pool, server).status == 200
    assert time.monotonic() - start >= 0.05


@pytest.mark.parametrize(
    ("ending", "finishes", "choices_beside_usage"),
    [("A", ["stop", None], 1), ("B", ["stop"], 0), ("C", ["stop", "stop"], 1), ("usage_in_finish", ["stop"], 1)],
)
def test_a_stream_ends_in_each_of_the_four_ways(ending, finishes, choices_beside_usage):
    spoken, *last = data_of(stream("Hi.", ending=ending).body)
    assert spoken["choices"][0]["delta"]["content"] == "Hi."
    assert [event["choices"][0]["finish_reason"] for event in last if event["choices"]] == finishes
    assert [len(event["choices"]) for event in last if "usage" in event] == [choices_beside_usage]
    assert last[-1]["usage"] == usage_of()


def test_a_stream_begins_with_comments_and_ends_with_done():
    body = stream(comments=2).body
    assert body.startswith(b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\ndata: {")
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"[DONE]" not in stream(done=False).body


def test_streamed_tool_calls_give_the_arguments_in_pieces():
    calls = [tool_call("f", {"x": "Zürich"}, call_id="a"), tool_call("g", {}, call_id="b")]
    deltas = [
        part
        for event in data_of(stream([], tool_calls=calls).body)
        for part in event["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert [(part["index"], part["id"]) for part in deltas if "id" in part] == [(0, "a"), (1, "b")]
    pieces = [part["function"]["arguments"] for part in deltas if part["index"] == 0]
    assert len([piece for piece in pieces if piece]) == 3
    assert json.loads("".join(pieces)) == {"x": "Zürich"}


def test_a_completion_has_every_field_that_was_asked_for():
    reply = completion(
        None,
        reasoning="hm",
        tool_calls=[tool_call("f", '{"x": ')],
        native_finish_reason="length",
        padding=PADDING * 2,
        usage=usage_of(7, 3, cost=2e-07),
        service_tier=None,
    )
    assert reply.body.startswith(b"\n         \n\n         \n{")
    body = json.loads(reply.body)
    (choice,) = body["choices"]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("tool_calls", "length")
    assert choice["message"]["content"] is None
    assert choice["message"]["reasoning_details"][0]["text"] == "hm"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"x": '
    assert body["usage"]["total_tokens"] == 10
    assert body["service_tier"] is None
    assert body["id"] == reply.headers["X-Generation-Id"]


def test_failures_stand_where_openrouter_puts_them():
    refused = error(400, "no", code="invalid_prompt", metadata={"provider_name": None}, user_id="user_1")
    assert refused.status == 400
    assert json.loads(refused.body) == {
        "error": {"message": "no", "code": "invalid_prompt", "metadata": {"provider_name": None}},
        "user_id": "user_1",
    }
    assert "choices" not in json.loads(error_in_200(502, "gone").body)
    (choice,) = json.loads(error_in_choice(502, "gone", text="Par").body)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"], choice["error"]["code"]) == ("Par", "error", 502)
    *spoken, failed = data_of(midstream_error(["Par"], 429, "slow down").body)
    assert len(spoken) == 1
    assert (failed["error"]["code"], failed["choices"][0]["finish_reason"]) == (429, "error")
    assert html(502).body.startswith(b"<!DOCTYPE html>")


def test_events_may_be_objects_or_bytes():
    reply = events(chunk({"content": "a"}), b": comment\n\n", done=False)
    assert reply.parts[1] == b": comment\n\n"
    assert data_of(reply.body)[0]["choices"][0]["delta"] == {"content": "a"}


def test_models_endpoints_and_key_are_answered(server, pool):
    models = pool.request("GET", f"{server.base_url}/models").json()["data"]
    assert "liquid/lfm-2.5-2.6b:free" in {model["id"] for model in models}
    assert all(isinstance(model["pricing"]["prompt"], str) for model in models)
    details = pool.request("GET", f"{server.base_url}/models/liquid/lfm-2.5-2.6b%3Afree/endpoints").json()["data"]
    assert details["endpoints"][0]["max_completion_tokens"] == 8192
    assert pool.request("GET", f"{server.base_url}/models/no/such/endpoints").status == 404
    assert pool.request("GET", f"{server.base_url}/key").status == 401
    key = pool.request("GET", f"{server.base_url}/key", headers={"Authorization": "Bearer test-key"}).json()
    assert key["data"]["limit"] is None


def test_a_reply_can_be_scripted_for_any_path(server, pool):
    server.add(error(503, "down"), path="/models")
    assert pool.request("GET", f"{server.base_url}/models?limit=1").status == 503
    assert pool.request("GET", f"{server.base_url}/models").status == 200
