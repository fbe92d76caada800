"""Whatever a server sends, a well-formed `Reply` or an `errors.APIError` comes of it, in linear time and memory."""

from __future__ import annotations

import gc
import math
import pickle
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lfm_adapter import errors
from lfm_adapter._openrouter.failure import from_body
from lfm_adapter.types import Delta, Reply, ToolCall
from tests.support.mutants import JUNK, paths, replaced, written
from tests.support.stream_reading import ASKED, Reading, cut_at, read_json, read_reply, read_stream

if TYPE_CHECKING:
    from collections.abc import Callable

TOOL_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
THOUGHT = {"type": "reasoning.text", "text": "Hm.", "format": None, "index": 0, "id": "r1", "signature": "s"}
MESSAGE = {
    "role": "assistant", "content": [{"type": "text", "text": "Hi."}, {"type": "image_url", "image_url": {}}],
    "refusal": "No.", "reasoning": "Hm.", "reasoning_content": "Hm.", "reasoning_details": [THOUGHT],
    "tool_calls": [TOOL_CALL], "annotations": [{"type": "file"}], "images": [{"type": "image_url"}],
    "audio": {"data": "UklGRg==", "transcript": "Hi."}, "news": "x",
}  # fmt: skip
CHOICE = {"index": 0, "finish_reason": "stop", "native_finish_reason": "eos", "logprobs": {"content": [{"token": "H"}]}}
HEAD = {
    "id": "gen-1", "object": "chat.completion", "created": 1790000000, "model": "liquid/lfm-3-1.7b",
    "provider": "Liquid", "system_fingerprint": "vllm", "service_tier": "default", "openrouter_metadata": {"n": 1},
    "usage": {"total_tokens": 3, "cost": 1e-7}, "user_id": "user_0123456789abcdef",
}  # fmt: skip
ERROR = {
    "code": 429, "http_status": 429, "error_type": "rate_limit_exceeded", "type": "rate_limit", "message": "Slow down",
    "n_ctx": 8192, "param": None,
    "metadata": {
        "error_type": "rate_limit_exceeded", "provider_code": "slow", "provider_error_code": "429", "reason": "busy",
        "provider_name": "Liquid", "raw": {"error": {"message": "Too fast"}}, "reasons": ["a", "b"],
        "failed_routing_step": "Filter", "remedy_hint": "Wait", "limit_source": "openrouter_in_flight_budget",
        "retry_after_seconds": 3, "headers": {"Retry-After": "3", "X-RateLimit-Reset": "1790000009000"},
    },
    "availability": {
        "code": "capacity_exhausted", "retryable": True, "retry_after": 3,
        "constraint": {"field": "max_price", "detail": "Too cheap"},
    },
}  # fmt: skip
BODY = {**HEAD, "choices": [{**CHOICE, "message": MESSAGE}]}
CHUNK = {**HEAD, "choices": [{**CHOICE, "delta": MESSAGE}]}
IN_CHOICE = {**HEAD, "error": None, "choices": [{**CHOICE, "delta": MESSAGE, "error": ERROR, "finish_reason": "error"}]}


def stream_of(*chunks: Any) -> bytes:
    return b"".join(b"data: " + chunk + b"\n\n" for chunk in (*map(written, chunks), b"[DONE]"))


def check_body(body: bytes, status: int = 200) -> None:
    try:
        reply = read_reply(status, {"x-generation-id": "gen-0"}, body, ASKED)
    except errors.APIError as error:
        check_error(error)
    else:
        check_reply(reply)
    try:
        assert isinstance(read_json(status, {}, body, ASKED), dict)
    except errors.APIError as error:
        check_error(error)


def check_stream(*pieces: bytes) -> Reading:
    reading = read_stream(pieces)
    for delta in reading.deltas:
        check_delta(delta)
    if reading.error is None:
        check_reply(reading.whole)
    else:
        check_error(reading.error)
    return reading


def check_reply(reply: Reply) -> None:
    for text in (reply.id, reply.model, reply.provider, reply.system_fingerprint, reply.service_tier):
        assert text is None or (isinstance(text, str) and text)
    assert reply.created is None or isinstance(reply.created, int)
    assert reply.usage is None or isinstance(reply.usage, dict)
    assert isinstance(reply.extra, dict)
    assert "user_id" not in reply.extra
    assert reply.choices
    for choice in reply.choices:
        assert isinstance(choice.text, str)
        assert isinstance(choice.reasoning, str)
        for text in (choice.refusal, choice.finish_reason, choice.native_finish_reason):
            assert text is None or (isinstance(text, str) and text)
        for items in (choice.reasoning_details, choice.annotations, choice.parts, choice.images):
            assert isinstance(items, list)
            assert all(isinstance(item, dict) for item in items)
        check_calls(choice.tool_calls)
        assert [call.index for call in choice.tool_calls] == list(range(len(choice.tool_calls)))
        assert all(call.id for call in choice.tool_calls)
        assert choice.audio is None or isinstance(choice.audio, dict)
        assert choice.logprobs is None or all(isinstance(tokens, list) for tokens in choice.logprobs.values())
        assert isinstance(choice.extra, dict)


def check_delta(delta: Delta) -> None:
    assert all(isinstance(text, str) for text in (delta.text, delta.reasoning, delta.refusal))
    assert isinstance(delta.index, int)
    assert delta.logprobs is None or isinstance(delta.logprobs, dict)
    assert delta.reply is None
    check_calls(delta.tool_calls)


def check_calls(calls: list[ToolCall]) -> None:
    for call in calls:
        assert call.id is None or (isinstance(call.id, str) and call.id)
        assert call.name is None or (isinstance(call.name, str) and call.name)
        assert isinstance(call.arguments, str)


def check_error(error: errors.APIError) -> None:
    assert error.message
    assert len(error.message) <= errors.MAX_MESSAGE_CHARS + 1
    assert error.status_code is None or (isinstance(error.status_code, int) and 200 <= error.status_code < 600)
    assert error.code is None or (isinstance(error.code, str) and error.code)
    assert error.provider is None or isinstance(error.provider, str)
    assert error.generation_id is None or isinstance(error.generation_id, str)
    assert error.model == ASKED.model
    assert isinstance(error.is_retryable, bool)
    wait = error.retry_after
    assert wait is None or (isinstance(wait, float) and 0 <= wait < math.inf)
    assert "user_0123456789abcdef" not in f"{error} {error!r}"
    if error.partial is None:
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301 # pickled in the line above
    else:
        assert isinstance(error.partial, Reply)
        check_reply(error.partial)


def test_the_replies_that_are_spoiled_here_are_good_ones():
    assert read_reply(200, {}, written(BODY), ASKED).text == "Hi."
    assert check_stream(stream_of(CHUNK)).whole.text == "Hi."
    assert check_stream(stream_of(IN_CHOICE)).partial.text == "Hi."
    assert isinstance(from_body(429, {}, written({"error": ERROR}), ASKED), errors.RateLimitError)


@pytest.mark.parametrize("junk", JUNK, ids=ascii)
class TestAnyTypeInAnyPlace:
    def test_any_type_in_any_place_of_a_body(self, junk):
        for path in paths(BODY):
            check_body(written(replaced(BODY, path, junk)))

    def test_any_type_in_any_place_of_a_chunk(self, junk):
        for path in paths(CHUNK):
            spoiled = replaced(CHUNK, path, junk)
            check_stream(stream_of(spoiled))
            check_stream(stream_of(CHUNK, spoiled, spoiled))

    def test_any_type_in_any_place_of_an_error(self, junk):
        body = {"error": ERROR, "message": "x", "detail": "x", "code": 400, "type": "x", "id": "gen-1"}
        for path in paths(body):
            spoiled = written(replaced(body, path, junk))
            check_body(spoiled, 429)
            check_body(spoiled, 200)

    def test_any_type_in_any_place_of_an_error_in_a_stream(self, junk):
        for path in paths(IN_CHOICE):
            check_stream(stream_of(replaced(IN_CHOICE, path, junk)))
        for path in paths(ERROR):
            check_stream(stream_of({**CHUNK, "error": replaced(ERROR, path, junk)}))


SPOILING = st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from(JUNK)), min_size=2, max_size=8)


def spoiled_with(value: Any, spoiling: list[tuple[int, Any]]) -> Any:
    places = list(paths(value))[1:]
    for number, junk in spoiling:
        value = replaced(value, places[number % len(places)], junk)
    return value


@given(SPOILING, st.sampled_from([200, 201, 299, 300, 308, 400, 401, 402, 404, 418, 429, 500, 529, 599]))
def test_any_types_in_several_places_of_a_body(spoiling, status):
    check_body(written(spoiled_with(BODY, spoiling)), status)
    check_body(written(spoiled_with({"error": ERROR}, spoiling)), status)


@given(st.lists(st.tuples(st.sampled_from([CHUNK, IN_CHOICE]), SPOILING), max_size=4), st.lists(st.integers(0, 9_999)))
def test_any_types_in_several_places_of_a_stream(chunks, places):
    stream = stream_of(*(spoiled_with(chunk, spoiling) for chunk, spoiling in chunks))
    whole, cut = check_stream(stream), check_stream(*cut_at(stream, places))
    assert repr(whole.deltas) == repr(cut.deltas)  # not by ==, for NaN is not itself
    assert repr(whole.reply) == repr(cut.reply)


@given(st.binary() | st.text().map(str.encode), st.sampled_from([200, 204, 400, 502]))
@example(b'{"choices": [{"message": {"content": "\xff"}}]}', 200)
@example(b'\xef\xbb\xbf{"choices": [{"message": {"content": "x"}}]}', 200)
@example('{"choices": [{"message": {"content": "x"}}]}'.encode("utf-16"), 200)
@example(b"<title>" + b" " * 4_000, 502)
@example(b'"gateway timeout"', 502)
@example(b"[" * 100_000, 200)
@example(b'{"a":' * 100_000, 400)
def test_any_bytes_as_a_body(body, status):
    check_body(body, status)


@given(st.lists(st.sampled_from([b"data: ", b"data:", b"\n", b"\r", b"{", b"}", b"[DONE]", b"null"]) | st.binary()))
@example([b"data: " + b"[" * 100_000 + b"\n\n"])
@example([b"data: {\xff}\n\n"])
@example([b"data: 1\n\n"])
def test_any_bytes_as_a_stream(pieces):
    check_stream(*pieces)


@given(st.text() | st.text("0123456789,:+- GMTJanOct").map("Thu, 1 Oct 2026 ".__add__), st.text())
@example("Fri, 31 Dec 9999 23:59:59 -2359", "")
@example("Mon, 1 Jan 0001 00:00:00 +2359", "")
@example("1 Jan 1 00:00:00", "")
@example("Mon, 21 Sep 2026 14:14:40 +99999999999999999999", "")
@example("9" * 400, "9" * 400)
def test_any_text_as_a_time_to_wait(retry_after, reset):
    headers = {"retry-after": retry_after, "retry-after-ms": reset, "x-ratelimit-reset": reset}
    check_error(from_body(429, headers, b"", ASKED))
    check_error(from_body(429, {}, written({"error": {"metadata": {"headers": headers}}}), ASKED))


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_of_any_depth_around_the_limit_of_the_interpreter(brackets):
    opening, closing = ("[", "]") if brackets == "[]" else ('{"a":', "}")
    for depth in range(700, 1_000, 3):
        value = (opening * depth + "1" + closing * depth).encode()
        call = b'{"function": {"name": "f", "arguments": %s}}' % value
        finish = b'{"choices": [{"delta": {"tool_calls": [%s], "annotations": [{"a": %s}]}, "finish_reason": "stop"}]}'
        finish %= (call, value)
        check_stream(b"data: %s\n\ndata: %s\n\ndata: [DONE]\n\n" % (finish, finish))
        check_body(b'{"error": {"message": %s, "metadata": {"raw": %s}}}' % (value, value), 400)


def chunk_of(**delta: Any) -> bytes:
    return b"data: " + written({"choices": [{"index": 0, "delta": delta}]}) + b"\n\n"


def call_of(arguments: str, index: int | None = 0, name: str | None = None) -> bytes:
    return chunk_of(tool_calls=[{"index": index, "function": {"name": name, "arguments": arguments}}])


FINISH = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'

LONG = {
    "many deltas": lambda n: check_stream(*[chunk_of(content="x")] * n),
    "many pieces of a tool call": lambda n: check_stream(*[call_of("x")] * n),
    "many pieces of a tool call after the finish": lambda n: check_stream(FINISH, *[call_of("xx")] * n),
    "many tool calls": lambda n: check_stream(*(call_of("x", index, "f") for index in range(n))),
    "many tool calls after the finish": lambda n: check_stream(FINISH, *(call_of("x", i, f"f{i}") for i in range(n))),
    "many citations after the finish": lambda n: check_stream(FINISH, *[chunk_of(annotations=[{"a": 1}])] * n),
    "many pieces of reasoning": lambda n: check_stream(*[chunk_of(reasoning_details=[THOUGHT])] * n),
    "many blocks of reasoning": lambda n: check_stream(*[chunk_of(reasoning_details=[{"type": "x"}])] * n),
    "many new fields": lambda n: check_stream(*(b'data: {"x%d": 1}\n\n' % number for number in range(n))),
    "many choices": lambda n: check_stream(stream_of({"choices": [CHOICE | {"index": i} for i in range(n)]})),
    "an event byte by byte": lambda n: check_stream(*(b"%c" % byte for byte in chunk_of(content="x" * 4 * n))),
    "an event of many lines": lambda n: check_stream(*[b"data: \n"] * n),
    "a comment without an end": lambda n: check_stream(*[b": xx"] * n),
    "line ends": lambda n: check_stream(*[b"\r\n\n\r"] * n),
    "padding": lambda n: check_body(b"\n         \n" * n + written(BODY)),
    "a message of models": lambda n: check_body(written({"error": {"code": 404, "message": "model " * n}})),
    "a message of keys": lambda n: check_body(written({"error": {"code": 401, "message": "sk-" * n}})),
    "a page of titles": lambda n: check_body(b"<title" * n, 502),
    "digits to wait": lambda n: check_body(written({"error": {"metadata": {"headers": {"Retry-After": "9" * n}}}})),
    "commas to wait": lambda n: check_body(written({"error": {"metadata": {"headers": {"Retry-After": "1, " * n}}}})),
    "digits of a status": lambda n: check_body(written({"error": {"code": "4" * n}})),
    "a list of problems": lambda n: check_body(written({"error": {"message": [{"message": "x"}] * n}})),
}  # fmt: skip


def cpu_s(do: Callable[[int], Any], size: int) -> float:
    gc.disable()  # a collection looks at all that the test run holds
    try:
        start = time.process_time()
        do(size)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("case", LONG)
def test_time_grows_no_faster_than_what_came(case):
    small = min(cpu_s(LONG[case], 500) for _ in range(3))
    most = 16 * 5 * max(small, 0.001)  # 16 times as much, with room for noise; not 16² times
    assert any(cpu_s(LONG[case], 8_000) < most for _ in range(3))


@pytest.mark.parametrize("case", LONG)
def test_memory_grows_no_faster_than_what_came(case):
    def peak_bytes(size: int) -> int:
        tracemalloc.start()
        LONG[case](size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(10)
    assert peak_bytes(1_000) < 20 * max(peak_bytes(100), 20_000)


def test_an_event_without_an_end_is_refused_before_it_fills_the_memory():
    reading = read_stream([chunk_of(content="Hi."), *[b"data: " + b"x" * 1_000_000] * 20])
    assert isinstance(reading.error, errors.ResponseError)
    assert not reading.error.is_retryable
    assert reading.partial.text == "Hi."
