"""`ChatLFM` being shown, saved, copied, pickled and configured, never with its secrets."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.runnables import ConfigurableField
from langsmith._internal._serde import dumps_json

from lfm_adapter import ChatLFM
from lfm_adapter.testing import completion, stream
from tests.support.chat_ways import ask, chat, sent

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

KEY = "sk-or-v1-0123456789abcdef"
# LangChain calls `load` beta, once in a process.
pytestmark = pytest.mark.filterwarnings("ignore:The function `load:langchain_core._api.LangChainBetaWarning")

LOADABLE: dict[str, Any] = {"allowed_objects": [ChatLFM], "valid_namespaces": ["lfm_adapter"]}
SECRETS = {"api_key": KEY, "default_headers": {"X-Secret": "hush-hush"}}


def test_key_and_headers_are_never_shown():
    model = ChatLFM(**SECRETS)
    shown = [repr(model), str(model), json.dumps(model._identifying_params), str(model.asdict()), dumps(model)]
    shown.append(dumps_json({"llm": model}).decode())  # LangSmith's traces
    assert not [text for text in shown if "0123456789" in text or "hush" in text]
    assert "liquid/lfm-3b" in shown[0]


def test_dump_and_load_keep_the_request(server: ScriptedOpenRouter):
    model = chat(server, api_key=KEY, temperature=0.3, stop=["END"], provider={"zdr": True}, model_kwargs={"x": 1})
    saved = dumpd(model)
    assert saved["id"] == ["lfm_adapter", "langchain", "chat_model", "ChatLFM"]
    assert saved["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": ["OPENROUTER_API_KEY"]}
    again = load(saved, secrets_map={"OPENROUTER_API_KEY": KEY}, **LOADABLE)
    server.add(completion(), completion())
    model.invoke("Hi")
    again.invoke("Hi")
    first, second = server.requests
    assert first.body == second.body
    assert first.headers["authorization"] == second.headers["authorization"]
    assert dumpd(again) == saved


def test_dumps_and_loads_keep_fields(server: ScriptedOpenRouter):
    again = loads(dumps(ChatLFM(temperature=0.3)), **LOADABLE)
    assert again.temperature == 0.3


def asks_the_same(server: ScriptedOpenRouter, one: Any, other: Any) -> None:
    server.add(*[completion("Hello.")] * 2, stream("Hello."))
    one.invoke("Hi")
    other.invoke("Hi")
    first, second = server.requests[-2:]
    assert first.body == second.body
    names = ("authorization", "x-secret", "x-openrouter-title")
    assert [first.headers.get(name) for name in names] == [second.headers.get(name) for name in names]
    assert ask(other, "stream").text == "Hello."


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301  # our own
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "model_copy": lambda model: model.model_copy(),
    "with_config": lambda model: model.with_config(tags=["x"]),
}


@pytest.mark.parametrize("copied", COPIES)
def test_copy_sends_the_same_request(server: ScriptedOpenRouter, copied: str):
    model = chat(server, temperature=0.3, app_title="Mine", **SECRETS)
    asks_the_same(server, model, COPIES[copied](model))
    asks_the_same(server, model, COPIES[copied](model))


@pytest.mark.parametrize("bound", [False, True])
def test_bound_model_can_be_pickled(server: ScriptedOpenRouter, bound: bool):
    model: Any = chat(server)
    model = model.bind_tools([{"title": "f", "type": "object", "properties": {}}]) if bound else model | str
    assert pickle.loads(pickle.dumps(model)).__class__ is model.__class__  # noqa: S301  # our own


def test_model_copy_with_update_leaves_original_unchanged(server: ScriptedOpenRouter):
    server.add(completion(), completion())
    model = chat(server, temperature=0.1)
    changed = model.model_copy(update={"temperature": 0.9, "api_key": "other-key", "default_headers": {"X-Mine": "1"}})
    changed.invoke("Hi")
    assert sent(server)["temperature"] == 0.9
    assert server.requests[-1].headers["authorization"] == "Bearer other-key"
    assert server.requests[-1].headers["x-mine"] == "1"
    model.invoke("Hi")
    assert sent(server)["temperature"] == 0.1
    assert server.requests[-1].headers["authorization"] == "Bearer test-key"


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_configurable_fields_change_the_request(server: ScriptedOpenRouter, way: str):
    model = chat(server, temperature=0.1, default_headers={"X-Mine": "1"}).configurable_fields(
        temperature=ConfigurableField(id="warmth"), model=ConfigurableField(id="model")
    )
    for configurable in ({"warmth": 0.9, "model": "liquid/lfm-3-1.7b"}, {}):
        server.add(stream() if way == "stream" else completion())
        ask(model, way, config={"configurable": configurable})
        assert sent(server)["temperature"] == configurable.get("warmth", 0.1)
        assert sent(server)["model"] == configurable.get("model", "liquid/lfm-3b")
        assert sent(server).get("stream", False) is (way == "stream")
        assert server.requests[-1].headers["x-mine"] == "1"


def test_configurable_alternatives_change_the_model(server: ScriptedOpenRouter):
    server.add(completion(), completion())
    model = chat(server).configurable_alternatives(
        ConfigurableField(id="llm"), default_key="small", large=chat(server, model="liquid/lfm-40b")
    )
    model.invoke("Hi")
    model.invoke("Hi", {"configurable": {"llm": "large"}})
    assert [request.body["model"] for request in server.requests] == ["liquid/lfm-3b", "liquid/lfm-40b"]
