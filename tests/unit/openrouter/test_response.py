from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from lfm_adapter import errors
from lfm_adapter._openrouter.response import ReplyReader
from lfm_adapter.types import Choice, Delta, Reply, ToolCall
from tests.support.stream_reading import ASKED, read_json, read_reply, read_stream, stream_reader

USAGE = {"prompt_tokens": 16, "completion_tokens": 80, "total_tokens": 96, "cost": 0, "cost_details": None}
DONE = b"data: [DONE]\n\n"


def body(message: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "native_finish_reason": "eos", "message": message or {}}
    return json.dumps({"id": "gen-1", "model": "liquid/x", "choices": [choice], **more}).encode()


def read(message: Any = None, **more: Any) -> Reply:
    return read_reply(200, {}, body(message, **more), ASKED)


def event(delta: Any = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    chunk = {"id": "gen-1", "model": "liquid/x", "provider": "Liquid", "choices": choices, **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def refused(*events: bytes, headers: dict[str, str] | None = None) -> errors.APIError:
    error = read_stream(events, headers=headers).error
    assert error is not None
    return error


class TestWholeReply:
    def test_whole_reply_has_all_fields(self):
        reply = read_reply(200, {}, json.dumps({
            "id": "gen-1", "object": "chat.completion", "created": 1790000000, "model": "liquid/x-20260811:free",
            "provider": "Liquid", "system_fingerprint": "vllm-1", "service_tier": "default", "usage": USAGE,
            "user_id": "user_0123456789", "openrouter_metadata": {"attempt": 1}, "citations": ["https://example.org"],
            "choices": [{
                "index": 0, "finish_reason": "tool_calls", "native_finish_reason": "length",
                "logprobs": {"content": [{"token": "Hi", "logprob": -0.1}], "refusal": None},
                "message": {
                    "role": "assistant", "content": "Hi", "refusal": "No", "reasoning": "Hm",
                    "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "format": "unknown", "index": 0}],
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    "annotations": [{"type": "url_citation"}], "images": [{"type": "image_url"}],
                    "audio": {"id": "a1", "data": "UklGRg=="}, "news": 1, "no_news": None,
                },
            }],
        }).encode(), ASKED)  # fmt: skip
        assert reply == Reply(
            id="gen-1", created=1790000000, model="liquid/x-20260811:free", provider="Liquid",
            system_fingerprint="vllm-1", service_tier="default", usage=USAGE,
            extra={"openrouter_metadata": {"attempt": 1}, "citations": ["https://example.org"]},
            choices=[Choice(
                text="Hi", reasoning="Hm", refusal="No", finish_reason="tool_calls", native_finish_reason="length",
                reasoning_details=[{"type": "reasoning.text", "text": "Hm", "format": "unknown", "index": 0}],
                tool_calls=[ToolCall(0, "c1", "f", "{}")],
                annotations=[{"type": "url_citation"}], images=[{"type": "image_url"}],
                audio={"id": "a1", "data": "UklGRg=="},
                logprobs={"content": [{"token": "Hi", "logprob": -0.1}]}, extra={"news": 1},
            )],
        )  # fmt: skip
        assert (reply.text, reply.reasoning, reply.finish_reason) == ("Hi", "Hm", "tool_calls")
        assert reply.tool_calls == reply.choices[0].tool_calls

    def test_whole_reply_may_be_padded_with_whitespace(self):
        padding = b"\n         \n" * 107
        assert read_reply(200, {}, padding + body({"content": "Hi"}) + b"\n", ASKED).text == "Hi"

    def test_whole_reply_may_begin_with_byte_order_mark(self):
        assert read_reply(200, {}, "\ufeff".encode() + body({"content": "Hi"}), ASKED).text == "Hi"

    def test_whole_reply_needs_only_choices(self):
        reply = read_reply(200, {}, b'{"choices": [{"message": {"content": "Hi"}}]}', ASKED)
        assert reply == Reply(choices=[Choice(text="Hi")])

    @pytest.mark.parametrize("content", [None, "", []])
    def test_whole_reply_may_have_no_text(self, content):
        assert read({"content": content}).text == ""
        assert read({"content": content, "reasoning": "Hm"}).reasoning == "Hm"

    @pytest.mark.parametrize(
        "content",
        [{"type": "text", "text": "Hi"}, [{"text": "Hi"}, {"type": None, "text": None}], [{"type": 5, "text": "Hi"}]],
    )
    def test_text_of_parts_without_a_usable_type_is_kept(self, content):
        reply = read({"content": content})
        assert (reply.text, reply.choices[0].parts) == ("Hi", [])

    def test_whole_reply_may_have_content_parts(self):
        image = {"type": "image_url", "image_url": {"url": "data:"}}
        reply = read({"content": [{"type": "text", "text": "A"}, image, "B", {"type": "text", "text": "C"}, 7]})
        assert reply.text == "ABC"
        assert reply.choices[0].parts == [image]

    def test_whole_reply_may_have_several_choices(self):
        choices = [{"index": index, "message": {"content": text}} for index, text in ((1, "B"), (0, "A"))]
        assert [choice.text for choice in read(choices=choices).choices] == ["A", "B"]
        choices = [{"message": {"content": text}} for text in "AB"]
        assert [choice.text for choice in read(choices=choices).choices] == ["A", "B"]

    @pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
    def test_reasoning_is_read_by_either_name(self, name):
        assert read({"content": "Hi", name: "Hm"}).reasoning == "Hm"

    def test_reasoning_blocks_are_kept_unchanged(self):
        details = [{"type": "reasoning.text", "index": 0, "text": text, "signature": None} for text in "AB"]
        assert read({"reasoning_details": details}).choices[0].reasoning_details == details

    def test_reasoning_is_read_from_blocks_if_missing_elsewhere(self):
        details = [{"type": "reasoning.summary", "summary": "A"}, {"type": "reasoning.text", "text": "B"}]
        assert read({"reasoning": None, "reasoning_details": details}).reasoning == "AB"
        assert read({"reasoning": {"odd": 1}, "reasoning_details": details}).reasoning == "AB"
        assert read({"reasoning": "C", "reasoning_details": details}).reasoning == "C"

    @pytest.mark.parametrize("finish_reason", ["error", None, "", "a_new_word"])
    def test_any_finish_reason_but_error_is_accepted(self, finish_reason):
        choice = {"finish_reason": finish_reason, "message": {"content": "Hi"}}
        if finish_reason == "error":
            with pytest.raises(errors.ServerError, match="without a reason") as caught:
                read(choices=[choice])
            assert caught.value.partial.text == "Hi"
        else:
            assert read(choices=[choice]).finish_reason == (finish_reason or None)

    @pytest.mark.parametrize("usage", [None, {}, [], 7, "many"])
    def test_whole_reply_may_have_no_usage(self, usage):
        assert read({"content": "Hi"}, usage=usage).usage is None


class TestNoReply:
    @pytest.mark.parametrize(
        "data",
        [
            b"{}", b'{"choices": null}', b'{"choices": []}', b'{"id": "gen-1", "error": null}', b'{"choices": [null]}',
            b'{"choices": [{"message": {"content": ""}, "finish_reason": null}]}',
        ],
    )  # fmt: skip
    def test_reply_without_content_and_finish_reason_is_retryable(self, data):
        with pytest.raises(errors.ResponseError, match="neither content nor a finish reason") as caught:
            read_reply(200, {}, data, ASKED)
        assert caught.value.is_retryable
        assert caught.value.model == ASKED.model

    @pytest.mark.parametrize(
        "data", [b"<html></html>", b"[]", b'"Hi"', b"null", b"{", b"[" * 100_000, b'{"a": "\xff"}']
    )
    def test_body_that_is_not_a_json_object_gives_advice(self, data):
        with pytest.raises(errors.ResponseError, match="Check that `base_url`") as caught:
            read_reply(200, {"x-generation-id": "gen-1", "content-length": "1"}, data, ASKED)
        assert not caught.value.is_retryable
        assert (caught.value.status_code, caught.value.generation_id) == (200, "gen-1")

    @pytest.mark.parametrize("data", [b"", b"\n         \n"])
    def test_empty_body_is_retryable(self, data):
        with pytest.raises(errors.ResponseError, match="response is empty") as caught:
            read_reply(200, {}, data, ASKED)
        assert caught.value.is_retryable


class TestErrorInASuccess:
    def test_error_in_a_200_keeps_partial_reply(self):
        choice = {
            "finish_reason": "error", "message": {"content": "Par", "reasoning": "Hm"},
            "error": {"code": 502, "message": "Lost", "metadata": {"error_type": "provider_unavailable"}},
        }  # fmt: skip
        with pytest.raises(errors.ServerError, match="Lost") as caught:
            read(choices=[choice], provider="Liquid", usage=USAGE)
        error = caught.value
        assert (error.status_code, error.code, error.provider) == (502, "provider_unavailable", "Liquid")
        assert (error.generation_id, error.model) == ("gen-1", ASKED.model)
        assert (error.partial.text, error.partial.reasoning, error.partial.usage) == ("Par", "Hm", USAGE)

    def test_error_in_a_200_takes_precedence_over_choices(self):
        with pytest.raises(errors.RateLimitError) as caught:
            read({"content": "Hi"}, error={"code": 429, "message": "Slow down"})
        assert caught.value.partial.text == "Hi"

    def test_error_in_a_200_takes_retry_after_from_header(self):
        with pytest.raises(errors.RateLimitError) as caught:
            read_reply(200, {"retry-after": "2"}, b'{"error": {"code": 429, "message": "x"}}', ASKED)
        assert caught.value.retry_after == 2.0
        assert caught.value.partial is None


class TestOtherEndpoints:
    def test_read_json_returns_any_object(self):
        assert read_json(200, {}, b' {"data": [1]}', ASKED) == {"data": [1]}
        assert read_json(200, {}, b'{"data": [1], "error": null}', ASKED) == {"data": [1], "error": None}

    def test_read_json_fails_by_status_or_body(self):
        failed = b'{"error": {"code": 401, "message": "User not found."}}'
        for status in (200, 401):
            with pytest.raises(errors.AuthenticationError):
                read_json(status, {}, failed, ASKED)
        with pytest.raises(errors.ResponseError):
            read_json(200, {}, b"[]", ASKED)


ENDINGS = {
    "until January 2026": [event({"content": ""}, "stop"), event({"content": ""}, None, usage=USAGE)],
    "March 2026": [event({"content": ""}, "stop"), event(usage=USAGE)],
    "since June 2026": [event({"content": ""}, "stop"), event({"content": ""}, "stop", usage=USAGE)],
    "usage in the finish": [event({"content": ""}, "stop", usage=USAGE)],
}


class TestStream:
    @pytest.mark.parametrize(
        ("status", "content_type", "is_one"),
        [
            (200, "text/event-stream", True),
            (200, "Text/Event-Stream; charset=utf-8", True),
            (200, "application/json", False),
            (400, "text/event-stream", False),
            (200, "", False),
        ],
    )
    def test_event_stream_is_recognized_by_status_and_content_type(self, status, content_type, is_one):
        reader = ReplyReader(status, {"content-type": content_type}, ASKED)
        assert (reader.events is not None) is is_one

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_stream_may_end_in_each_recorded_way(self, ending):
        reading = read_stream([event({"content": "H"}), event({"content": "i"}), *ENDINGS[ending], DONE])
        assert [delta.text for delta in reading.deltas] == ["H", "i"]
        assert reading.whole == Reply(
            choices=[Choice(text="Hi", finish_reason="stop")],
            id="gen-1", model="liquid/x", provider="Liquid", usage=USAGE,
        )  # fmt: skip

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_stream_without_done_is_complete_after_finish_and_usage(self, ending):
        assert read_stream([event({"content": "Hi"}), *ENDINGS[ending]]).whole.text == "Hi"

    def test_stream_without_done_and_usage_is_complete_after_finish(self):
        reader = stream_reader(is_single=True)
        for sent in (event({"content": "Hi"}), event({"content": ""}, "stop"), b""):
            list(reader.feed(sent))
        assert (reader.result.text, reader.result.usage) == ("Hi", None)

    def test_stream_of_several_choices_is_incomplete_after_finish_alone(self):
        error = refused(event({"content": "Hi"}), event({"content": ""}, "stop"))
        assert type(error) is errors.StreamInterruptedError

    @pytest.mark.parametrize("cut", [b"da", b'data: {"choices": [], "usa', b'data: {"choices": [], "usa\n'])
    def test_stream_cut_within_an_event_is_incomplete(self, cut):
        reader = stream_reader(is_single=True)
        list(reader.feed(event({"content": "Hi"}, "stop") + cut))
        with pytest.raises(errors.StreamInterruptedError):
            list(reader.feed(b""))

    def test_stream_without_usage_is_complete_at_done(self):
        assert read_stream([event({"content": "Hi"}, "stop"), DONE]).whole.usage is None

    def test_stream_takes_last_usage(self):
        reading = read_stream([
            event({"content": "Hi"}, usage={"total_tokens": 1}), event({}, "stop", usage=USAGE),
            event({}, "stop", usage=None), DONE,
        ])  # fmt: skip
        assert reading.whole.usage == USAGE

    def test_stream_takes_other_fields_from_first_event_that_has_them(self):
        facts = {"id": "gen-2", "provider": "Together", "system_fingerprint": "vllm-2", "openrouter_metadata": {"n": 2}}
        whole = read_stream([
            event({"content": "Hi"}, **dict.fromkeys(facts, "")), event({}, **dict.fromkeys(facts)),
            event({}, "stop", **facts), event({}, "stop", **dict.fromkeys(facts, "later")), DONE,
        ]).whole  # fmt: skip
        assert (whole.id, whole.provider, whole.system_fingerprint) == ("gen-2", "Together", "vllm-2")
        assert whole.extra == {"openrouter_metadata": {"n": 2}}

    def test_stream_ends_at_done(self):
        reading = read_stream([event({"content": "Hi"}, "stop") + DONE + event({"content": "!"}) + b"data: {\n\n"])
        assert reading.whole.text == "Hi"

    def test_stream_finishes_when_each_choice_has(self):
        def of(index: int, finish_reason: str | None = None) -> bytes:
            choice = {"index": index, "delta": {"content": f"{index}"}, "finish_reason": finish_reason}
            return event(choices=[choice])

        assert type(refused(of(0), of(1), of(0, "stop"), DONE)) is errors.StreamInterruptedError
        whole = read_stream([of(0), of(1), of(0, "stop"), of(1, "length"), DONE]).whole
        assert [(choice.text, choice.finish_reason) for choice in whole.choices] == [("00", "stop"), ("11", "length")]

    @pytest.mark.parametrize("index", [0, 1, 7])
    def test_single_choice_has_index_0_whatever_the_server_sends(self, index):
        choice = {"index": index, "message": {"content": "Hi"}, "finish_reason": "stop"}
        assert [choice.text for choice in read(choices=[choice]).choices] == ["Hi"]
        streamed = {"index": index, "delta": {"content": "Hi"}, "finish_reason": "stop"}
        reader = stream_reader(is_single=True)
        assert [(delta.index, delta.text) for delta in reader.feed(event(choices=[streamed]) + DONE)] == [(0, "Hi")]
        assert [choice.text for choice in reader.result.choices] == ["Hi"]

    @pytest.mark.parametrize("as_part", [True, False])
    def test_refusal_in_pieces_is_joined(self, as_part):
        def refuse(text: str) -> dict[str, Any]:
            return {"content": [{"type": "refusal", "refusal": text}]} if as_part else {"refusal": text}

        reading = read_stream([event(refuse("I can")), event(refuse("not.")), event({}, "stop"), DONE])
        assert [delta.refusal for delta in reading.deltas] == ["I can", "not."]
        assert (reading.whole.choices[0].refusal, reading.whole.choices[0].parts) == ("I cannot.", [])
        assert read(refuse("I cannot.")).choices[0].refusal == "I cannot."

    @pytest.mark.parametrize(("finish_reason", "arguments"), [("tool_calls", "{}"), ("length", "")])
    def test_call_without_arguments_has_an_object_unless_cut_off(self, finish_reason, arguments):
        call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}
        reading = read_stream([event({"tool_calls": [call]}), event({}, finish_reason), DONE])
        assert reading.whole.tool_calls == [ToolCall(0, "c1", "f", arguments)]
        assert "".join(piece.arguments for delta in reading.deltas for piece in delta.tool_calls) == arguments
        choice = {"message": {"tool_calls": [call]}, "finish_reason": finish_reason}
        assert read(choices=[choice]).tool_calls == [ToolCall(0, "c1", "f", arguments)]

    def test_repeated_citation_is_added_once(self):
        citation = [{"type": "url_citation", "url_citation": {"url": "https://example.org"}}]
        finish = {"content": "", "annotations": citation}
        whole = read_stream([event({"content": "Hi"}), event(finish, "stop"), event(finish, "stop"), DONE]).whole
        assert whole.choices[0].annotations == citation

    def test_repeated_tool_call_is_added_once(self):
        call = {"id": "c1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        finish = {"content": None, "tool_calls": [call]}
        for ending in ([event(finish, "tool_calls")], [event(finish), event({}, "tool_calls")]):
            reading = read_stream([*ending, event(finish, "tool_calls", usage=USAGE), DONE])
            assert reading.whole.tool_calls == [ToolCall(0, "c1", "f", "{}")]
            assert sum(len(delta.tool_calls) for delta in reading.deltas) == 1

    def test_log_probabilities_without_text_are_yielded(self):
        logprobs = {"content": [{"token": "<eos>", "logprob": -0.1}]}
        last = {"index": 0, "delta": {"content": ""}, "logprobs": logprobs, "finish_reason": "stop"}
        reading = read_stream([event({"content": "Hi"}), event(choices=[last]), DONE])
        assert [delta.logprobs for delta in reading.deltas] == [None, logprobs]
        assert reading.whole.choices[0].logprobs == logprobs

    def test_comments_do_not_count_as_events(self):
        reader = stream_reader()
        assert list(reader.feed(b": OPENROUTER PROCESSING\n\n")) == []
        assert (reader.events, reader._collector.has_content) == (0, False)
        list(reader.feed(event({"content": ""})))
        assert (reader.events, reader._collector.has_content) == (1, False)
        list(reader.feed(event({"content": "Hi"})))
        assert (reader.events, reader._collector.has_content) == (2, True)

    @pytest.mark.parametrize(
        "delta",
        [
            {"reasoning": "Hm"}, {"reasoning_details": [{"type": "reasoning.encrypted", "data": "eA=="}]},
            {"refusal": "No"}, {"tool_calls": [{"index": 0}]}, {"annotations": [{}]}, {"images": [{}]},
            {"audio": {"data": "UklG"}}, {"content": [{"type": "image_url"}]},
        ],
    )  # fmt: skip
    def test_any_content_begins_the_answer(self, delta):
        reader = stream_reader()
        list(reader.feed(event(delta)))
        assert reader._collector.has_content

    @pytest.mark.parametrize("empty", [b"data:\n\n", b"data\n\n", b"data: \n\n"])
    def test_events_without_data_are_skipped(self, empty):
        assert read_stream([empty, event({"content": "Hi"}), empty, event({}, "stop"), DONE]).whole.text == "Hi"

    def test_whole_message_in_stream_is_read(self):
        message = {"role": "assistant", "content": "Hi"}
        chunk = event(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])
        assert read_stream([chunk, DONE]).whole.text == "Hi"


class TestBrokenStream:
    def test_interrupted_stream_keeps_partial_reply(self):
        error = refused(
            event({"content": "", "reasoning": "Hm"}), event({"content": "Par"}),
            event({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a'}}]}),
            headers={"x-generation-id": "gen-header"},
        )  # fmt: skip
        assert type(error) is errors.StreamInterruptedError
        assert "stopped before its end" in error.message
        assert (error.generation_id, error.provider, error.model) == ("gen-1", "Liquid", ASKED.model)
        assert error.partial == Reply(
            choices=[Choice(text="Par", reasoning="Hm", tool_calls=[ToolCall(0, "c1", "f", '{"a')])],
            id="gen-1", model="liquid/x", provider="Liquid",
        )  # fmt: skip

    def test_interrupted_stream_without_content_is_retryable(self):
        for events in ([], [b": OPENROUTER PROCESSING\n\n"], [event({"content": ""})]):
            error = refused(*events, headers={"x-generation-id": "gen-header"})
            assert type(error) is errors.StreamInterruptedError
            assert error.partial is None
            assert error.is_retryable
            assert error.generation_id in ("gen-1", "gen-header")

    def test_done_without_finish_reason_is_interrupted(self):
        error = refused(event({"content": "Par"}), DONE)
        assert type(error) is errors.StreamInterruptedError
        assert error.partial.text == "Par"

    def test_done_without_content_is_retryable(self):
        error = refused(event({"content": ""}), DONE, headers={"x-generation-id": "gen-header"})
        assert type(error) is errors.ResponseError
        assert (error.is_retryable, error.partial, error.generation_id) == (True, None, "gen-1")

    def test_cut_last_event_is_interrupted(self):
        error = refused(event({"content": "Par"}), event({"content": "tial"})[:-10])
        assert type(error) is errors.StreamInterruptedError
        assert error.partial.text == "Par"

    @pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b"data: Hi\n\n", b'data: {"a": "\xff"}\n\n'])
    def test_event_that_is_not_an_object_is_refused(self, data):
        error = refused(event({"content": "Par"}) + data)
        assert type(error) is errors.ResponseError
        assert (error.partial.text, error.model, error.is_retryable) == ("Par", ASKED.model, False)

    def test_too_large_event_is_refused(self):
        reader = stream_reader(max_event_bytes=1_000)
        deltas: list[Delta] = []
        with pytest.raises(errors.ResponseError, match="larger than 1,000 bytes") as caught:
            deltas.extend(reader.feed(event({"content": "Par"}) + event({"content": "x" * 1_000})))
        reader.complete_error(caught.value)
        assert [delta.text for delta in deltas] == ["Par"]
        assert (caught.value.partial.text, caught.value.generation_id) == ("Par", "gen-1")


CONTENT_TYPES = ["application/json", "text/plain; charset=utf-8", "application/octet-stream", None]
STREAM = b"".join([event({"content": "H"}), event({"content": "i"}), event({}, "stop", usage=USAGE), DONE])


def fed(content_type: str | None, pieces: list[bytes], status: int = 200) -> tuple[ReplyReader, list[Delta]]:
    reader = ReplyReader(status, {} if content_type is None else {"content-type": content_type}, ASKED)
    deltas: list[Delta] = []
    for piece in (*pieces, b""):
        if reader.result is None:
            deltas.extend(reader.feed(piece))
    return reader, deltas


class TestContentType:
    @pytest.mark.parametrize("content_type", CONTENT_TYPES)
    @pytest.mark.parametrize("start", [b"", b": OPENROUTER PROCESSING\n\n", b"\n \n", b"event: x\n", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("size", [1, 3, 10_000])
    def test_stream_is_read_under_any_content_type(self, content_type, start, size):
        body = start + STREAM
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        reader, deltas = fed(content_type, pieces)
        assert [delta.text for delta in deltas] == ["H", "i"]
        assert (reader.result.text, reader.result.usage) == ("Hi", USAGE)

    @pytest.mark.parametrize("start", [b"", b": OPENROUTER PROCESSING\n\n"])
    def test_whole_reply_is_read_in_an_event_stream(self, start):
        whole = json.dumps(json.loads(body({"content": "Hi"})), indent=2).encode()
        reader, deltas = fed("text/event-stream", [start + whole])
        assert (reader.result.text, [delta.text for delta in deltas]) == ("Hi", ["Hi"])

    @pytest.mark.parametrize("end", [b"", b"\n", b"\n\n" + DONE])
    @pytest.mark.parametrize("start", [b"", event({"content": "Par"})])
    def test_error_without_data_in_a_stream_keeps_its_words(self, start, end):
        error = refused(start + b'{"error": {"code": 503, "message": "No room"}}' + end)
        assert (type(error), error.message) == (errors.ServerError, "No room.")
        assert bool(error.partial) is bool(start)


# As vLLM, FastAPI, Alibaba, Cloudflare, Baidu and others send them.
ELSEWHERE: list[tuple[dict[str, Any], type[errors.APIError], int | None, str]] = [
    ({"object": "error", "message": "Bad seed", "type": "BadRequestError", "code": 400}, errors.BadRequestError, 400,
     "Bad seed"),
    ({"detail": "Not here"}, errors.APIError, None, "Not here"),
    ({"detail": [{"loc": ["body"], "msg": "field required"}]}, errors.APIError, None, "field required"),
    ({"message": "Slow down", "code": 429}, errors.RateLimitError, 429, "Slow down"),
    ({"message": "Slow down", "statusCode": 429}, errors.RateLimitError, 429, "Slow down"),
    ({"msg": "Who are you?", "code": 401, "success": False}, errors.AuthenticationError, 401, "Who are you?"),
    ({"success": False, "errors": [{"code": 7000, "message": "No route"}]}, errors.APIError, None, "No route"),
    ({"error": "Bad seed"}, errors.APIError, None, "Bad seed"),
    ({"error": {"detail": "Bad seed"}}, errors.APIError, None, "Bad seed"),
    ({"error": {"reason": "Bad seed"}}, errors.APIError, None, "Bad seed"),
    ({"error": {"description": "Bad seed"}}, errors.APIError, None, "Bad seed"),
    ({"error": 503}, errors.ServerError, 503, "HTTP 503"),
    ({"error": "429"}, errors.RateLimitError, 429, "HTTP 429"),
    ({"error": ["Bad seed", "bad hat"]}, errors.APIError, None, "bad hat"),
    ({"error": "The model is overloaded"}, errors.ServerError, 503, "overloaded"),
    ({"error_msg": "Broken", "error_code": 500}, errors.ServerError, 500, "Broken"),
    ({"error": True, "message": "Bad seed", "code": 400}, errors.BadRequestError, 400, "Bad seed"),
    ({"title": "Forbidden", "status": 403}, errors.PermissionDeniedError, 403, "Forbidden"),
    ({"object": "error", "message": "maximum context length is 4096 tokens"}, errors.ContextWindowExceededError, 400,
     "4096"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "kind", "status", "words"), ELSEWHERE)
class TestErrorElsewhere:
    def test_error_outside_error_keeps_its_words(self, sent, kind, status, words):
        with pytest.raises(errors.APIError) as caught:
            read_reply(200, {}, json.dumps(sent).encode(), ASKED)
        assert (type(caught.value), caught.value.status_code) == (kind, status)
        assert words in caught.value.message

    def test_error_outside_error_in_a_stream_keeps_words_and_text(self, sent, kind, status, words):
        error = refused(event({"content": "Par"}), b"data: " + json.dumps(sent).encode() + b"\n\n")
        assert (type(error), error.status_code, error.partial.text) == (kind, status, "Par")
        assert words in error.message


HUGE = "9" * 5_000


@pytest.mark.parametrize("escaped", ["", r'"a": "\ud83d\ude00", '])
@pytest.mark.parametrize("name", ["created", "usage"])
def test_number_of_thousands_of_digits_is_none_and_the_reply_is_kept(name, escaped):
    number = HUGE if name == "created" else f'{{"prompt_tokens": 3, "cost": {HUGE}}}'
    more = f'{{{escaped}"{name}": {number}, '.encode()
    whole = read_reply(200, {}, more + body({"content": "Hi"})[1:], ASKED)
    streamed = read_stream([event({"content": "Hi"}, "stop"), b"data: " + more + b'"choices": []}\n\n', DONE]).whole
    for reply in (whole, streamed):
        assert reply.text == "Hi"
        assert (reply.usage or {}).get("cost") is None


@pytest.mark.parametrize("more", [{"errors": []}, {"title": {"role": "assistant"}}, {"detail": None}, {"msg": ""}])
def test_reply_with_fields_like_those_of_errors_is_a_reply(more):
    assert read({"content": "Hi"}, **more).text == "Hi"
    assert read_stream([event({"content": "Hi"}, "stop"), event(**more), DONE]).whole.text == "Hi"


COST = {"prompt_tokens": 3, "completion_tokens": 0, "cost": 0.5}


class TestIsAnswered:
    """What must not be asked for again."""

    @pytest.mark.parametrize(
        "sent", [b"", b"\n  \n", b": OPENROUTER PROCESSING", b": a\n\n: b\n\n", b"data:\n\n", b"data: \n\n", DONE]
    )
    def test_padding_is_no_answer(self, sent):
        reader = stream_reader()
        with contextlib.suppress(errors.APIError):
            list(reader.feed(sent))
        assert not reader.is_answered

    @pytest.mark.parametrize(
        "sent", [event({"role": "assistant", "content": ""}), event({"content": "H"}), event({"content": "H"})[:30],
                 b"data: {", b'{"choices": [', event(usage=COST)],
    )  # fmt: skip
    def test_any_event_or_part_of_one_is_an_answer(self, sent):
        reader = stream_reader()
        list(reader.feed(sent))
        assert reader.is_answered

    @pytest.mark.parametrize(("status", "is_answer"), [(200, True), (201, True), (203, True), (429, False)])
    def test_half_a_body_is_an_answer_in_any_success(self, status, is_answer):
        reader = ReplyReader(status, {}, ASKED)
        list(reader.feed(b"\n  "))
        assert not reader.is_answered
        list(reader.feed(b'{"cho'))
        assert reader.is_answered is is_answer

    @pytest.mark.parametrize("usage", [None, USAGE, COST])
    def test_error_is_an_answer_only_with_a_cost(self, usage):
        failed = {"error": {"code": 503, "message": "No room"}, "usage": usage}
        for reader in (ReplyReader(200, {}, ASKED), stream_reader()):
            data = (b"" if reader.events is None else b"data: ") + json.dumps(failed).encode()
            list(reader.feed(data))
            with pytest.raises(errors.ServerError):
                list(reader.feed(b""))
            assert reader.is_answered is (usage is COST)

    def test_error_outside_error_is_an_answer(self):
        reader = ReplyReader(200, {}, ASKED)
        with pytest.raises(errors.RateLimitError):
            list(reader.feed(b'{"message": "Slow down", "code": 429}')) + list(reader.feed(b""))
        assert reader.is_answered

    def test_empty_reply_is_an_answer_only_with_a_cost(self):
        for usage in (USAGE, COST):
            reader = ReplyReader(200, {}, ASKED)
            list(reader.feed(json.dumps({"choices": [], "usage": usage}).encode()))
            with pytest.raises(errors.ResponseError):
                reader.feed(b"")
            assert reader.is_answered is (usage is COST)


def test_connection_that_breaks_after_finish_and_usage_ends_the_reply():
    broken = errors.StreamInterruptedError("reset")
    reader = stream_reader({"transfer-encoding": "chunked"})
    list(reader.feed(event({"content": "Hi"}, "stop")))
    with pytest.raises(errors.StreamInterruptedError):
        reader.end(broken)
    list(reader.feed(event({}, "stop", usage=USAGE)))
    list(reader.feed(reader.end(broken)))
    assert reader.result.text == "Hi"


RATE_LIMIT = {"code": 429, "message": "Rate limit exceeded", "metadata": {"error_type": "rate_limit_exceeded"}}


class TestErrorInAStream:
    def test_stream_error_comes_after_earlier_deltas(self):
        failed = event({"content": "!"}, "error", error=RATE_LIMIT)
        reading = read_stream([event({"content": "Par"}) + failed, DONE])
        assert [delta.text for delta in reading.deltas] == ["Par", "!"]
        assert type(reading.error) is errors.RateLimitError
        assert reading.error.partial.text == "Par!"
        assert (reading.error.provider, reading.error.generation_id) == ("Liquid", "gen-1")

    def test_stream_error_may_be_the_only_event(self):
        error = refused(event({"content": ""}, "error", error=RATE_LIMIT))
        assert (type(error), error.partial, error.is_retryable) == (errors.RateLimitError, None, True)

    def test_stream_error_may_have_no_choices(self):
        error = refused(event({"content": "Par"}), b'data: {"error": {"code": 502, "message": "Lost"}}\n\n')
        assert (type(error), error.partial.text) == (errors.ServerError, "Par")

    def test_stream_error_may_have_a_word_as_code(self):
        error = refused(event({}, "error", error={"code": "server_error", "message": "Provider disconnected"}))
        assert (type(error), error.status_code, error.code) == (errors.ServerError, 500, "server_error")

    def test_stream_error_may_come_after_normal_finish(self):
        failed = event({"content": ""}, None, usage=USAGE, error={"code": 400, "message": "Token limit reached"})
        error = refused(event({"content": "Par"}), event({"content": ""}, "length"), failed, DONE)
        assert type(error) is errors.ContextWindowExceededError
        assert (error.status_code, error.is_retryable) == (400, False)
        assert (error.partial.text, error.partial.finish_reason, error.partial.usage) == ("Par", "length", USAGE)

    @pytest.mark.parametrize("finish_reason", ["error", None, "stop"])
    def test_stream_error_may_be_in_the_choice(self, finish_reason):
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": finish_reason, "error": RATE_LIMIT}
        assert type(refused(event({"content": "Par"}), event(choices=[choice]))) is errors.RateLimitError

    def test_stream_error_may_be_only_a_finish_reason(self):
        error = refused(event({"content": "Par"}), event({"content": ""}, "error"))
        assert (type(error), error.status_code, error.partial.text) == (errors.ServerError, 500, "Par")
        assert "without a reason" in error.message

    def test_stream_error_may_be_only_text(self):
        assert refused(event(error="out of memory")).message == "out of memory."


def test_complete_error_adds_what_arrived_to_outside_error():
    reader = stream_reader({"x-generation-id": "gen-header"})
    early = errors.APITimeoutError("silence")
    reader.complete_error(early)
    assert (early.partial, early.generation_id, early.provider, early.model) == (None, "gen-header", None, ASKED.model)
    list(reader.feed(event({"content": "Par"})))
    late = errors.APITimeoutError("silence")
    reader.complete_error(late)
    assert (late.partial.text, late.generation_id, late.provider) == ("Par", "gen-1", "Liquid")
    named = errors.APITimeoutError("silence", model="m", provider="p", generation_id="g")
    reader.complete_error(named)
    assert (named.model, named.provider, named.generation_id) == ("m", "p", "g")
