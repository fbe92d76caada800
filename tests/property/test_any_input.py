"""Values of any type, wherever a user may hand one in: they are sent, or refused in plain words. Nothing is made up."""

from __future__ import annotations

import dataclasses
import os
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from lfm_adapter import Attribution, ChatLFM, LFMClient, LFMDecisions, LFMEmbeddings
from lfm_adapter._client.settings import ClientOptions
from lfm_adapter.ledger import Budget
from lfm_adapter.types import ChatParameters, DecisionParameters, EmbeddingParameters
from tests.support.any_values import (
    ANYTHING,
    KEYS,
    MESSAGES,
    SHOWABLE,
    AnsweringTransport,
    any_object,
    sent_or_refused,
)

KEY = "sk-or-v1-" + "0" * 64
# Their tools and schemas are prompted, native, prompted or native as the endpoint decides, and unknown.
MODELS = st.sampled_from(["liquid/lfm-3b", "liquid/lfm-2.5-2.6b:free", "liquid/lfm-3-1.7b", "mine/own"])
SERVERS = st.sampled_from([None, "http://localhost:9/v1"])


def client(transport: AnsweringTransport, model: object, server: object = None, **options: Any) -> LFMClient:
    fields = {"model": model, "api_key": KEY, "base_url": server, "max_retries": 0, "transport": transport}
    return LFMClient(**fields | options)


@given(st.sampled_from([*ChatParameters.__annotations__, "brand_new", "model"]), ANYTHING, MODELS, SERVERS)
def test_any_parameter(name, value, model, server):
    sent_or_refused(lambda transport: client(transport, model, server).chat("Hi", **{name: value}))


@given(MESSAGES | ANYTHING, MODELS, SERVERS, st.sampled_from(["auto", "prompted"]))
def test_any_messages(messages, model, server, tool_calling):
    tools = [{"type": "function", "function": {"name": "f"}}]
    sent_or_refused(
        lambda transport: client(transport, model, server).chat(messages, tools=tools, tool_calling=tool_calling)
    )


@given(
    st.sampled_from(
        ["plugins", "models", "tools", "tool_choice", "n", "max_tokens", "transforms", "web_search_options"]
    ),
    st.lists(any_object("id", "type", "enabled", "function"), max_size=2) | ANYTHING,
    MODELS,
)
def test_any_field_of_the_extra_body_with_a_budget(name, value, model):
    extra_body = {"tools": [{"type": "function", "function": {"name": "f"}}], "max_tokens": 5, name: value}
    sent_or_refused(lambda transport: client(transport, model, budget=Budget(1)).chat("Hi", extra_body=extra_body))


KEYWORDS = ("properties", "required", "enum", "items", "anyOf", "$ref", "$defs", "description", "default", "minimum")
CHOICES = st.sampled_from(["auto", "none", "required", "any"]) | any_object(
    type=st.just("function"), function=any_object(name=st.just("f"), values=SHOWABLE), values=SHOWABLE
)


def schemas(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        any_object(*KEYWORDS, type=st.sampled_from(["object", "string"]), values=values),
        lambda inner: any_object(
            type=st.sampled_from(["object", "array"]),
            properties=st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
            items=inner,
            anyOf=st.lists(inner, max_size=2),
            values=values,
        ),
        max_leaves=2,
    )


def tools_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    function = any_object(
        "strict",
        name=st.sampled_from(["f", "g"]),
        description=st.just("Do it."),
        parameters=schemas(values),
        values=values,
    )
    return values | st.lists(any_object(type=st.just("function"), function=function, values=values), max_size=2)


def formats(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    schema = any_object("strict", "description", name=st.just("Answer"), schema=schemas(values), values=values)
    kinds = st.sampled_from(["json_schema", "json_object"])
    return values | any_object("schema", type=kinds, json_schema=schema, values=values)


@given(tools_of(ANYTHING), CHOICES | ANYTHING, MODELS, SERVERS)
def test_any_tools(tools, choice, model, server):
    sent_or_refused(
        lambda transport: client(transport, model, server, on_invalid_output="return").chat(
            "Hi", tools=tools, tool_choice=choice
        )
    )


@given(formats(ANYTHING), MODELS, SERVERS)
def test_any_response_format(response_format, model, server):
    sent_or_refused(
        lambda transport: client(transport, model, server, on_invalid_output="return").chat(
            "Hi", response_format=response_format
        )
    )


QUESTIONS = any_object(
    type=st.sampled_from(["noul", "choice", "score", "box"]),
    instructions=st.just("Is it?"),
    criteria=st.dictionaries(st.sampled_from(["true", "a"]), ANYTHING) | st.lists(ANYTHING, min_size=2, max_size=3),
)
STATES = st.just("It is.") | any_object(
    "text", type=st.sampled_from(["image", "text", "audio"]), url=st.just("data:image/png;base64,AA==")
)


@given(
    STATES | ANYTHING,
    st.dictionaries(st.sampled_from("qr") | KEYS, QUESTIONS | ANYTHING, max_size=2) | ANYTHING,
    st.sampled_from([("liquid/d1.2", "decisions"), ("mine/own", "chat")]),
    SERVERS | st.just("https://api.liquid.ai"),
)
def test_any_state_and_questions(state, questions, asked, server):
    model, via = asked
    sent_or_refused(lambda transport: client(transport, model, server).decide(state, questions, via=via))


@given(st.sampled_from([*DecisionParameters.__annotations__, "model"]), ANYTHING, SERVERS)
def test_any_parameter_of_a_decision(name, value, server):
    questions = {"q": "Is it?"}
    sent_or_refused(
        lambda transport: client(transport, "liquid/d1.2", server).decide("It is.", questions, **{name: value})
    )


@given(
    st.just("Hi") | st.lists(st.just("Hi") | ANYTHING, max_size=2) | ANYTHING,
    st.sampled_from([*EmbeddingParameters.__annotations__, "role", "model", "batch_size", "max_concurrency"]),
    ANYTHING,
)
def test_any_text_and_parameter_of_an_embedding(texts, name, value):
    sent_or_refused(lambda transport: client(transport, "mine/own").embed(texts, role="query"))
    parameters = {"role": "query", name: value}
    sent_or_refused(lambda transport: client(transport, "mine/own").embed("Hi", **parameters))


@given(st.sampled_from([option.name for option in dataclasses.fields(ClientOptions)]), ANYTHING)
def test_any_setting(name, value):
    def ask(transport: AnsweringTransport) -> None:
        made = client(**{"transport": transport, "model": "liquid/lfm-3b", name: value})
        made.chat("Hi")
        assert repr(made)

    sent_or_refused(ask)


@given(
    st.sampled_from(["API_KEY", "BASE_URL", "APP_URL", "APP_TITLE", "APP_CATEGORIES"]),
    st.text(max_size=8) | st.sampled_from(["\udc80", "http://", "https://[", "a,b,c", "http://\udcff", "http://x:9999999"]),
)  # fmt: skip
def test_any_variable_of_the_environment(name, value):
    variables = {"OPENROUTER_API_KEY": KEY, f"OPENROUTER_{name}": value.replace("\0", "")}
    with patch.dict(os.environ, variables):
        sent_or_refused(lambda transport: LFMClient(transport=transport, max_retries=0).chat("Hi"))
        sent_or_refused(lambda _: ChatLFM(), ValueError)


@given(st.sampled_from([option.name for option in dataclasses.fields(Budget)]), ANYTHING)
def test_any_budget(name, value):
    sent_or_refused(
        lambda transport: client(transport, "liquid/lfm-3-1.7b", budget=Budget(**{"usd": 1, name: value})).chat("Hi")
    )


@given(ANYTHING)
def test_any_id_and_attribution(value):
    sent_or_refused(lambda transport: client(transport, "mine/own").list_endpoints(value))
    sent_or_refused(lambda transport: client(transport, "mine/own").generation(value))
    for app in ((value,), ("https://app.example", value), ("https://app.example", "An app", value)):
        sent_or_refused(lambda _, app=app: Attribution(*app))
        sent_or_refused(lambda _, app=app: Attribution.from_env(*app))


def asking(cls: Any, transport: AnsweringTransport, **fields: Any) -> Any:
    """A model for LangChain that asks the transport."""

    class Asking(cls):
        def _client(self, **call: Any) -> Any:
            return LFMClient.from_settings(self._settings(**call), transport)

    return Asking(**{"api_key": KEY, "max_retries": 0, **fields})


LANGCHAINS = ("cache", "callbacks", "callback_manager", "custom_get_token_ids", "disable_streaming", "metadata", "name",
              "output_version", "profile", "rate_limiter", "tags", "verbose")  # fmt: skip


@given(st.sampled_from([name for name in ChatLFM.model_fields if name not in LANGCHAINS]), SHOWABLE, st.booleans())
def test_any_field_and_argument_of_chat_lfm(name, value, is_field):
    fields, call = ({name: value}, {}) if is_field else ({}, {name: value})
    sent_or_refused(lambda transport: asking(ChatLFM, transport, **fields).invoke("Hi", **call), ValueError)


@given(
    st.dictionaries(st.sampled_from("ab"), SHOWABLE, max_size=2),
    any_object("reasoning_details", "reasoning_content", "refusal", "__openai_role__", values=SHOWABLE),
    st.sampled_from(["{}", '{"a": NaN}', "", "[1]", None]),
    MODELS,
)
def test_any_history_of_chat_lfm(arguments, more, invalid, model):
    call = {"name": "f", "args": arguments, "id": "c"}
    cut_off = {"name": "f", "args": invalid, "id": "d", "error": None, "type": "invalid_tool_call"}
    history = [
        SystemMessage("Be kind.", additional_kwargs=more),
        AIMessage("", tool_calls=[call], invalid_tool_calls=[cut_off], additional_kwargs=more),
        ToolMessage("Done.", tool_call_id="c"),
        HumanMessage("Thanks."),
    ]
    sent_or_refused(lambda transport: asking(ChatLFM, transport, model=model).invoke(history))


@given(tools_of(SHOWABLE) | st.lists(SHOWABLE, max_size=2), CHOICES | SHOWABLE, MODELS)
def test_any_tools_of_chat_lfm(tools, choice, model):
    def ask(transport: AnsweringTransport) -> None:
        chat = asking(ChatLFM, transport, model=model, on_invalid_output="return")
        bound = chat.bind_tools(tools, tool_choice=choice)
        bound.invoke("Hi")

    sent_or_refused(ask, ValueError)


@given(
    formats(SHOWABLE) | any_object(name=st.just("Answer"), parameters=schemas(SHOWABLE), values=SHOWABLE),
    st.sampled_from([None, "json_schema", "function_calling", "json_mode"]) | SHOWABLE,
    MODELS,
)
def test_any_schema_of_chat_lfm(schema, method, model):
    def ask(transport: AnsweringTransport) -> None:
        asking(ChatLFM, transport, model=model).with_structured_output(schema, method=method).invoke("Hi")

    sent_or_refused(ask, OutputParserException)


@given(ANYTHING, ANYTHING)
def test_any_input_of_embeddings_and_decisions_for_langchain(value, other):
    sent_or_refused(lambda transport: asking(LFMEmbeddings, transport).embed_documents(value))
    sent_or_refused(lambda transport: asking(LFMEmbeddings, transport).embed_query(value))
    assume(isinstance(value, str | dict | list))
    question = {"q": {"type": "noul", "instructions": other}}
    sent_or_refused(
        lambda transport: asking(LFMDecisions, transport).invoke({"state": value, "questions": question}), ValueError
    )


@given(st.data())
def test_any_arguments_of_a_tool_for_agents(data):
    pytest.importorskip("mcp", reason="needs `pip install 'lfm-adapter[mcp]'`")
    from lfm_adapter.apps.mcp import object_tools, text_tools, tools
    from lfm_adapter.apps.mcp.tool import Tool

    kinds = [
        kind
        for module in (tools, text_tools, object_tools)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Tool) and "title" in vars(kind)
    ]
    kind = data.draw(st.sampled_from(kinds))
    names = [field.alias or name for name, field in kind.model_fields.items()]
    arguments = data.draw(st.dictionaries(st.sampled_from([*names, "unknown"]), ANYTHING, max_size=4))
    sent_or_refused(lambda _: kind.parse(arguments))
