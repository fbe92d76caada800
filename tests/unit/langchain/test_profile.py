"""Facts about a model that need no request: its profile, and token estimates."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import ModelProfile
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool

from lfm_adapter import ChatLFM, catalog

if TYPE_CHECKING:
    from lfm_adapter.types import ModelCard


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return city


@pytest.mark.parametrize("card", catalog.models(), ids=lambda card: card.id)
@pytest.mark.parametrize("tool_calling", ["auto", "native"])
def test_profile_matches_catalogue(card: ModelCard, tool_calling: Any):
    profile = ChatLFM(model=card.id, tool_calling=tool_calling).profile
    can = card.capabilities
    # `ChatLFM` brings tools to every model that chats.
    prompted = True if tool_calling == "auto" and card.kind == "chat" else None
    assert profile is not None
    assert profile.keys() <= ModelProfile.__annotations__.keys()
    assert profile["name"] == card.name
    assert profile["status"] == ("deprecated" if card.status == "retired" else "active")
    for key, fact in {
        "max_input_tokens": card.context_length,
        "max_output_tokens": card.max_output_tokens,
        "tool_calling": prompted or can.tools,
        "tool_choice": prompted or can.tool_choice,
        "structured_output": can.structured_outputs,
        "reasoning_output": can.reasoning,
        **dict.fromkeys(("text_inputs", "text_outputs"), True if card.kind == "chat" else None),
        **dict.fromkeys(("image_inputs", "audio_inputs", "video_inputs"), False if card.kind == "chat" else None),
    }.items():
        assert profile.get(key) == fact, key
        assert (key in profile) is (fact is not None), key


def test_profile_of_unknown_model_is_empty():
    assert ChatLFM(model="liquid/lfm-9000b").profile == {}


def test_profile_understands_aliases_and_dated_slugs():
    assert ChatLFM(model="lfm-3b").profile == ChatLFM(model="liquid/lfm-3b").profile
    dated = ChatLFM(model="liquid/lfm-2.5-2.6b-20260811:free").profile
    assert dated == ChatLFM(model="liquid/lfm-2.5-2.6b:free").profile


def test_custom_profile_is_kept():
    assert ChatLFM(profile={"max_input_tokens": 5}).profile == {"max_input_tokens": 5}


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("東京", 2)])
def test_tokens_are_estimated_from_utf8_bytes(text: str, tokens: int):
    assert ChatLFM().get_num_tokens(text) == tokens


def test_lone_surrogate_is_counted():
    assert ChatLFM().get_num_tokens("\ud83d") == 1


def test_token_counter_is_used():
    def counter(messages: Any) -> int:
        seen.extend(messages)
        return 42

    seen: list[Any] = []
    model = ChatLFM(token_counter=counter)
    assert model.get_num_tokens("Hi") == 42
    assert model.get_num_tokens_from_messages([SystemMessage("Be brief."), HumanMessage("Hi")]) == 42
    assert seen[1:] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert model.get_num_tokens_from_messages([HumanMessage("Hi")], tools=[get_weather]) == 84


def test_custom_get_token_ids_is_used():
    assert ChatLFM(custom_get_token_ids=lambda text: [1, 2, 3]).get_num_tokens("Hi") == 3


def test_token_estimate_includes_images_and_tools():
    model = ChatLFM()
    plain = model.get_num_tokens_from_messages([HumanMessage("Hi"), AIMessage("Hello.")])
    image = {"type": "image", "base64": "A" * 100_000, "mime_type": "image/png"}
    with_image = model.get_num_tokens_from_messages([HumanMessage(["Hi", image]), AIMessage("Hello.")])
    with_tools = model.get_num_tokens_from_messages([HumanMessage("Hi"), AIMessage("Hello.")], tools=[get_weather])
    assert 0 < plain < with_image < plain + 1_000
    assert with_tools > plain


def test_http_libraries_are_loaded_on_first_call():
    """Each takes as long to import as all of this package."""
    code = """
import asyncio, sys
from lfm_adapter.langchain import ChatLFM
from lfm_adapter.errors import APIConnectionError

def loaded(): return [name for name in ("lfm_adapter._transport.urllib3", "aiohttp") if name in sys.modules]

model = ChatLFM(base_url="http://127.0.0.1:9/v1", max_retries=0)
model.bind_tools([])
assert loaded() == []
try: model.invoke("Hi")
except APIConnectionError: pass
assert loaded() == ["lfm_adapter._transport.urllib3"]
try: asyncio.run(model.ainvoke("Hi"))
except APIConnectionError: pass
assert loaded() == ["lfm_adapter._transport.urllib3", "aiohttp"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our own code
