"""`ChatLFM` among LangChain's callbacks, traces, caches and rate limiters."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.rate_limiters import InMemoryRateLimiter

from lfm_adapter import ChatLFM
from lfm_adapter.errors import APIError
from lfm_adapter.testing import completion, events, json_reply, stream, token_usage
from lfm_adapter.testing._wire import midstream_error
from tests.support.chat_ways import MODEL, ask, chat

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter


class Heard(BaseCallbackHandler):
    """Records what it is called with."""

    def __init__(self) -> None:
        self.started: dict[str, Any] = {}
        self.tokens: list[str] = []
        self.chunks: list[Any] = []
        self.ended: Any = None
        self.error: BaseException | None = None
        self.partial: Any = None

    def on_chat_model_start(self, serialized: dict[str, Any], messages: Any, **kwargs: Any) -> None:
        self.started = {"serialized": serialized, **kwargs}

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> None:
        self.tokens.append(token)
        self.chunks.append(chunk)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ended = response

    def on_llm_error(self, error: BaseException, *, response: Any = None, **kwargs: Any) -> None:
        self.error, self.partial = error, response


class HeardAsync(AsyncCallbackHandler):
    """The same, awaited."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)


@pytest.mark.parametrize(("way", "handler"), [("stream", Heard), ("astream", Heard), ("astream", HeardAsync)])
def test_callbacks_get_each_token_once(server: ScriptedOpenRouter, way: str, handler: type[Any]):
    heard = handler()
    server.add(stream(["Hel", "lo."]))
    ask(chat(server), way, config={"callbacks": [heard]})
    assert [token for token in heard.tokens if token] == ["Hel", "lo."]


def test_callbacks_get_chunks_from_streaming_invoke(server: ScriptedOpenRouter):
    heard = Heard()
    server.add(stream(["Hel", "lo."]))
    chat(server, streaming=True).invoke("Hi", {"callbacks": [heard]})
    assert [chunk.text for chunk in heard.chunks if chunk.text] == ["Hel", "lo."]


def test_on_llm_end_gets_the_generation(server: ScriptedOpenRouter):
    heard = Heard()
    server.add(completion("Hello."))
    chat(server).invoke("Hi", {"callbacks": [heard]})
    generation = heard.ended.generations[0][0]
    assert generation.message.text == "Hello."
    assert generation.generation_info == {"finish_reason": "stop"}


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_on_llm_error_gets_partial_answer(server: ScriptedOpenRouter, way: str):
    heard = Heard()
    server.add(midstream_error(["Hel"], 502, "Provider died"))
    with pytest.raises(APIError):
        ask(chat(server), way, config={"callbacks": [heard]})
    assert heard.tokens == ["Hel"]
    assert isinstance(heard.error, APIError)
    assert heard.error.partial is not None
    assert heard.error.partial.text == "Hel"
    assert heard.partial.generations[0][0].text == "Hel"
    assert heard.ended is None


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_usage_callback_sums_usage(server: ScriptedOpenRouter, way: str):
    handler = UsageMetadataCallbackHandler()
    usage = token_usage(100, 50, reasoning_tokens=20)
    answer = stream(usage=usage) if "stream" in way else completion(usage=usage)
    server.add(answer, answer)
    model = chat(server)
    for _ in range(2):
        ask(model, way, config={"callbacks": [handler]})
    assert handler.usage_metadata[MODEL]["input_tokens"] == 200
    assert handler.usage_metadata[MODEL]["output_token_details"]["reasoning"] == 40


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_usage_is_counted_under_the_model_asked_if_the_reply_names_none(server: ScriptedOpenRouter, way: str):
    finished = {"finish_reason": "stop", "index": 0}
    usage = {"prompt_tokens": 9, "completion_tokens": 5}
    server.add(
        events({"id": "1", "choices": [{"delta": {"content": "Hi."}, **finished}], "usage": usage})
        if way == "stream"
        else json_reply({"id": "1", "choices": [{"message": {"content": "Hi."}, **finished}], "usage": usage})
    )
    handler = UsageMetadataCallbackHandler()
    answer = ask(chat(server), way, config={"callbacks": [handler]})
    assert answer.response_metadata["model_name"] == MODEL
    assert handler.usage_metadata[MODEL]["total_tokens"] == 14


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_langsmith_gets_request_parameters(server: ScriptedOpenRouter, way: str):
    heard = Heard()
    server.add(stream() if way == "stream" else completion())
    model = chat(server, temperature=0.3, max_completion_tokens=10, stop="END", app_title="Mine")
    ask(model, way, config={"callbacks": [heard]}, seed=1)
    metadata = heard.started["metadata"]
    assert {name: fact for name, fact in metadata.items() if name.startswith("ls_")} == {
        "ls_provider": "openrouter",
        "ls_model_name": MODEL,
        "ls_model_type": "chat",
        "ls_temperature": 0.3,
        "ls_max_tokens": 10,
        "ls_stop": ["END"],
        "ls_integration": "langchain_chat_model",
    }
    assert "lfm-adapter" in metadata["lc_versions"]
    parameters = heard.started["invocation_params"]
    assert parameters["_type"] == "chat-lfm"
    assert (parameters["model"], parameters["seed"]) == (MODEL, 1)
    assert "test-key" not in str(heard.started)


@pytest.mark.parametrize("name", ["model", "model_name"])
def test_langsmith_gets_parameters_of_the_call(server: ScriptedOpenRouter, name: str):
    heard = Heard()
    server.add(completion())
    call = {name: "liquid/lfm-3-1.7b", "temperature": 1.0, "max_tokens": 5, "stop": ["X"]}
    chat(server, temperature=0.3).invoke("Hi", {"callbacks": [heard]}, **call)
    metadata = heard.started["metadata"]
    assert [metadata[f"ls_{fact}"] for fact in ("model_name", "temperature", "max_tokens", "stop")] == [
        "liquid/lfm-3-1.7b",
        1.0,
        5,
        ["X"],
    ]


def test_message_and_trace_name_the_same_provider(server: ScriptedOpenRouter):
    """LangChain's SummarizationMiddleware trusts the usage of a message only then."""
    server.add(completion())
    model = chat(server)
    assert model.invoke("Hi").response_metadata["model_provider"] == model._get_ls_params()["ls_provider"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_cache_returns_the_same_message(server: ScriptedOpenRouter, way: str):
    server.add(completion("Hello.", reasoning="Hm."))
    model = chat(server, cache=InMemoryCache())
    first, second = ask(model, way), ask(model, way)
    assert len(server.requests) == 1
    assert second.content_blocks == first.content_blocks
    assert second.additional_kwargs == first.additional_kwargs
    assert second.response_metadata["id"] == first.response_metadata["id"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_answer_from_cache_costs_nothing(server: ScriptedOpenRouter, way: str):
    server.add(completion("Hello.", usage=token_usage(cost=0.5)))
    model = chat(server, cache=InMemoryCache())
    answers = [ask(model, way) for _ in range(3)]
    assert [answer.response_metadata["cost"] for answer in answers] == [0.5, 0.0, 0.0]
    assert [answer.response_metadata.get("cost_source") for answer in answers] == ["openrouter", None, None]
    assert answers[1].usage_metadata["total_tokens"] == answers[0].usage_metadata["total_tokens"]


@pytest.mark.parametrize(
    "other",
    [
        {"model": "liquid/lfm-3-1.7b"},
        {"temperature": 0.9},
        {"extra_body": {"x": 1}},
        {"model_kwargs": {"x": 1}},
        {"provider": {"zdr": True}},
        {"fallback_models": ["liquid/lfm-3-1.7b"]},
        {"tool_calling": "prompted"},
        {"recover_tool_calls": False},
        {"max_output_retries": 0},
        {"on_invalid_output": "return"},
    ],
)
def test_cache_distinguishes_requests(server: ScriptedOpenRouter, other: dict[str, Any]):
    server.add(*[completion("Hello.")] * 4)
    model = chat(server, cache=InMemoryCache())
    model.invoke("Hi")
    chat(server, cache=model.cache, **other).invoke("Hi")
    assert len(server.requests) == 2, "another model object"
    for name, value in other.items():
        setattr(model, name, value)
    model.invoke("Hi")
    assert len(server.requests) == 2, "the first, changed, asks the same as the other"
    model.invoke("Hi", seed=5)
    assert len(server.requests) == 3, "an argument of the call"


def test_cache_distinguishes_changed_copies(server: ScriptedOpenRouter):
    server.add(completion("Cold."), completion("Warm."))
    cold = chat(server, cache=InMemoryCache(), temperature=0.1)
    assert cold.invoke("Hi").text == "Cold."
    assert cold.model_copy(update={"temperature": 0.9}).invoke("Hi").text == "Warm."
    cold.temperature = 0.9
    assert cold.invoke("Hi").text == "Warm."


def test_cache_distinguishes_servers(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    server.add(completion("Here."))
    cache = InMemoryCache()
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    assert ChatLFM(cache=cache, api_key="k").invoke("Hi").text == "Here."
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(APIError):
        ChatLFM(cache=cache, api_key="k", max_retries=0).invoke("Hi")


def test_cache_key_has_no_secrets(server: ScriptedOpenRouter):
    class Spy(InMemoryCache):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            seen.append(llm_string)
            return super().lookup(prompt, llm_string)

    seen: list[str] = []
    server.add(completion())
    chat(server, cache=Spy(), default_headers={"X-Secret": "hush"}).invoke("Hi", api_key="other-key")
    assert seen
    assert not any(secret in seen[0] for secret in ("test-key", "other-key", "hush"))


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_rate_limiter_runs_before_the_request(server: ScriptedOpenRouter, way: str):
    limiter = InMemoryRateLimiter(requests_per_second=20, check_every_n_seconds=0.005, max_bucket_size=1)
    server.default = lambda request: stream() if "stream" in way else completion()
    model = chat(server, rate_limiter=limiter)
    start = time.monotonic()
    for _ in range(3):
        ask(model, way)
    assert time.monotonic() - start >= 0.09


def test_astream_events_yields_chunks(server: ScriptedOpenRouter):
    async def events() -> list[Any]:
        return [event async for event in chat(server).astream_events("Hi", version="v2")]

    server.add(stream(["Hel", "lo."]))
    heard = asyncio.run(events())
    assert [event["event"] for event in heard] == [
        "on_chat_model_start",
        *["on_chat_model_stream"] * 3,
        "on_chat_model_end",
    ]
    assert heard[-1]["data"]["output"].text == "Hello."


@pytest.mark.parametrize("method", [ChatLFM._generate, ChatLFM._agenerate])
def test_signatures_that_langchain_inspects_are_precomputed(method: Any):
    assert "run_manager" in method.__signature__.parameters
