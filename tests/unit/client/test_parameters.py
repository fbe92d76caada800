"""Parameters of a call that nobody knows."""

from __future__ import annotations

import pytest

from lfm_adapter import ChatLFM
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import completion, stream

# Of llama.cpp, vLLM, TGI and Groq.
OF_SERVERS = ["min_tokens", "max_new_tokens", "repeat_penalty", "reasoning_format", "prompt_logprobs", "n_probs"]
MISSPELLED = {
    "temprature": "temperature",
    "max_token": "max_tokens",
    "topp": "top_p",
    "tool_choise": "tool_choice",
    "response_fromat": "response_format",
    "when_retried": "when_retired",
}


@pytest.mark.parametrize(("given", "meant"), MISSPELLED.items())
@pytest.mark.parametrize("method", ["chat", "stream"])
def test_misspelled_parameter_raises_before_any_request(make, server, method, given, meant):
    with pytest.raises(ConfigurationError, match=f"`{given}`. Did you mean `{meant}`"):
        getattr(make(server), method)("Hi", **{given: 1})
    assert server.requests == []


def test_misspelled_parameter_of_chat_lfm_raises(server):
    with pytest.raises(ConfigurationError, match="Did you mean `temperature`"):
        ChatLFM(base_url=server.base_url).invoke("Hi", temprature=1)
    assert server.requests == []


@pytest.mark.parametrize("name", OF_SERVERS)
def test_parameters_of_other_servers_are_sent(make, server, name):
    server.add(completion(), stream())
    make(server).chat("Hi", **{name: 1})
    make(server).text(**{name: 1})
    assert [request.body[name] for request in server.requests] == [1, 1]


def test_extra_body_is_sent_whatever_its_names(make, server):
    server.add(completion())
    make(server).chat("Hi", extra_body={"temprature": 1})
    assert server.requests[0].body["temprature"] == 1
