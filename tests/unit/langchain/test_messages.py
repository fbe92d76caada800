"""LangChain's messages in wire form, whichever provider wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._messages import to_wire
from lfm_adapter.testing import chunk, completion, events, stream, token_usage, tool_call
from tests.support.chat_ways import ask, chat, native_chat, sent

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

PNG = "data:image/png;base64,AAAA"


def wire(message: BaseMessage) -> dict[str, Any]:
    (only,) = to_wire([message])
    return only


def parts(*blocks: Any) -> Any:
    return wire(HumanMessage(list(blocks)))["content"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("Be brief."), {"role": "system", "content": "Be brief."}),
        (
            SystemMessage("Be brief.", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "Be brief."},
        ),
        (HumanMessage("Hi"), {"role": "user", "content": "Hi"}),
        (HumanMessageChunk("Hi"), {"role": "user", "content": "Hi"}),
        (HumanMessage("Hi", name="ada"), {"role": "user", "content": "Hi", "name": "ada"}),
        (AIMessage("Hello."), {"role": "assistant", "content": "Hello."}),
        (AIMessage("Hello.", name="bot"), {"role": "assistant", "content": "Hello.", "name": "bot"}),
        (AIMessage(""), {"role": "assistant", "content": ""}),
        (
            ToolMessage("22", tool_call_id="call_1", name="get_weather", status="error", artifact={"secret": 1}),
            {"role": "tool", "content": "22", "tool_call_id": "call_1"},
        ),
        (ChatMessage("Hi", role="developer"), {"role": "developer", "content": "Hi"}),
    ],
)
def test_message_class_determines_role(message: BaseMessage, expected: dict[str, Any]):
    assert wire(message) == expected


@pytest.mark.parametrize("message", [FunctionMessage("22", name="f"), RemoveMessage(id="1")])
def test_unsupported_message_class_is_refused(server: ScriptedOpenRouter, message: BaseMessage):
    with pytest.raises(ConfigurationError, match=f"A {type(message).__name__} cannot be sent"):
        chat(server).invoke([message])
    assert server.requests == []


def test_strings_and_tuples_are_accepted_as_messages(server: ScriptedOpenRouter):
    server.add(completion())
    chat(server).invoke([("system", "Be brief."), {"role": "developer", "content": "Now."}, "Hi"])
    assert [message["role"] for message in sent(server)["messages"]] == ["system", "developer", "user"]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ("Hi", {"type": "text", "text": "Hi"}),
        ({"type": "text", "text": "Hi", "id": "lc_1", "index": 0}, {"type": "text", "text": "Hi"}),
        ({"type": "input_text", "text": "Hi"}, {"type": "text", "text": "Hi"}),
        ({"type": "output_text", "text": "Hi"}, {"type": "text", "text": "Hi"}),
        ({"type": "text-plain", "text": "Hi", "mime_type": "text/plain"}, {"type": "text", "text": "Hi"}),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}},
            {"type": "text", "text": "Hi"},
        ),
        (
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        ),
        (
            {"type": "text", "text": "Hi", "extras": {"cache_control": {"type": "ephemeral"}}},
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        ),
        ({"type": "new_in_2027", "x": 1}, {"type": "new_in_2027", "x": 1}),
        ({"type": "non_standard", "value": {"type": "new_in_2027", "x": 1}}, {"type": "new_in_2027", "x": 1}),
    ],
)
def test_text_and_unknown_blocks(block: Any, part: dict[str, Any]):
    assert parts(block, {"type": "image_url", "image_url": {"url": PNG}})[0] == part


@pytest.mark.parametrize(
    ("block", "url"),
    [
        ({"type": "image_url", "image_url": {"url": PNG}}, PNG),
        ({"type": "image_url", "image_url": PNG}, PNG),
        ({"type": "image", "url": "https://example.com/a.png"}, "https://example.com/a.png"),
        ({"type": "image", "base64": "AAAA", "mime_type": "image/png"}, PNG),
        ({"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"}, PNG),
        ({"type": "image", "source_type": "url", "url": "https://example.com/a.png"}, "https://example.com/a.png"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, PNG),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, "https://example.com/a.png"),
    ],
)
def test_images_of_every_style(block: dict[str, Any], url: str):
    """OpenAI's, LangChain's v1 and v0, and Anthropic's; in tool messages too."""
    expected = {"type": "image_url", "image_url": {"url": url}}
    assert parts("Look:", block) == [{"type": "text", "text": "Look:"}, expected]
    assert wire(ToolMessage([block], tool_call_id="1"))["content"] == [expected]
    assert wire(SystemMessage([block]))["content"] == [expected]


def test_detail_of_an_image_stays():
    block = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    assert parts(block) == [block]


@pytest.mark.parametrize(
    ("block", "format_"),
    [
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}, "wav"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/mpeg"}, "mp3"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/x-wav"}, "wav"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wave"}, "wav"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/vnd.wave"}, "wav"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/mp4"}, "m4a"),
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/x-m4a"}, "m4a"),
        ({"type": "audio", "base64": "AAAA"}, "wav"),
        ({"type": "audio", "source_type": "base64", "data": "AAAA", "mime_type": "audio/flac"}, "flac"),
        ({"type": "audio", "url": "data:audio/ogg;base64,AAAA"}, "ogg"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, "mp3"),
    ],
)
def test_audio_of_every_style(block: dict[str, Any], format_: str):
    assert parts(block) == [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": format_}}]


@pytest.mark.parametrize(
    ("block", "url"),
    [
        ({"type": "video", "url": "https://example.com/a.mp4"}, "https://example.com/a.mp4"),
        ({"type": "video", "base64": "AAAA", "mime_type": "video/mp4"}, "data:video/mp4;base64,AAAA"),
    ],
)
def test_video(block: dict[str, Any], url: str):
    assert parts(block) == [{"type": "video_url", "video_url": {"url": url}}]


PDF = "data:application/pdf;base64,AAAA"


@pytest.mark.parametrize(
    ("block", "file"),
    [
        ({"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "filename": "a.pdf"}, ("a.pdf", PDF)),
        ({"type": "file", "base64": "AAAA", "mime_type": "application/pdf"}, ("document.pdf", PDF)),
        ({"type": "file", "base64": "AAAA", "mime_type": "text/csv"}, ("document.csv", "data:text/csv;base64,AAAA")),
        (
            {"type": "file", "url": "https://example.com/a.pdf", "extras": {"filename": "a.pdf"}},
            ("a.pdf", "https://example.com/a.pdf"),
        ),
        (
            {"type": "document", "title": "A", "source": {"media_type": "application/pdf", "data": "AAAA"}},
            ("A", PDF),
        ),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}, ("a.pdf", PDF)),
    ],
)
def test_files_of_every_style(block: dict[str, Any], file: tuple[str, str]):
    assert parts(block) == [{"type": "file", "file": {"filename": file[0], "file_data": file[1]}}]


def test_file_that_was_uploaded_is_named_by_its_id():
    assert parts({"type": "file", "file_id": "file-1"}) == [{"type": "file", "file": {"file_id": "file-1"}}]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "file_id": "file-1"},
        {"type": "audio", "url": "https://example.com/a.wav"},
        {"type": "video", "file_id": "file-1"},
        {"type": "document", "source": {"type": "content", "content": []}},
    ],
)
def test_block_without_usable_data_is_refused(block: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="base64"):
        parts(block)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": b"\x89PNG"},
        {"type": "audio", "data": bytearray(4), "mime_type": "audio/wav"},
        {"type": "file", "base64": "AAAA", "mime_type": 7},
        {"type": "text", "text": 7},
    ],
)
def test_value_of_a_block_that_is_no_string_is_refused(block: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=r"of a content block must be a string, got (bytes|bytearray|int)"):
        parts(block)


def test_arguments_of_a_call_without_json_form_are_refused():
    for value in (b"x", float("nan"), object(), 10**5_000):
        with pytest.raises(ConfigurationError, match="cannot be encoded as JSON"):
            to_wire([AIMessage("", tool_calls=[{"name": "f", "args": {"a": value}, "id": "c"}])])


def test_invalid_call_with_a_number_that_json_does_not_have_goes_back_without_arguments():
    call = {"name": "f", "args": '{"a": NaN}', "id": "c", "error": None, "type": "invalid_tool_call"}
    (wire,) = to_wire([AIMessage("", invalid_tool_calls=[call])])
    assert wire["tool_calls"][0]["function"]["arguments"] == "{}"


def test_fields_of_another_provider_with_our_names_are_left_out():
    more = {"reasoning_details": 5, "reasoning_content": ["a"], "refusal": {"a": 1}}
    assert to_wire([AIMessage("Hi", additional_kwargs=more)]) == [{"role": "assistant", "content": "Hi"}]


@pytest.mark.parametrize("content", [b"x", 5, [5], [b"x"]])
def test_content_of_a_tool_result_that_is_no_content_is_refused(content: Any):
    with pytest.raises(ConfigurationError, match="Content must be a string or a list of strings and content blocks"):
        to_wire([HumanMessage([{"type": "tool_result", "tool_use_id": "c", "content": content}])])


def test_block_within_a_thousand_others_is_refused():
    block: dict[str, Any] = {"type": "text", "text": "Hi"}
    for _ in range(1_000):
        block = {"type": "non_standard", "value": block}
    with pytest.raises(ConfigurationError, match="A content block is nested too deeply"):
        to_wire([HumanMessage([block])])


def test_unknown_block_without_a_text_is_sent_unchanged():
    block = {"type": "of next year", "text": None}
    assert parts(block) == [block]


def test_blocks_normalized_by_langchain_are_sent_unchanged(server: ScriptedOpenRouter):
    blocks = [
        {"type": "text", "text": "Listen and read:"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        {"type": "image_url", "image_url": {"url": PNG}},
    ]
    server.add(completion())
    chat(server).invoke([HumanMessage(blocks)])
    assert sent(server)["messages"][0]["content"] == blocks


def test_single_text_is_sent_as_string_and_empty_texts_are_dropped():
    assert parts({"type": "text", "text": "Hi"}) == "Hi"
    assert parts({"type": "text", "text": "Hi"}, "") == "Hi"
    assert parts("Hi", "you") == [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}]
    assert parts() == ""


def test_text_blocks_of_an_answer_are_joined():
    message = AIMessage([{"type": "text", "text": "Hel", "index": 0}, "lo."])
    assert wire(message) == {"role": "assistant", "content": "Hello."}


OTHER_PROVIDERS = [
    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "AAAA"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "c2ln"}},
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}},
    {"type": "tool_call", "id": "call_1", "name": "get_weather", "args": {"city": "Paris"}},
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
    {"type": "server_tool_call", "id": "s", "name": "web_search", "args": {}},
    {"type": "non_standard", "value": {"type": "compaction", "x": 1}},
]


def test_blocks_of_other_providers_are_reduced_to_text_and_calls():
    call = {"name": "get_weather", "args": {"city": "Paris"}, "id": "call_1"}
    assert wire(AIMessage(OTHER_PROVIDERS, tool_calls=[call])) == {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
            }
        ],
    }


def test_tool_results_inside_a_human_message_become_tool_messages():
    """As Anthropic's API has them."""
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "22"}]}
    assert to_wire([HumanMessage([result, {"type": "text", "text": "And now?"}])]) == [
        {"role": "tool", "content": "22", "tool_call_id": "call_1"},
        {"role": "user", "content": "And now?"},
    ]
    assert len(to_wire([HumanMessage([result])])) == 1
    assert to_wire([HumanMessage([{"type": "tool_result", "tool_use_id": "call_1"}])])[0]["content"] == ""


def test_calls_without_text_have_null_content():
    message = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}])
    assert wire(message)["content"] is None


def test_calls_without_id_and_invalid_calls_are_replayed():
    message = AIMessage(
        "",
        tool_calls=[{"name": "f", "args": {"x": "é"}, "id": None}],
        invalid_tool_calls=[
            {"name": None, "args": '{"x": ', "id": "2", "error": "broken", "type": "invalid_tool_call"}
        ],
    )
    assert wire(message)["tool_calls"] == [
        {"id": "", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}},
        {"id": "2", "type": "function", "function": {"name": "", "arguments": "{}"}},
    ]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"city": "Par', "{}"),
        ("[1]", "{}"),
        ("", "{}"),
        (None, "{}"),
        ("[" * 100_000, "{}"),
        ('{"city": 5}', '{"city": 5}'),
        ('{"text": "two\nlines"}', '{"text": "two\\nlines"}'),
    ],
)
def test_invalid_call_goes_back_with_valid_json(arguments: str | None, sent: str):
    call = invalid_tool_call(name="f", args=arguments, id="call_1", error="broken")
    assert wire(AIMessage("", invalid_tool_calls=[call]))["tool_calls"][0]["function"]["arguments"] == sent


def test_invalid_call_without_result_gets_its_error_as_result():
    """OpenAI refuses a conversation in which a call has no result, so that its thread would be dead."""
    call = invalid_tool_call(name="f", args='{"a": ', id="call_1", error="It was cut off.")
    asked = AIMessage("", invalid_tool_calls=[call])
    result = {"role": "tool", "content": "It was cut off.", "tool_call_id": "call_1"}
    assert to_wire([HumanMessage("Hi"), asked, HumanMessage("Go on.")])[2] == result
    answered = to_wire([HumanMessage("Hi"), asked, ToolMessage("ok", tool_call_id="call_1"), HumanMessage("Go on.")])
    assert [message["content"] for message in answered if message["role"] == "tool"] == ["ok"]


def test_refusal_block_of_another_provider_is_sent_as_refusal():
    assert wire(AIMessage([{"type": "refusal", "refusal": "I cannot."}]))["refusal"] == "I cannot."


def test_lone_surrogate_in_arguments_is_replaced(server: ScriptedOpenRouter):
    server.add(completion(None, tool_calls=[tool_call("say", '{"text": "\\ud83d"}')]), completion())
    model = native_chat(server)
    answer = model.invoke("Hi")
    model.invoke([HumanMessage("Hi"), answer, ToolMessage("ok", tool_call_id="call_1")])
    assert sent(server)["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"text": "�"}'


DETAILS = [
    {"type": "reasoning.text", "text": "Hm… ", "signature": None, "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "text": "so.", "signature": "c2ln\n", "format": "anthropic-claude-v1", "index": 1},
    {"type": "reasoning.encrypted", "data": "AAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 2},
    {"type": "reasoning.new", "x": {"y": [1, None]}, "index": 3},
]


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_reasoning_blocks_are_replayed_unmodified(server: ScriptedOpenRouter, way: str, output_version: str):
    whole = completion("Hello.", message={"reasoning_details": DETAILS})
    cut = [
        {**DETAILS[1], "text": text, "signature": sign} for text, sign in (("s", None), ("o.", None), ("", "c2ln\n"))
    ]
    pieces = [DETAILS[0], *cut, *DETAILS[2:]]
    streamed = events(
        *(chunk({"content": "", "reasoning_details": [piece]}) for piece in pieces),
        chunk({"content": "Hello."}),
        chunk({"content": ""}, finish_reason="stop", usage=token_usage()),
    )
    server.add(streamed if way == "stream" else whole, completion())
    model = chat(server, output_version=output_version)
    answer = ask(model, way)
    model.invoke([HumanMessage("Hi"), answer, HumanMessage("And now?")])
    assert sent(server)["messages"][1] == {"role": "assistant", "content": "Hello.", "reasoning_details": DETAILS}


def test_reasoning_details_are_read_from_v1_content():
    block = {"type": "reasoning", "reasoning": "Hm… so.", "extras": {"reasoning_details": DETAILS}}
    message = AIMessage([block, {"type": "text", "text": "Hello."}])
    assert wire(message) == {"role": "assistant", "content": "Hello.", "reasoning_details": DETAILS}


def test_reasoning_without_blocks_is_replayed_as_text():
    message = AIMessage("Hello.", additional_kwargs={"reasoning_content": "Hm."})
    assert wire(message) == {"role": "assistant", "content": "Hello.", "reasoning": "Hm."}


@pytest.mark.parametrize("output_version", ["v0", "v1"])
def test_refusal_is_replayed(server: ScriptedOpenRouter, output_version: str):
    server.add(stream([], refusal=["I can", "not."]), completion())
    model = chat(server, output_version=output_version)
    answer = ask(model, "stream")
    model.invoke([HumanMessage("Hi"), answer, HumanMessage("Please.")])
    assert sent(server)["messages"][1] == {"role": "assistant", "content": "", "refusal": "I cannot."}


def test_sending_does_not_change_messages(server: ScriptedOpenRouter):
    history = [HumanMessage(["Hi", {"type": "image", "url": PNG}]), AIMessage(OTHER_PROVIDERS)]
    before = [message.model_copy(deep=True) for message in history]
    server.add(completion())
    chat(server).invoke(history)
    assert history == before
