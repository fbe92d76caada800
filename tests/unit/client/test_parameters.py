"""Parameters of a call: unknown names, and values of the wrong type."""

from __future__ import annotations

from collections import UserDict, UserString
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import pytest

from lfm_adapter import ChatLFM
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import completion, embeddings, stream

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


WRONG: list[Any] = [
    ("temperature", "hot", "`temperature` must be a number, got 'hot'."),
    ("temperature", True, "`temperature` must be a number, got True."),
    ("temperature", float("nan"), "`temperature` must be a number, got nan."),
    ("top_p", [0.9], "`top_p` must be a number, got [0.9]."),
    ("frequency_penalty", Decimal("Infinity"), "`frequency_penalty` must be a number, got Decimal('Infinity')."),
    ("max_tokens", "50", "`max_tokens` must be an integer, got '50'."),
    ("max_completion_tokens", 1.5, "`max_completion_tokens` must be an integer, got 1.5."),
    ("max_tokens", -1, "`max_tokens` must be an integer >= 1, got -1."),
    pytest.param("max_tokens", 10**5_000, "`max_tokens` must be less than 2^63.", id="huge"),
    ("seed", "x", "`seed` must be an integer, got 'x'."),
    ("seed", Fraction(1, 2), "`seed` must be an integer, got Fraction(1, 2)."),
    ("n", 0, "`n` must be an integer >= 1, got 0."),
    ("stop", 5, "`stop` must be a string or a list of strings, got 5."),
    ("stop", ["a", None], "`stop[1]` must be a string, got None."),
    ("user", 5, "`user` must be a string, got 5."),
    ("user", UserString("ada"), "`user` must be a string, got 'ada'."),
    ("logprobs", 5, "`logprobs` must be True or False, got 5."),
    ("logit_bias", [1], "`logit_bias` must be a dict, got [1]."),
    ("logit_bias", {50: "ban"}, "`logit_bias[50]` must be a number, got 'ban'."),
    ("tool_choice", 7, "`tool_choice` must be a string or a dict, got 7."),
    ("tools", ["web_search"], "`tools[0]` must be a dict, got 'web_search'."),
    ("response_format", "json_object", "`response_format` must be a dict, got 'json_object'."),
    ("models", "lfm-3b", "`models` must be a list of strings, got 'lfm-3b'."),
    ("metadata", {"order": 5}, "`metadata['order']` must be a string, got 5."),
    ("reasoning", "low", "`reasoning` must be a dict, got 'low'."),
    ("reasoning", {"max_tokens": "many"}, "`reasoning['max_tokens']` must be an integer, got 'many'."),
    ("provider", {"only": "liquid"}, "`provider['only']` must be a list of strings, got 'liquid'."),
    ("provider", {"max_price": {"prompt": {}}},
     "`provider['max_price']['prompt']` must be a number or a string, got {}."),
    ("extra_body", [1], "`extra_body` must be a dict, got [1]."),
    ("session_id", b"s-1", "`session_id` must be a string, got b's-1'."),
    ("trace", "x" * 1_000, f"`trace` must be a dict, got '{'x' * 79}…."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_value_of_another_type_raises_before_any_request(make, server, name, value, message):
    for method in ("chat", "stream"):
        with pytest.raises(ConfigurationError) as raised:
            getattr(make(server), method)("Hi", **{name: value})
        assert str(raised.value) == message
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [wrong for wrong in WRONG if isinstance(wrong, tuple) and wrong[0] not in ("stop", "extra_body", "metadata")],
)
def test_value_of_another_type_in_a_call_of_chat_lfm_raises(server, name, value, message):
    with pytest.raises(ConfigurationError) as raised:
        ChatLFM(base_url=server.base_url).invoke("Hi", **{name: value})
    assert str(raised.value) == message.replace("max_completion_tokens", "max_tokens")
    assert server.requests == []


@pytest.mark.parametrize("name", ["provider", "user", "session_id", "trace", "extra_body"])
def test_value_of_another_type_raises_in_decisions_and_embeddings(make, server, name):
    with pytest.raises(ConfigurationError, match=rf"`{name}` must be a (string|dict), got \[5\]"):
        make(server).decide("A state", {"urgent": "Is it urgent?"}, **{name: [5]})
    with pytest.raises(ConfigurationError, match=rf"`{name}` must be a (string|dict), got \[5\]"):
        make(server).embed("A text", role="query", **{name: [5]})
    assert server.requests == []


class Word(StrEnum):
    LOW = "low"


class Count(IntEnum):
    SEVEN = 7


class Fast(float):
    """A number of another library, such as NumPy's `float64`."""


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("temperature", 0, 0),
        ("temperature", Fast(0.5), 0.5),
        ("temperature", Decimal("0.5"), 0.5),
        ("temperature", Fraction(1, 2), 0.5),
        ("seed", Count.SEVEN, 7),
        ("stop", "END", "END"),
        ("stop", ("END",), ["END"]),
        ("reasoning_effort", Word.LOW, "low"),
        ("logit_bias", {50: -100}, {"50": -100}),
        ("provider", {"only": None, "sort": {"by": "price"}, "of_next_year": 1},
         {"only": None, "sort": {"by": "price"}, "of_next_year": 1}),
        ("provider", UserDict(only=["liquid"]), {"only": ["liquid"]}),
        ("of_next_year", {"x": UserDict(y=Fraction(1, 4))}, {"x": {"y": 0.25}}),
    ],
)  # fmt: skip
def test_value_of_a_like_type_is_sent(make, server, name, value, sent):
    server.add(completion())
    make(server).chat("Hi", **{name: value})
    assert server.requests[0].body[name] == sent


@pytest.mark.parametrize(
    "name", ["temperature", "stop", "seed", "user", "tool_choice", "response_format", "extra_body"]
)
def test_none_is_the_same_as_no_value(make, server, name):
    server.add(completion())
    make(server).chat("Hi", **{name: None})
    assert server.requests[0].body.keys() == {"model", "messages"}


OF_OTHER_SERVERS = {"logit_bias": [[50, -100]], "stop": 5, "temprature": 1, "n": 0, "user": None}


def test_extra_body_is_sent_whatever_its_types(make, server):
    server.add(completion())
    make(server).chat("Hi", extra_body={**OF_OTHER_SERVERS, "user": 5})
    assert server.requests[0].body == {**server.requests[0].body, **OF_OTHER_SERVERS, "user": 5}


def test_extra_body_of_chat_lfm_is_sent_whatever_its_names_and_types(server):
    server.add(completion(), completion())
    model = ChatLFM(base_url=server.base_url, stop=["END"], extra_body={"temprature": 1, "stop": 5})
    model.invoke("Hi")
    model.invoke("Hi", stop=["A"], extra_body={"user": 5})
    first, second = (request.body for request in server.requests)
    assert (first["temprature"], first["stop"], "extra_body" in first) == (1, 5, False)
    assert (second["temprature"], second["stop"], second["user"]) == (1, 5, 5)


def test_extra_body_of_embeddings_is_sent_whatever_its_types(make, server):
    server.add(embeddings([0.5]))
    make(server).embed("A text", role="query", extra_body={"user": 5})
    assert server.requests[0].body["user"] == 5
