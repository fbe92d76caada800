"""A scripted OpenRouter for tests, without a network or a key.

`pip install lfm-adapter` brings a pytest fixture, `openrouter`:

    from lfm_adapter import ChatLFM
    from lfm_adapter.testing import completion, failure

    def test_retries_after_a_rate_limit(openrouter):
        openrouter.add(failure("rate limit with Retry-After"), completion("Paris."))
        assert ChatLFM(model="liquid/lfm-3-1.7b").invoke("Capital of France?").text == "Paris."
        assert openrouter.requests[1].body["model"] == "liquid/lfm-3-1.7b"

The fixture points `OPENROUTER_BASE_URL` and `OPENROUTER_API_KEY` at the server. Clients treat it as OpenRouter: they
require a key, know prices, and replace the retired default model. Without pytest, use `ScriptedOpenRouter` directly.
"""

from __future__ import annotations

from lfm_adapter.testing._decisions import decisions
from lfm_adapter.testing._embeddings import embeddings
from lfm_adapter.testing._failures import failure, failure_names
from lfm_adapter.testing._listings import key_info, model_list
from lfm_adapter.testing._reply import Break, ScriptedReply, json_reply
from lfm_adapter.testing._server import RecordedRequest, ScriptedOpenRouter
from lfm_adapter.testing._wire import chunk, completion, error, events, stream, token_usage, tool_call

__all__ = [
    "Break",
    "RecordedRequest",
    "ScriptedOpenRouter",
    "ScriptedReply",
    "chunk",
    "completion",
    "decisions",
    "embeddings",
    "error",
    "events",
    "failure",
    "failure_names",
    "json_reply",
    "key_info",
    "model_list",
    "stream",
    "token_usage",
    "tool_call",
]
