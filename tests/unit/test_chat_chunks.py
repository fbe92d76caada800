"""Chunks of a stream that was left early, as histories keep them."""

from __future__ import annotations

import pickle

from langchain_core.messages import AIMessage, message_chunk_to_message

from lfm_adapter.langchain.replies import to_chunk
from lfm_adapter.openrouter.values import Delta


def test_become_a_message():
    left_early = to_chunk(Delta(text="Once ")) + to_chunk(Delta(text="upon"))
    message = message_chunk_to_message(left_early)
    assert type(message) is AIMessage
    assert message.text == "Once upon"


def test_can_be_pickled():
    chunk = to_chunk(Delta(text="Once "))
    assert pickle.loads(pickle.dumps(chunk)) == chunk  # noqa: S301 # our own
