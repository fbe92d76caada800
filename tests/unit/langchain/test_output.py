"""Structured output: objects of a schema, and an error for every other answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Annotated, Any, Generic, NotRequired, Optional, TypedDict, TypeVar

import pytest
from jsonschema import Draft202012Validator
from langchain_core import exceptions
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from pydantic import BaseModel, BeforeValidator, Field, v1

from lfm_adapter import ChatLFM
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.testing import completion, stream, tool_call
from tests.support.chat_ways import chat, native_chat, sent

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply


class Cat(BaseModel):
    """A cat."""

    name: str = Field(description="What it is called.")
    age: int


class CatDict(TypedDict):
    """A cat."""

    name: Annotated[str, ..., "What it is called."]
    age: Annotated[int, ..., "In years."]


SCHEMA = {
    "title": "Cat",
    "description": "A cat.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}

SCHEMAS: dict[str, tuple[Any, str, Any]] = {
    "pydantic": (Cat, "Cat", Cat(name="Tom", age=3)),
    "typed dict": (CatDict, "CatDict", {"name": "Tom", "age": 3}),
    "json schema": (SCHEMA, "Cat", {"name": "Tom", "age": 3}),
}
METHODS = ["json_schema", "function_calling", "json_mode"]
TOM = '{"name": "Tom", "age": 3}'
HALF = '{"name": "Tom", "age": '


def reply(method: str, name: str = "Cat", text: str = TOM, *, streamed: bool = False, **facts: Any) -> ScriptedReply:
    """The answer as the method brings it: in a tool call, or as text."""
    calls = [tool_call(name, text)] if method == "function_calling" else []
    spoken = "" if calls else text
    if streamed:
        pieces = [spoken[start : start + 4] for start in range(0, len(spoken), 4)]
        return stream(pieces, tool_calls=calls, **facts)
    return completion(spoken or None, tool_calls=calls, **facts)


def run(model: Any, way: str) -> Any:
    """Ask, and of a stream return the last object."""

    async def last() -> Any:
        return [part async for part in model.astream("Hi")][-1]

    match way:
        case "invoke":
            return model.invoke("Hi")
        case "ainvoke":
            return asyncio.run(model.ainvoke("Hi"))
        case "stream":
            return list(model.stream("Hi"))[-1]
        case _:
            return asyncio.run(last())


WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_structured_output_returns_object(server: ScriptedOpenRouter, schema: str, method: Any, way: str):
    given, name, expected = SCHEMAS[schema]
    server.add(reply(method, name, streamed="stream" in way))
    assert run(native_chat(server).with_structured_output(given, method=method), way) == expected


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("method", METHODS)
def test_structured_output_works_with_both_output_versions(
    server: ScriptedOpenRouter, method: Any, output_version: str
):
    server.add(reply(method), reply(method, streamed=True))
    model = native_chat(server, output_version=output_version).with_structured_output(Cat, method=method)
    assert [run(model, "invoke"), run(model, "stream")] == [Cat(name="Tom", age=3)] * 2


@pytest.mark.parametrize("schema", SCHEMAS)
def test_json_schema_is_sent_as_response_format(server: ScriptedOpenRouter, schema: str):
    given, name, _ = SCHEMAS[schema]
    server.add(reply("json_schema"))
    native_chat(server).with_structured_output(given, method="json_schema").invoke("Hi")
    format_ = sent(server)["response_format"]
    assert format_["type"] == "json_schema"
    described = format_["json_schema"]
    assert (described["name"], described["description"]) == (name, "A cat.")
    assert described["schema"]["required"] == ["name", "age"]
    assert described["schema"]["properties"].keys() == {"name", "age"}
    assert "strict" not in described


@pytest.mark.parametrize("strict", [True, False])
def test_strict_is_sent_when_asked(server: ScriptedOpenRouter, strict: bool):
    server.add(reply("json_schema"), reply("function_calling"))
    native_chat(server).with_structured_output(Cat, method="json_schema", strict=strict).invoke("Hi")
    assert sent(server)["response_format"]["json_schema"]["strict"] is strict
    native_chat(server).with_structured_output(Cat, method="function_calling", strict=strict).invoke("Hi")
    assert sent(server)["tools"][0]["function"]["strict"] is strict


def test_function_calling_requires_the_tool(server: ScriptedOpenRouter):
    server.add(reply("function_calling"))
    native_chat(server).with_structured_output(Cat, method="function_calling").invoke("Hi")
    # By name on OpenRouter; other servers do not all take a name: see `client/plan.py`.
    assert sent(server)["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in sent(server)["tools"]] == ["Cat"]
    assert "response_format" not in sent(server)


def test_json_mode_asks_for_any_object(server: ScriptedOpenRouter):
    server.add(reply("json_mode"))
    native_chat(server).with_structured_output(Cat, method="json_mode").invoke("Hi")
    assert sent(server)["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("model", "expected"), [("liquid/lfm-2.5-2.6b:free", "json_schema"), ("another/model", "function_calling")]
)
def test_default_method_is_the_best_supported(
    server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, model: str, expected: str
):
    monkeypatch.setattr("lfm_adapter._client.settings.Settings.is_local", False)
    server.add(reply(expected))
    native_chat(server, model=model).with_structured_output(Cat).invoke("Hi")
    assert ("response_format" in sent(server)) is (expected == "json_schema")


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_model_without_native_support_is_prompted(server: ScriptedOpenRouter, schema: str, way: str, method: Any):
    given, name, expected = SCHEMAS[schema]
    call = f'<tool_call>{{"name": "{name}", "arguments": {TOM}}}</tool_call>'
    text = call if method == "function_calling" else f"Here you are:\n```json\n{TOM}\n```"
    server.add(reply("json_schema", text=text, streamed="stream" in way))
    assert run(chat(server).with_structured_output(given, method=method), way) == expected
    assert not {"response_format", "tools", "tool_choice"} & sent(server).keys()
    # In JSON mode the schema is the caller's to describe.
    assert ("age" in str(sent(server)["messages"])) is (method != "json_mode")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_values_are_converted_to_schema_types(server: ScriptedOpenRouter, schema: str, way: str):
    given, _, expected = SCHEMAS[schema]
    server.add(reply("json_schema", text='{"name": "Tom", "age": "3"}', streamed="stream" in way))
    assert run(chat(server).with_structured_output(given), way) == expected


@pytest.mark.parametrize("way", WAYS)
def test_pydantic_class_gets_converted_values_if_it_refuses_raw_ones(server: ScriptedOpenRouter, way: str):
    class Owner(BaseModel):
        name: str
        cats: list[Cat]

    text = '{"name": 7, "cats": {"name": "Tom", "age": "3"}}'
    server.add(reply("json_schema", text=text, streamed="stream" in way))
    assert run(chat(server).with_structured_output(Owner), way) == Owner(name="7", cats=[Cat(name="Tom", age=3)])


@pytest.mark.parametrize("way", WAYS)
def test_pydantic_validators_get_raw_values_first(server: ScriptedOpenRouter, way: str):
    class Litter(BaseModel):
        names: Annotated[list[str], BeforeValidator(lambda names: names.split(", "))]

    server.add(reply("json_schema", text='{"names": "Tom, Kitty"}', streamed="stream" in way))
    assert run(chat(server).with_structured_output(Litter), way) == Litter(names="Tom, Kitty")  # type: ignore[arg-type]


def test_invalid_prompted_answer_is_retried_once(server: ScriptedOpenRouter):
    server.add(reply("json_schema", text='{"name": "Tom"}'), reply("json_schema"))
    answer = chat(server).with_structured_output(Cat, include_raw=True).invoke("Hi")
    assert answer["parsed"] == Cat(name="Tom", age=3)
    assert answer["raw"].response_metadata["output_retries"] == 1
    assert answer["raw"].usage_metadata["total_tokens"] == 28
    assert "'age' is a required property" in sent(server)["messages"][-1]["content"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_invalid_prompted_answer_raises_with_its_text(server: ScriptedOpenRouter, schema: str, method: Any):
    given, _, _ = SCHEMAS[schema]
    server.add(*[reply("json_schema", text="What cat?")] * 4)
    model = chat(server)
    with pytest.raises(OutputParserException) as caught:
        model.with_structured_output(given, method=method).invoke("Hi")
    assert caught.value.llm_output == "What cat?"
    answer = model.with_structured_output(given, method=method, include_raw=True).invoke("Hi")
    assert (answer["raw"].text, answer["parsed"]) == ("What cat?", None)
    assert isinstance(answer["parsing_error"], OutputParserException)


@pytest.mark.parametrize("text", ['{"name": "Tom", "age": 3,}', "{'name': 'Tom', 'age': 3}", f"Sure: {TOM} Bye."])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_loose_json_of_native_model_is_read(server: ScriptedOpenRouter, schema: str, way: str, text: str):
    given, _, expected = SCHEMAS[schema]
    server.add(reply("json_schema", text=text, streamed="stream" in way))
    assert run(native_chat(server).with_structured_output(given), way) == expected


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_invalid_native_answer_is_retried_once(server: ScriptedOpenRouter, method: Any):
    server.add(reply(method, text='{"name": "Tom"}'), reply(method))
    model = native_chat(server, max_output_retries=1).with_structured_output(Cat, method=method, include_raw=True)
    answer = model.invoke("Hi")
    assert answer["parsed"] == Cat(name="Tom", age=3)
    assert answer["raw"].response_metadata["output_retries"] == 1


def test_prompted_stream_yields_growing_objects(server: ScriptedOpenRouter):
    server.add(reply("json_schema", text=f"Sure: {TOM}", streamed=True))
    parts = list(chat(server).with_structured_output(SCHEMA).stream("Hi"))
    assert parts[-1] == {"name": "Tom", "age": 3}
    assert {"name": "Tom"} in parts


def test_unknown_local_model_uses_json_schema(server: ScriptedOpenRouter):
    server.add(reply("json_schema"))
    native_chat(server, model="my-own-lfm").with_structured_output(Cat).invoke("Hi")
    assert sent(server)["response_format"]["type"] == "json_schema"


def test_unknown_method_is_refused(server: ScriptedOpenRouter):
    with pytest.raises(ConfigurationError, match="json_modus"):
        native_chat(server).with_structured_output(Cat, method="json_modus")  # type: ignore[arg-type]  # what is tested


def test_further_arguments_and_tools_are_sent(server: ScriptedOpenRouter):
    server.add(reply("json_schema"))
    model = native_chat(server).with_structured_output(Cat, method="json_schema", tools=[CatDict], temperature=0.1)
    model.invoke("Hi")
    assert sent(server)["temperature"] == 0.1
    assert sent(server)["tools"][0]["function"]["name"] == "CatDict"


def test_langchain_bookkeeping_is_not_sent(server: ScriptedOpenRouter):
    server.add(*(reply(method) for method in METHODS))
    for method in METHODS:
        native_chat(server).with_structured_output(Cat, method=method).invoke("Hi")  # type: ignore[arg-type]  # a literal
        assert not [name for name in sent(server) if name.startswith(("ls_", "structured"))]


@pytest.mark.parametrize("method", METHODS)
def test_langsmith_gets_schema_and_method(server: ScriptedOpenRouter, method: Any):
    class Heard(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            heard.append(kwargs["options"]["ls_structured_output_format"])

    heard: list[Any] = []
    server.add(reply(method))
    native_chat(server).with_structured_output(SCHEMA, method=method).invoke("Hi", {"callbacks": [Heard()]})
    assert heard[0]["kwargs"] == {"method": method, "strict": None}
    assert heard[0]["schema"]["title"] == "Cat"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_native_stream_yields_growing_objects(server: ScriptedOpenRouter, method: Any):
    server.add(reply(method, streamed=True))
    parts = list(native_chat(server).with_structured_output(SCHEMA, method=method).stream("Hi"))
    assert parts[-1] == {"name": "Tom", "age": 3}
    assert {"name": "Tom"} in parts


FAILURES = {
    "refusal": ({"refusal": "I cannot."}, {"refusal": ["I can", "not."]}, "refused to answer: I cannot."),
    "cut off": ({"finish_reason": "length"}, {"finish_reason": "length"}, "Raise `max_tokens`"),
    "filtered": ({"finish_reason": "content_filter"}, {"finish_reason": "content_filter"}, "content filter"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("failure", FAILURES)
def test_refused_cut_off_or_filtered_answer_raises(
    server: ScriptedOpenRouter, failure: str, schema: str, method: Any, way: str
):
    given, name, _ = SCHEMAS[schema]
    plain, streamed, said = FAILURES[failure]
    is_streamed = "stream" in way
    facts = streamed if is_streamed else plain
    if failure == "refusal":
        server.add(stream([], **facts) if is_streamed else completion(None, **facts))
    else:
        server.add(reply(method, name, HALF, streamed=is_streamed, **facts))
    with pytest.raises(OutputParserException, match=said):
        run(native_chat(server).with_structured_output(given, method=method), way)


@pytest.mark.parametrize("method", METHODS)
def test_complete_answer_at_the_token_limit_is_accepted(server: ScriptedOpenRouter, method: Any):
    server.add(reply(method, finish_reason="length"))
    assert run(native_chat(server).with_structured_output(Cat, method=method), "invoke") == Cat(name="Tom", age=3)


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("method", METHODS)
def test_answer_that_violates_schema_raises(server: ScriptedOpenRouter, method: Any, way: str):
    server.add(*[reply(method, text='{"name": "Tom", "age": "old"}', streamed=way == "stream")] * 2)
    with pytest.raises(OutputParserException, match="age"):
        run(native_chat(server).with_structured_output(Cat, method=method), way)


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_prose_answer_raises(server: ScriptedOpenRouter, schema: str, method: Any, way: str):
    given, _, _ = SCHEMAS[schema]
    server.add(*[stream(["Miau", "."]) if way == "stream" else completion("Miau.")] * 2)
    with pytest.raises(OutputParserException, match="Miau") as raised:
        run(native_chat(server).with_structured_output(given, method=method), way)
    assert "Expecting value" not in str(raised.value)


def test_invalid_call_raises(server: ScriptedOpenRouter):
    server.add(*[reply("function_calling", text="[1]")] * 2)
    with pytest.raises(OutputParserException, match="call of `Cat` is invalid"):
        native_chat(server).with_structured_output(Cat, method="function_calling").invoke("Hi")


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_include_raw_returns_message_and_object(server: ScriptedOpenRouter, schema: str, method: Any, way: str):
    given, name, expected = SCHEMAS[schema]
    server.add(reply(method, name))
    result = run(native_chat(server).with_structured_output(given, method=method, include_raw=True), way)
    assert isinstance(result["raw"], AIMessage)
    assert (result["parsed"], result["parsing_error"]) == (expected, None)


@pytest.mark.parametrize("method", METHODS)
def test_include_raw_returns_parsing_error(server: ScriptedOpenRouter, method: Any):
    server.add(reply(method, text=HALF, finish_reason="length"))
    result = run(native_chat(server).with_structured_output(Cat, method=method, include_raw=True), "invoke")
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], OutputParserException)
    assert result["raw"].usage_metadata["input_tokens"] == 9


def test_include_raw_streams_message_then_object(server: ScriptedOpenRouter):
    server.add(reply("json_schema", streamed=True))
    parts = list(native_chat(server).with_structured_output(Cat, method="json_schema", include_raw=True).stream("Hi"))
    assert parts[0].keys() == {"raw"}
    assert [part["parsed"] for part in parts if "parsed" in part][-1] == Cat(name="Tom", age=3)


def test_parser_error_triggers_fallback(server: ScriptedOpenRouter):
    server.add(reply("json_schema", text=HALF, finish_reason="length"), reply("json_schema"))
    model = native_chat(server).with_structured_output(Cat, method="json_schema")
    assert model.with_fallbacks([model], exceptions_to_handle=(OutputParserException,)).invoke("Hi").name == "Tom"


def test_schema_is_bound_to_every_model_of_with_fallbacks(server: ScriptedOpenRouter):
    server.add(reply("json_schema", text=HALF, finish_reason="length"), reply("json_schema"))
    model: Any = native_chat(server).with_fallbacks([native_chat(server)])
    assert model.with_structured_output(Cat).invoke("Hi") == Cat(name="Tom", age=3)


class Book(TypedDict):
    """A book in the shop."""

    title: Annotated[str, ..., "Its title."]
    pages: Annotated[Optional[int], None, "How many, if known."]  # noqa: UP045  # as LangChain's manual writes it
    shelf: str | None
    tags: NotRequired[list[str]]


class Shop(TypedDict):
    """A shop."""

    best: Annotated[Book | None, ..., "The best one."]
    books: list[Book]


class OldBook(v1.BaseModel):
    """A book of Pydantic 1."""

    title: str
    pages: Optional[int] = v1.Field(None, description="How many, if known.")  # noqa: UP045  # Pydantic 1 knows no other


class OldShop(v1.BaseModel):
    """A shop of Pydantic 1."""

    books: list[OldBook]


BOOK = {"title": "Emma", "pages": None, "shelf": None}


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize(
    "case",
    [
        (Book, BOOK),
        (Shop, {"best": None, "books": [BOOK, {**BOOK, "tags": ["old"]}]}),
        (OldBook, {"title": "Emma", "pages": None}),
        (OldShop, {"books": [{"title": "Emma", "pages": None}]}),
    ],
)
@pytest.mark.parametrize("make", [chat, native_chat])
def test_null_is_accepted_where_the_type_allows_it(
    server: ScriptedOpenRouter, make: Any, case: tuple[Any, Any], method: Any, way: str
):
    schema, answer = case
    text = json.dumps(answer)
    if make is chat and method == "function_calling":
        call = json.dumps({"name": schema.__name__, "arguments": answer})
        server.add(reply("json_schema", text=f"<tool_call>{call}</tool_call>", streamed=way == "stream"))
    else:
        server.add(reply(method, schema.__name__, text, streamed=way == "stream"))
    parsed = run(make(server).with_structured_output(schema, method=method), way)
    assert (parsed if isinstance(parsed, dict) else parsed.dict()) == answer
    assert len(server.requests) == 1


def test_typed_dict_becomes_a_schema_with_its_descriptions(server: ScriptedOpenRouter):
    server.add(reply("json_schema", text=json.dumps({"best": None, "books": []})))
    native_chat(server).with_structured_output(Shop, method="json_schema").invoke("Hi")
    described = sent(server)["response_format"]["json_schema"]
    assert (described["name"], described["description"]) == ("Shop", "A shop.")
    book = described["schema"]["properties"]["books"]["items"]
    assert book["required"] == ["title", "shelf"]
    assert book["properties"]["title"]["description"] == "Its title."
    assert {"type": "null"} in book["properties"]["pages"]["anyOf"]
    assert book["properties"]["tags"] == {"items": {"type": "string"}, "type": "array"}
    assert described["schema"]["properties"]["best"]["description"] == "The best one."


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page."""

    items: list[T]


class Folder(BaseModel):
    """A folder."""

    name: str
    folders: list["Folder"] = []


class Disk(BaseModel):
    """A disk."""

    root: Folder


@pytest.mark.parametrize("make", [chat, native_chat])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_generic_class_has_a_name_that_servers_take(server: ScriptedOpenRouter, make: Any, method: Any):
    text = '{"items": [{"name": "Tom", "age": 3}]}'
    if make is chat and method == "function_calling":
        text = '<tool_call>{"name": "Page_Cat_", "arguments": ' + text + "}</tool_call>"
        server.add(reply("json_schema", text=text))
    else:
        server.add(reply(method, "Page_Cat_", text))
    assert run(make(server).with_structured_output(Page[Cat], method=method), "invoke").items[0].name == "Tom"


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("schema", [Folder, Disk])
def test_recursive_class_is_described_at_every_depth(
    server: ScriptedOpenRouter, schema: Any, method: Any, strict: bool | None
):
    folder = {"name": "a", "folders": [{"name": "b", "folders": [{"name": "c", "folders": []}]}]}
    answer = folder if schema is Folder else {"root": folder}
    server.add(reply(method, schema.__name__, json.dumps(answer)))
    parsed = native_chat(server).with_structured_output(schema, method=method, strict=strict).invoke("Hi")
    assert parsed.model_dump() == answer
    body = sent(server)
    described = (
        body["tools"][0]["function"]["parameters"]
        if body.get("tools")
        else body["response_format"]["json_schema"]["schema"]
    )
    checker = Draft202012Validator(described)
    assert checker.is_valid(answer)
    folder["folders"][0]["folders"][0]["name"] = 7  # type: ignore[index]
    assert not checker.is_valid(answer)
    assert ("additionalProperties" in json.dumps(described)) is bool(strict)


def test_recursive_class_is_validated_when_prompted(server: ScriptedOpenRouter):
    server.add(
        reply("json_schema", text='{"name": "a", "folders": [{"name": "b", "folders": 3}]}'),
        reply("json_schema", text='{"name": "a", "folders": [{"name": "b"}]}'),
    )
    assert chat(server).with_structured_output(Folder).invoke("Hi").folders[0].name == "b"  # type: ignore[union-attr]
    assert len(server.requests) == 2


INNER = {key: SCHEMA[key] for key in ("type", "properties", "required")}
OPENAI_FORMAT = {"name": "Cat", "description": "A cat.", "schema": INNER, "strict": True}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("schema", [OPENAI_FORMAT, {"type": "json_schema", "json_schema": OPENAI_FORMAT}])
def test_schema_in_the_form_of_openai_is_taken(server: ScriptedOpenRouter, schema: dict[str, Any], method: Any):
    server.add(reply(method))
    model = native_chat(server).with_structured_output(schema, method=method)
    assert model.invoke("Hi") == {"name": "Tom", "age": 3}
    body = sent(server)
    if method == "json_schema":
        described = body["response_format"]["json_schema"]
        assert (described["name"], described["description"], described["strict"]) == ("Cat", "A cat.", True)
        assert described["schema"]["required"] == ["name", "age"]
    else:
        function = body["tools"][0]["function"]
        assert (function["name"], function["strict"]) == ("Cat", True)
        assert function["parameters"]["properties"].keys() == {"name", "age"}


@dataclass
class CatRecord:
    """A cat."""

    name: str
    age: int


def test_dataclass_describes_a_dict(server: ScriptedOpenRouter):
    server.add(reply("json_schema"))
    assert native_chat(server).with_structured_output(CatRecord).invoke("Hi") == {"name": "Tom", "age": 3}


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("schema", [Colour, int, list[int], Cat | None])
def test_schema_that_is_no_object_is_refused(server: ScriptedOpenRouter, schema: Any):
    with pytest.raises(ConfigurationError, match="must be a Pydantic class, a TypedDict or a JSON schema, got "):
        chat(server).with_structured_output(schema)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS)
def test_model_may_call_a_tool_that_stands_beside_the_schema(server: ScriptedOpenRouter, method: Any, way: str):
    call = tool_call("feed", {"cat": "Tom"})
    server.add(stream([], tool_calls=[call]) if "stream" in way else completion(None, tool_calls=[call]))
    feed = {"title": "feed", "type": "object", "properties": {"cat": {"type": "string"}}}
    model = native_chat(server).with_structured_output(Cat, method=method, tools=[feed], include_raw=True)
    if "stream" in way:

        async def parts() -> list[Any]:
            return [part async for part in model.astream("Hi")]

        streamed: list[Any] = list(model.stream("Hi")) if way == "stream" else asyncio.run(parts())
        answer = reduce(add, streamed)
    else:
        answer = run(model, way)
    assert [made["name"] for made in answer["raw"].tool_calls] == ["feed"]
    assert (answer.get("parsed"), answer.get("parsing_error")) == (None, None)
    assert {tool["function"]["name"] for tool in sent(server)["tools"]} >= {"feed"}


def test_object_is_parsed_where_a_tool_might_have_been_called(server: ScriptedOpenRouter):
    server.add(reply("function_calling"))
    model = native_chat(server).with_structured_output(Cat, method="function_calling", tools=[CatDict])
    assert model.invoke("Hi") == Cat(name="Tom", age=3)


@pytest.mark.parametrize("method", METHODS)
def test_refusal_raises_the_error_of_langchain(server: ScriptedOpenRouter, method: Any):
    server.add(completion(None, refusal="I cannot."))
    with pytest.raises(OutputParserException, match=r"refused to answer: I cannot\.") as caught:
        native_chat(server).with_structured_output(Cat, method=method).invoke("Hi")
    assert isinstance(caught.value, getattr(exceptions, "ModelRefusalError", exceptions.ModelError))
    raised: Any = caught.value
    assert raised.raw_message.additional_kwargs["refusal"] == "I cannot."


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "Answer", "type": "object", "properties": []},
        {"name": "Answer", "parameters": {"type": True}},
        {"name": "Answer", "parameters": 5},
        {"name": 5, "parameters": {"type": "object"}},
        {"type": "json_schema", "json_schema": 5},
    ],
)
def test_schema_of_a_wrong_form_is_refused(schema):
    with pytest.raises(ConfigurationError, match=r"`schema` (must be|is not) a|A tool must be"):
        ChatLFM(api_key="k").with_structured_output(schema)
