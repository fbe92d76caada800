"""Any reply as LangChain's message: the same streamed and whole, and unharmed when it goes back with the next turn."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from lfm_adapter import ChatLFM
from lfm_adapter._openrouter.request import encode
from lfm_adapter._openrouter.tool_calls import as_object
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.types import Delta
from tests.support.chat_ways import summed
from tests.support.reply_strategies import ENDINGS, replies
from tests.support.stream_reading import ASKED, read_reply, read_stream

if TYPE_CHECKING:
    from lfm_adapter.types import Reply
    from tests.support.reply_strategies import Said

COMPARED = ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs", "response_metadata", "usage_metadata",
            "content_blocks")  # fmt: skip

one_answer = replies().filter(lambda said: len(said.body["choices"]) == 1)


def _messages(said: Said, ending: str, output_version: str) -> tuple[AIMessage, AIMessage]:
    """The message of `invoke`, and the sum of the chunks of `stream`."""

    class Client:
        def chat(self, *_: Any, **__: Any) -> Reply:
            return read_reply(200, {}, said.plain(), ASKED)

        def stream(self, *_: Any, **__: Any) -> Any:
            reading = read_stream(said.events(ending))
            return nullcontext([*reading.deltas, Delta(reply=reading.whole)])

    class Model(ChatLFM):
        def _client(self, **call: Any) -> Any:
            return Client()

    model = Model(output_version=output_version)
    chunks = list(model.stream("Hi"))
    assume(len(chunks) > 1)  # else there is no sum
    return model.invoke("Hi"), summed(chunks)


@given(one_answer, st.sampled_from(ENDINGS), st.sampled_from(["v0", "v1"]))
def test_the_sum_of_the_chunks_is_the_invoked_message(said, ending, output_version):
    whole, streamed = _messages(said, ending, output_version)
    for name in COMPARED:
        assert getattr(streamed, name) == getattr(whole, name), name


@given(one_answer, st.sampled_from(ENDINGS), st.sampled_from(["v0", "v1"]))
def test_a_message_goes_back_as_it_came(said, ending, output_version):
    (choice,) = said.body["choices"]
    came = choice["message"]
    for message in _messages(said, ending, output_version):
        (goes,) = to_wire([message])
        assert goes["role"] == "assistant"
        assert (goes["content"] or "") == (came["content"] or "")
        assert goes.get("refusal") == came.get("refusal")
        assert goes.get("reasoning_details", []) == came.get("reasoning_details", [])
        # LangChain keeps the calls that cannot be made apart from the others.
        cut_off = choice["finish_reason"] in ("length", "content_filter")
        calls = sorted(
            came.get("tool_calls", []),
            key=lambda call: (
                not _is_object(call["function"]["arguments"] if cut_off else as_object(call["function"]["arguments"]))
            ),
        )
        assert len(goes.get("tool_calls", [])) == len(calls)
        for call, before in zip(goes.get("tool_calls", []), calls, strict=True):
            assert (call["id"], call["function"]["name"]) == (before["id"], before["function"]["name"])
            value = _value(as_object(before["function"]["arguments"]))
            assert _value(call["function"]["arguments"]) == (value if isinstance(value, dict) else {})
        encode({"messages": [goes]})


KINDS = st.sampled_from(
    ["text", "image", "audio", "video", "file", "document", "text-plain", "non_standard", "tool_result", "image_url",
     "input_audio", "thinking", "base64", "url", "of next year"]
)  # fmt: skip
WORDS = st.none() | st.text(max_size=5) | st.integers(0, 1) | st.binary(max_size=2) | st.just([])
SOURCES = st.dictionaries(st.sampled_from(["url", "data", "text", "filename", "media_type"]), WORDS, max_size=4)
BLOCKS = st.text(max_size=5) | st.fixed_dictionaries(
    {"type": KINDS | st.sampled_from([5, None]) | st.builds(list)},
    optional=dict.fromkeys(["text", "url", "base64", "data", "mime_type", "file_id", "filename", "title"], WORDS)
    | dict.fromkeys(["source", "file", "image_url", "value", "extras"], SOURCES | st.builds(dict, type=KINDS))
    | {"content": WORDS | st.lists(st.builds(dict, type=KINDS) | WORDS, max_size=2), "tool_use_id": WORDS},
)


@given(st.lists(BLOCKS, max_size=4), st.sampled_from([HumanMessage, AIMessage]))
def test_any_content_is_sent_or_refused_in_plain_words(content, kind):
    try:
        message = kind(content)
    except ValueError:  # LangChain's own refusal
        assume(False)
    try:
        wire = to_wire([message])
    except ConfigurationError:
        return
    assert all(isinstance(part["content"], str | list) for part in wire)


def _is_object(text: str) -> bool:
    return isinstance(_value(text), dict)


def _value(text: str) -> Any:
    """What a text of JSON says; the text itself where it is none."""
    try:
        return json.loads(text, strict=False) if text.strip() else {}
    except ValueError:
        return text
