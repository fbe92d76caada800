"""Values of any type in LiteLLM's arguments: see `tests/property/test_any_input.py`."""

from __future__ import annotations

from typing import Any

import openai
from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter.litellm import LFMProvider
from lfm_adapter.types import ChatParameters
from tests.support.any_values import ANYTHING, MESSAGES, AnsweringTransport, any_object, sent_or_refused

MODELS = st.sampled_from(["liquid/lfm-3b", "liquid/lfm-2.5-2.6b:free", "liquid/lfm-3-1.7b", "mine/own"])


def ask(transport: AnsweringTransport, model: str, **given: Any) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    call = {"model": model, "messages": messages, "optional_params": {}, "api_key": "k" * 40, "timeout": 5.0}
    LFMProvider(transport=transport).completion(**call | given)


@given(MESSAGES | ANYTHING, MODELS)
def test_any_messages(messages, model):
    sent_or_refused(lambda transport: ask(transport, model, messages=messages), openai.OpenAIError)


@given(st.sampled_from([*ChatParameters.__annotations__, "thinking", "brand_new"]), ANYTHING, MODELS)
def test_any_parameter(name, value, model):
    sent_or_refused(lambda transport: ask(transport, model, optional_params={name: value}), openai.OpenAIError)


@given(st.lists(ANYTHING, max_size=2) | ANYTHING, any_object("input_type", "user", "provider", "extra_body"))
def test_any_texts_and_parameters_of_an_embedding(texts, parameters):
    def embed(transport: AnsweringTransport) -> None:
        LFMProvider(transport=transport).embedding(
            model="mine/own", input=texts, optional_params=parameters, api_key="k" * 40
        )

    sent_or_refused(embed, openai.OpenAIError)
