"""The OpenTelemetry span of a call, as the SDK's exporter gets it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import AsyncLFMClient, ChatLFM, LFMClient
from lfm_adapter.errors import APIError, InvalidDecisionError, OutputValidationError
from lfm_adapter.testing import completion, decisions, embeddings, error, stream, token_usage, tool_call
from lfm_adapter.testing._wire import midstream_error
from tests.support.both_clients import KEY

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from lfm_adapter.testing import ScriptedOpenRouter

MODEL = "liquid/lfm-2.5-2.6b:free"
USAGE = token_usage(9, 5, cost=2.8e-07, cached_tokens=4, reasoning_tokens=2)
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
SECRETS = ("My secret question", "My secret answer", KEY)


class Spans:
    """The spans that were exported."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def only(self) -> ReadableSpan:
        """The one span there is, without any text of the conversation."""
        (span,) = self.exporter.get_finished_spans()
        assert not [secret for secret in SECRETS if secret in span.to_json()]
        return span


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    recorded = Spans()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorded.provider)
    return recorded


def ask(client: Any, way: str, **parameters: Any) -> None:
    if way == "plain":
        client.chat("My secret question", **parameters)
    else:
        list(client.stream("My secret question", **parameters))


def answer(way: str, text: str | None = "My secret answer", **facts: Any) -> Any:
    return completion(text, **facts) if way == "plain" else stream([text] if text else [], **facts)


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def test_call_is_a_span_by_the_conventions(make: Any, server: ScriptedOpenRouter, spans: Spans, way: str):
    server.add(answer(way, model=MODEL, usage=USAGE))
    ask(make(server, as_openrouter=True, model=MODEL), way, max_tokens=50, temperature=0.3, top_k=5, seed=1)
    span = spans.only()
    assert (span.name, span.kind) == (f"chat {MODEL}", SpanKind.CLIENT)
    attributes = dict(span.attributes or {})
    first_chunk = attributes.pop("gen_ai.response.time_to_first_chunk", None)
    assert (first_chunk is None) is (way == "plain")
    assert str(attributes.pop("gen_ai.response.id")).startswith("gen-")
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.stream": way == "streamed",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.3,
        "gen_ai.request.top_k": 5,
        "gen_ai.request.seed": 1,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.cost": 2.8e-07,
        "lfm_adapter.cost_source": "openrouter",
        "lfm_adapter.provider": "Liquid",
        "server.address": "openrouter.ai",
        "server.port": 443,
    }
    assert span.status.status_code is StatusCode.UNSET


def test_each_request_for_embeddings_is_a_span_of_its_own(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(embeddings([0.5, 1], prompt_tokens=7, cost=0.25), embeddings([0.5, 1]), path="/embeddings")
    client = make(server, as_openrouter=True)
    client.embed(["My secret text", "another"], role="query", batch_size=1, max_concurrency=1)
    first, second = spans.exporter.get_finished_spans()
    model = "liquid/lfm-2.5-embedding-350m:free"
    assert first.name == second.name == f"embeddings {model}"
    attributes = dict(first.attributes or {})
    assert attributes["gen_ai.operation.name"] == "embeddings"
    assert attributes["gen_ai.embeddings.dimension.count"] == 2
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.cost"]) == (7, 0.25)
    assert "secret" not in str(attributes)


@pytest.mark.parametrize("is_async", [False, True])
def test_spans_of_requests_at_once_are_children_of_the_callers_span(
    server: ScriptedOpenRouter, spans: Spans, is_async: bool
):
    call: dict[str, Any] = {"role": "query", "batch_size": 1, "max_concurrency": 3}

    async def asked() -> Any:
        with spans.provider.get_tracer("mine").start_as_current_span("work") as work:
            if is_async:
                await AsyncLFMClient(base_url=server.base_url).embed(["a", "b", "c"], **call)
            else:
                LFMClient(base_url=server.base_url).embed(["a", "b", "c"], **call)
        return work

    work = asyncio.run(asked())
    *calls, _ = spans.exporter.get_finished_spans()
    assert [span.parent for span in calls] == [work.get_span_context()] * 3


def test_span_names_another_server(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(completion())
    make(server, model="my-model").chat("Hi")
    attributes = dict(spans.only().attributes or {})
    assert attributes["gen_ai.provider.name"] == "openai_compatible"
    assert attributes["server.address"] == "127.0.0.1"
    assert f":{attributes['server.port']}/" in server.base_url


def test_numbers_that_no_exporter_can_write_are_left_out(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(completion(usage={"prompt_tokens": 10**30, "completion_tokens": -1, "cost": 10**400}))
    make(server).chat("My secret question", seed=10**30, max_tokens=5)
    attributes = spans.only().attributes
    assert attributes["gen_ai.request.max_tokens"] == 5
    assert not {"gen_ai.request.seed", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"} & attributes.keys()


def test_span_is_a_child_of_the_callers_span(server: ScriptedOpenRouter, spans: Spans, way: str):
    async def asked() -> None:
        with spans.provider.get_tracer("mine").start_as_current_span("work"):
            client = AsyncLFMClient("m", base_url=server.base_url)
            if way == "plain":
                await client.chat("Hi")
            else:
                assert [delta async for delta in client.stream("Hi")]

    server.add(answer(way))
    asyncio.run(asked())
    ours, theirs = spans.exporter.get_finished_spans()
    assert theirs.name == "work"
    assert (ours.parent and ours.parent.span_id) == theirs.get_span_context().span_id


@pytest.mark.usefixtures("waits")
def test_retry_is_an_event(make: Any, server: ScriptedOpenRouter, spans: Spans, way: str):
    server.add(error(429, "Slow down, My secret question"), answer(way))
    ask(make(server), way)
    span = spans.only()
    ((name, attributes),) = events(span)
    assert name == "lfm_adapter.retry"
    assert attributes.pop("lfm_adapter.retry_delay") > 0
    assert attributes == {"error.type": "RateLimitError", "http.response.status_code": 429}
    assert span.status.status_code is StatusCode.UNSET


def test_output_retry_is_an_event_and_usage_is_of_both_turns(
    make: Any, server: ScriptedOpenRouter, spans: Spans, way: str
):
    server.add(answer(way, None), answer(way, None, tool_calls=[tool_call("weather", {})]))
    ask(make(server, model=MODEL, tool_calling="native"), way, tools=[WEATHER], tool_choice="required")
    span = spans.only()
    assert events(span) == [("lfm_adapter.output_retry", {"lfm_adapter.reason": "invalid_call"})]
    assert span.attributes is not None
    assert span.attributes["lfm_adapter.output_retries"] == 1
    assert span.attributes["gen_ai.usage.input_tokens"] == 18
    assert span.attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)


def test_prompting_for_tools_that_no_endpoint_supports_is_an_event(
    make: Any, server: ScriptedOpenRouter, spans: Spans, way: str
):
    server.add(error(404, "No endpoints found that support tool use."), answer(way))
    ask(make(server, model="another/model"), way, tools=[WEATHER])
    assert events(spans.only()) == [("lfm_adapter.fallback", {"lfm_adapter.reason": "no_native_tools"})]


def test_less_output_after_the_servers_count_is_an_event(make: Any, server: ScriptedOpenRouter, spans: Spans, way: str):
    too_long = (
        "This endpoint's maximum context length is 1000 tokens. However, you requested about 1200 tokens (700 of text "
        "input, 500 in the output)."
    )
    server.add(error(400, too_long), answer(way))
    ask(make(server, model="another/model"), way, max_tokens=500)
    assert events(spans.only()) == [("lfm_adapter.fallback", {"lfm_adapter.reason": "max_tokens_reduced"})]


def test_failed_call_has_the_error_and_no_text(make: Any, server: ScriptedOpenRouter, spans: Spans, way: str):
    server.add(error(401, "My secret question was refused"))
    with pytest.raises(APIError):
        ask(make(server), way)
    span = spans.only()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "AuthenticationError"
    assert span.attributes["http.response.status_code"] == 401
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


def test_invalid_output_is_an_error_with_its_usage(make: Any, server: ScriptedOpenRouter, spans: Spans, way: str):
    server.add(answer(way))
    with pytest.raises(OutputValidationError):
        ask(make(server, max_output_retries=0), way, response_format={"type": "json_object"})
    span = spans.only()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "OutputValidationError"
    assert span.attributes["gen_ai.usage.output_tokens"] == 5


def test_stream_that_breaks_off_is_an_error_with_what_arrived(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(midstream_error(["My secret answer"], 502, "Provider died"))
    with pytest.raises(APIError):
        list(make(server).stream("Hi"))
    span = spans.only()
    assert span.attributes is not None
    assert str(span.attributes["gen_ai.response.id"]).startswith("gen-")
    assert span.status.status_code is StatusCode.ERROR


def test_stream_that_is_closed_early_ends_its_span(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(stream(["My secret answer", " goes on."]))
    with make(server).stream("Hi") as answered:
        next(answered)
    span = spans.only()
    assert span.attributes is not None
    assert span.attributes["lfm_adapter.is_cancelled"] is True
    assert "error.type" not in span.attributes
    assert span.status.status_code is StatusCode.UNSET


def test_cancelled_call_ends_its_span(server: ScriptedOpenRouter, spans: Spans):
    async def cancelled() -> None:
        call = asyncio.create_task(AsyncLFMClient("m", base_url=server.base_url).chat("Hi"))
        await asyncio.to_thread(server.wait_for_requests, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    server.add(completion().held(0, threading.Event()))
    asyncio.run(cancelled())
    assert (spans.only().attributes or {})["lfm_adapter.is_cancelled"] is True


def test_stream_that_is_never_read_has_no_span(make: Any, server: ScriptedOpenRouter, spans: Spans):
    make(server).stream("Hi").close()
    assert spans.exporter.get_finished_spans() == ()


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_chat_model_has_one_span_a_call(server: ScriptedOpenRouter, spans: Spans, way: str):
    server.add(stream() if way == "stream" else completion())
    model = ChatLFM(model=MODEL, base_url=server.base_url)
    if way == "stream":
        list(model.stream("Hi"))
    else:
        model.invoke("Hi")
    assert spans.only().name == f"chat {MODEL}"


def test_span_that_is_not_sampled_costs_nothing(make: Any, server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    server.add(completion("Hello."))
    assert make(server).chat("Hi").text == "Hello."


def test_opentelemetry_is_not_loaded_by_the_package(server: ScriptedOpenRouter):
    server.add(completion())
    code = f"""
import sys
from lfm_adapter import LFMClient
LFMClient("m", base_url={server.base_url!r}).chat("Hi")
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our own program


def test_decision_is_a_span_with_its_tokens_and_cost(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(decisions({"q": 0.9}, input_tokens=476, cost=0.00000952), path="/systemone")
    make(server, model="liquid/d1.2").decide("My secret question", {"q": "My secret question"})
    span = spans.only()
    assert span.name == "decide liquid/d1.2"
    assert span.attributes is not None
    assert (
        span.attributes.items()
        >= {
            "gen_ai.operation.name": "decide",
            "gen_ai.request.model": "liquid/d1.2",
            "gen_ai.response.model": "liquid/d1.2",
            "gen_ai.usage.input_tokens": 476,
            "gen_ai.usage.output_tokens": 0,
            "gen_ai.usage.cost": 0.00000952,
        }.items()
    )


def test_answers_that_do_not_fit_are_an_error_of_the_span(make: Any, server: ScriptedOpenRouter, spans: Spans):
    server.add(decisions({"q": {"type": "refusal"}}, cost=0.5), path="/systemone")
    with pytest.raises(InvalidDecisionError):
        make(server, model="liquid/d1.2").decide("My secret question", {"q": "My secret question"})
    span = spans.only()
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.attributes["gen_ai.usage.cost"]) == ("InvalidDecisionError", 0.5)
