"""An answer that began is not asked for again, no tool is called twice, and a retry says what the first try said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import chunk, completion, error, events, stream, tool_call
from tests.faults.asking import OURS, asking, is_streamed, playing
from tests.faults.repeats import repeated_finish
from tests.faults.table import SCENARIOS, rows
from tests.support.both_clients import record_waits

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario

MODEL = "liquid/lfm-2.5-2.6b:free"  # has tools
WHOLE, STREAMED = completion("Hello."), stream(["Hel", "lo."])
QUICK = [
    scenario
    for scenario in SCENARIOS
    if scenario.retried and scenario.heard is None and not scenario.first and "timeout" not in scenario.options
]


@pytest.mark.parametrize(("scenario", "way"), rows(OURS, QUICK))
def test_a_retry_sends_the_same_bytes_and_gets_the_answer(
    scenario: Scenario, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_waits(monkeypatch)
    failed = scenario.reply("streamed" if is_streamed(way) else "plain")
    answer = STREAMED if is_streamed(way) else WHOLE
    with playing(answer, first=(failed,)) as server, asking(way, server.base_url, **scenario.options) as ask:
        seen = ask()
    assert (seen.text, seen.error) == ("Hello.", None)
    first, second = server.requests
    assert (second.headers, second.content) == (first.headers, first.content)


BEGUN: dict[str, dict[str, Any]] = {
    "text": {"content": "Hel"},
    "reasoning": {"content": "", "reasoning": "Hm"},
    "reasoning details": {"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
    "a refusal": {"content": "", "refusal": "No"},
    "a tool call": {"content": None, "tool_calls": [{"index": 0, "id": "call_1", **tool_call("weather", "")}]},
    "an image": {"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
    "a citation": {"content": "", "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.test"}}]},
    "sound": {"content": "", "audio": {"id": "a", "data": "AA=="}},
}


@pytest.mark.parametrize("way", [way for way in OURS if is_streamed(way)])
@pytest.mark.parametrize("end", ["an error", "the end"])
@pytest.mark.parametrize("begun", BEGUN)
def test_an_answer_that_began_is_not_asked_for_again(begun: str, end: str, way: str) -> None:
    failed = [{"error": {"code": 503, "message": "Overloaded"}}] * (end == "an error")
    reply = events(chunk({"role": "assistant", **BEGUN[begun]}), *failed, done=False)
    with playing(reply) as server, asking(way, server.base_url, max_retries=3) as ask:
        seen = ask()
    assert seen.error.partial is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", [way for way in OURS if is_streamed(way)])
@pytest.mark.parametrize("arguments", ['{"city":"Oslo"}', "{}"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_call_that_is_said_again_at_the_end_is_made_once(way: str, arguments: str, *, streamed: bool) -> None:
    reply = repeated_finish(arguments, streamed=streamed)
    with playing(reply) as server, asking(way, server.base_url, model=MODEL) as ask:
        seen = ask()
    assert seen.error is None
    assert seen.calls == [arguments]


def test_each_call_has_all_its_tries() -> None:
    reply = error(503, "Not now", headers={"Retry-After": "0.01"})
    with playing(reply) as server, asking("LFMClient.chat", server.base_url, max_retries=1) as ask:
        assert [ask().error.status_code, ask().error.status_code] == [503, 503]
    assert len(server.requests) == 4
