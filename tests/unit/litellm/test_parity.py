"""A reply has the same content through `ChatLFM`, `LFMClient` and LiteLLM's `lfm/`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import ChatLFM, LFMClient, errors
from lfm_adapter.litellm._errors import to_litellm_error
from lfm_adapter.testing import ScriptedReply
from lfm_adapter.testing import _wire as scripted
from tests.support import corpus
from tests.support.litellm_ways import ask, failure

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

# A name without a card, so that parameters and prices are unknown.
MODEL = "acme/any-model"
USAGE = scripted.token_usage(18, 12, reasoning_tokens=9, cached_tokens=4, cost=3e-7)
CALLS = [scripted.tool_call("weather", {"city": "Oslo"}), scripted.tool_call("time", {}, call_id="call_2")]

SCRIPTED = {
    "plain": scripted.completion("Hello.", usage=USAGE, reasoning="Hm."),
    "padded": scripted.completion("Hello.", padding=scripted.PADDING),
    "tool calls": scripted.completion(None, tool_calls=CALLS),
    "refusal": scripted.completion("", refusal="I will not."),
    "cut by length": scripted.completion("", finish_reason="length", reasoning="Hm."),
    "no usage": scripted.completion("Hello.", usage=None),
    "stream A": scripted.stream(ending="A", usage=USAGE),
    "stream B": scripted.stream(ending="B", usage=USAGE),
    "stream C": scripted.stream(ending="C", usage=USAGE, reasoning=["Th", "ey."]),
    "stream, all at once": scripted.stream(ending="usage_in_finish", usage=USAGE),
    "stream of tool calls": scripted.stream([], tool_calls=CALLS),
}
FAILURES = {
    **{str(status): scripted.error(status, f"Failure {status}") for status in (400, 401, 402, 403, 404, 408, 422, 429)},
    **{str(status): scripted.error(status, f"Failure {status}") for status in (500, 502, 503, 504, 524, 529)},
    "error in a 200": scripted.error(200, "Provider disconnected", code=502),
    "error in a choice": scripted.error_in_choice(502, "Provider disconnected", text="Par"),
    "error in a stream": scripted.midstream_error(["Par"], 429, "Slow down"),
    "cut stream": scripted.stream(["Par", "is"]).broken(2),
}


def played(recording: corpus.Recording) -> ScriptedReply:
    return ScriptedReply(recording.status, {"Content-Type": recording.content_type}, (recording.body,))


RECORDED = {recording.id: played(recording) for recording in corpus.load()}
SUCCESSES = SCRIPTED | {name: reply for name, reply in RECORDED.items() if reply.status == 200}
ALL_FAILURES = FAILURES | {name: reply for name, reply in RECORDED.items() if reply.status != 200}
ALL_FAILURES |= {recording.id: played(recording) for recording in corpus.errors()}


def is_stream(reply: ScriptedReply) -> bool:
    return reply.headers.get("Content-Type", "").startswith("text/event-stream")


def with_all(replies: dict[str, ScriptedReply]) -> Any:
    return pytest.mark.parametrize("reply", replies.values(), ids=replies)


@with_all(SUCCESSES)
def test_reply_is_the_same_through_client_langchain_and_litellm(reply: ScriptedReply, server: ScriptedOpenRouter):
    server.add(reply, reply, reply)
    assert by_litellm(server, reply) == by_client(server, reply) == by_langchain(server, reply)


@with_all(ALL_FAILURES)
def test_failure_is_the_same_through_client_langchain_and_litellm(reply: ScriptedReply, server: ScriptedOpenRouter):
    server.add(reply, reply, reply)
    ways = (by_client, by_langchain)
    ours = []
    for way in ways:
        with pytest.raises(errors.APIError) as raised:
            way(server, reply)
        ours.append(raised.value)
    theirs = failure("stream" if is_stream(reply) else "completion", **at(server))
    kind = type(ours[0])
    assert isinstance(ours[1], kind)
    assert type(theirs.__cause__) is kind
    assert isinstance(theirs, type(to_litellm_error(ours[0], MODEL)))
    assert ours[0].status_code == ours[1].status_code == theirs.__cause__.status_code
    assert partial_text(ours[0]) == partial_text(ours[1]) == partial_text(theirs)


def at(server: ScriptedOpenRouter) -> dict[str, Any]:
    return {"model": f"lfm/{MODEL}", "api_base": server.base_url, "api_key": "test-key"}


def by_client(server: ScriptedOpenRouter, reply: ScriptedReply) -> dict[str, Any]:
    client = LFMClient(MODEL, base_url=server.base_url, api_key="test-key", max_retries=0)
    if is_stream(reply):
        with client.stream("Hi") as stream:
            whole = [delta.reply for delta in stream][-1]
        assert whole is not None
    else:
        whole = client.chat("Hi")
    return facts(
        whole.text, whole.reasoning, [(c.id, c.name, c.arguments) for c in whole.tool_calls], whole.finish_reason,
        (whole.usage or {}).get("total_tokens"), None if whole.cost is None else float(whole.cost.total), whole.id,
    )  # fmt: skip


def by_langchain(server: ScriptedOpenRouter, reply: ScriptedReply) -> dict[str, Any]:
    llm = ChatLFM(model=MODEL, base_url=server.base_url, api_key="test-key", max_retries=0)
    if is_stream(reply):
        chunks = [*llm.stream("Hi")]
        message: Any = sum(chunks[1:], start=chunks[0])
    else:
        message = llm.invoke("Hi")
    calls = [(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    metadata = message.response_metadata
    return facts(
        message.text, message.additional_kwargs.get("reasoning_content", ""), calls, metadata.get("finish_reason"),
        (message.usage_metadata or {}).get("total_tokens"), metadata.get("cost"), metadata.get("id"),
    )  # fmt: skip


def by_litellm(server: ScriptedOpenRouter, reply: ScriptedReply) -> dict[str, Any]:
    response = ask("stream" if is_stream(reply) else "completion", **at(server))
    choice = response.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    fields = choice.message.provider_specific_fields or {}
    reported = getattr(response, "usage", None)
    return facts(
        choice.message.content or "", getattr(choice.message, "reasoning_content", None) or "", calls,
        choice.finish_reason, reported and reported.total_tokens, fields.get("cost"), response.id,
    )  # fmt: skip


def facts(text, reasoning, calls, finish, tokens, cost, id_) -> dict[str, Any]:  # noqa: PLR0917 # one a column
    parsed = [(i, name, json.loads(a or "{}") if isinstance(a, str) else a) for i, name, a in calls]
    return {
        "text": text, "reasoning": reasoning, "tool_calls": parsed, "finish_reason": finish, "tokens": tokens or 0,
        "cost": cost, "id": id_,
    }  # fmt: skip


def partial_text(error: Any) -> str | None:
    return None if error.partial is None else error.partial.text
