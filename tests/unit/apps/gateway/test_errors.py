"""What clients are told."""

from __future__ import annotations

from lfm_adapter.apps.gateway.errors import GatewayError, to_gateway_error
from lfm_adapter.errors import APITimeoutError


def test_status_line_has_the_message_in_ascii_on_one_line():
    assert GatewayError(404, "Unknown\r\nX-Evil: 1 \x00 é").reason == "Unknown X-Evil: 1 ?"


def test_status_line_cuts_a_long_message():
    reason = GatewayError(400, "A word. " * 1_000).reason
    assert reason.startswith("A word. A word.")
    assert len(reason) <= 300


def test_names_of_settings_are_left_out():
    error = APITimeoutError("No event with data arrived for 120 s (`stream_chunk_timeout`).")
    assert to_gateway_error(error).message == "No event with data arrived for 120 s."
