"""What goes over the wire is Unicode, whatever the pieces were."""

from __future__ import annotations

import json

from lfm_adapter.apps.gateway.errors import GatewayError
from lfm_adapter.apps.gateway.wire import ChunkWriter, encoded
from lfm_adapter.types import Choice, Delta, Reply


def test_halves_of_characters_are_joined_or_replaced():
    assert encoded("lfm") == b"lfm"
    assert encoded("\ud83d\ude00, and \ud83d") == "😀, and \ufffd".encode()


def test_no_event_of_a_stream_breaks_off_on_half_a_character():
    writer = ChunkWriter("lfm-\ud83d")
    events = writer.events([Delta("half: \ud83d"), Delta(reply=Reply(choices=[Choice()], provider="\ude00"))])
    events += writer.error(GatewayError(502, "\ud83d"))
    text, last, done, error, again, rest = events.decode().split("\n\n")
    assert json.loads(text.removeprefix("data: "))["choices"][0]["delta"]["content"] == "half: \ufffd"
    assert json.loads(last.removeprefix("data: "))["provider"] == "\ufffd"
    assert json.loads(error.removeprefix("data: "))["error"]["message"] == "\ufffd"
    assert (done, again, rest) == ("data: [DONE]", "data: [DONE]", "")
