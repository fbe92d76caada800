"""What is secret stays so when it is given to a single call, or comes with whitespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from openrouter_replies import completion, error

from lfm_adapter import ChatLFM, LFMClient, errors

if TYPE_CHECKING:
    from scripted_openrouter import ScriptedOpenRouter

KEY = "a-key-of-no-usual-form"


class Recorder(BaseCallbackHandler):
    """Keeps all that LangChain tells its callbacks of a call, which is what tracers record."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        self.told.append((serialized, messages, more))


def test_callbacks_are_not_told_the_key_or_the_headers_of_a_call(server: ScriptedOpenRouter):
    server.add(completion())
    recorder = Recorder()
    llm = ChatLFM(model="liquid/lfm-3-1.7b", base_url=server.base_url)
    llm.invoke(
        "Hi", config={"callbacks": [recorder]}, api_key=KEY, default_headers={"X-Secret": "hidden-value"}, top_k=5
    )
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["x-secret"] == "hidden-value"
    assert KEY not in repr(recorder.told)
    assert "hidden-value" not in repr(recorder.told)
    assert "top_k" in repr(recorder.told)


def test_key_that_a_server_repeats_is_masked_though_it_came_with_a_line_break(server: ScriptedOpenRouter):
    server.add(error(401, f"Bad key {KEY} given"))
    with pytest.raises(errors.AuthenticationError) as raised:
        LFMClient(base_url=server.base_url, api_key=f"{KEY}\n").chat("Hi")
    assert KEY not in str(raised.value)


def test_key_of_the_environment_does_not_go_to_this_machine_even_with_tls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    for kind in (ChatLFM, LFMClient):
        asker = kind(base_url="https://127.0.0.1:8443/v1")
        settings = asker._settings({}) if isinstance(asker, ChatLFM) else asker.settings
        assert settings.key() is None
