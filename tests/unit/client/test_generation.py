"""What a generation cost, and what the headers and errors of a reply say."""

from __future__ import annotations

import pytest

from lfm_adapter.errors import ConfigurationError, NotFoundError, PermissionDeniedError
from lfm_adapter.testing import completion, error, json_reply, stream

FACTS = {"id": "gen-1", "total_cost": 0.25, "cancelled": True, "provider_name": "Liquid"}
UNKNOWN = error(404, "Generation gen-1 not found")
HEADERS = {
    "X-Generation-Id": "gen-1",
    "X-OpenRouter-Cache-Status": "HIT",
    "X-RateLimit-Remaining": "19",
    "CF-Ray": "8c0ffee",
    "Set-Cookie": "session=1",
}


class TestGeneration:
    def test_generation_is_asked_for_by_its_id(self, make, server):
        server.add(json_reply({"data": FACTS}), path="/generation")
        assert make(server).generation("gen-1") == FACTS
        (request,) = server.requests
        assert (request.method, request.path) == ("GET", "/generation?id=gen-1")

    def test_generation_that_is_not_known_yet_is_asked_for_again(self, make, server, waits):
        server.add(UNKNOWN, UNKNOWN, json_reply({"data": FACTS}), path="/generation")
        assert make(server).generation("gen-1") == FACTS
        assert len(waits) == 2

    def test_generation_that_stays_unknown_raises_and_may_be_asked_for_later(self, make, server, waits):
        server.add(UNKNOWN, UNKNOWN, UNKNOWN, path="/generation")
        with pytest.raises(NotFoundError) as caught:
            make(server).generation("gen-1")
        assert caught.value.is_retryable

    def test_other_lookups_are_not_repeated_for_a_404(self, make, server, waits):
        server.add(UNKNOWN, path="/key")
        with pytest.raises(NotFoundError):
            make(server).key_info()
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "wrong", ["", None, 5, b"gen-1", "../key", "gen-1/../../key", "..", "gen-1&x=1", "gen 1", "gen-1\n", "g" * 300]
    )
    def test_generation_without_an_id_is_refused_before_any_request(self, make, server, wrong):
        with pytest.raises(ConfigurationError, match="generation_id"):
            make(server).generation(wrong)
        assert not server.requests


def test_reply_has_the_useful_headers(make, server):
    server.add(completion(headers=HEADERS), stream(headers=HEADERS))
    client = make(server)
    reply = client.chat("Hi")
    with client.stream("Hi") as deltas:
        list(deltas)
    for headers in (reply.headers, deltas.reply.headers):
        assert headers == {
            "x-generation-id": "gen-1",
            "x-openrouter-cache-status": "HIT",
            "x-ratelimit-remaining": "19",
            "cf-ray": "8c0ffee",
        }


def test_error_has_the_metadata_that_the_server_sent(make, server):
    metadata = {"reasons": ["violence"], "flagged_input": "Fight…", "provider_name": "Liquid"}
    server.add(error(403, "Flagged", metadata={**metadata, "user_id": "user_123abc456"}))
    with pytest.raises(PermissionDeniedError) as caught:
        make(server).chat("Hi")
    assert caught.value.metadata == metadata


def test_key_in_metadata_is_masked(make, server):
    key = "a-key-of-no-known-form"
    server.add(error(403, "No", metadata={"raw": f"You sent {key}."}))
    with pytest.raises(PermissionDeniedError) as caught:
        make(server, api_key=key).chat("Hi")
    assert caught.value.metadata == {"raw": "You sent [redacted]."}
