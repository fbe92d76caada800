"""`with_structured_output`: answers that are objects of a schema."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from json import JSONDecodeError
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import Generation
from langchain_core.runnables import RunnableMap, RunnablePassthrough
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import Field

from lfm_adapter._json import as_dict, parse
from lfm_adapter._masking import shown
from lfm_adapter._openrouter.request import encode
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.schema_types import schema_type_error
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._errors import RefusalError
from lfm_adapter.langchain._tools import is_typed_dict, to_openai_tool

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.runnables import Runnable
    from pydantic import BaseModel

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.types import JSONDict


def default_method(settings: Settings) -> str:
    """Return the best method that the client's model supports.

    A native schema is better than native tools. If the model has neither, the client writes the schema into the prompt.
    Servers on this machine (llama.cpp, vLLM, LM Studio, Ollama) all enforce a JSON schema, while many drop tools
    silently.
    """
    model = settings.resolve_model()
    can = settings.card(model).capabilities
    if can.structured_outputs or settings.is_local:
        return "json_schema"
    if can.tools or (can.tools is None and not model.startswith("liquid/")):
        return "function_calling"
    return "json_schema"


def structured(
    model: BaseChatModel,
    schema: JSONDict | type,
    *,
    method: str,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
    """Return the model bound to a schema, followed by the parser of its answers."""
    if method not in ("json_schema", "function_calling", "json_mode"):
        raise ConfigurationError(
            f"`method` must be one of 'json_schema', 'function_calling', 'json_mode'; got {shown(method)}."
        )
    if isinstance(schema, dict):
        schema, strict = _plain_schema(schema, strict)
    elif not (is_basemodel_subclass(schema) or is_typed_dict(schema) or is_dataclass(schema)):
        raise ConfigurationError(
            f"`schema` must be a Pydantic class, a TypedDict or a JSON schema, got {shown(schema)}. Put other types "
            "into a field of one."
        )
    tool = _tool(schema, strict)
    function = tool["function"]
    parameters = function.get("parameters") or {}
    is_tool_call = method == "function_calling"
    kwargs["on_invalid_output"] = "return"  # so that the parser raises, and `include_raw` has the message
    described: Any = schema
    if isinstance(schema, dict) or is_typed_dict(schema):  # LangChain converts it for tracers, and fails on some
        described = {"title": function["name"], "description": function.get("description", ""), **parameters}
    kwargs["ls_structured_output_format"] = {"kwargs": {"method": method, "strict": strict}, "schema": described}
    parser = ObjectParser(tool_name=function["name"] if is_tool_call else None)
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        parser.model_class = schema
        kwargs.setdefault("coerce_output", False)  # its own validators may read values as the model wrote them
    tools = [to_openai_tool(other, strict=strict) for other in kwargs.pop("tools", None) or ()]
    parser.has_tools = bool(tools)
    if is_tool_call:
        llm = model.bind_tools([tool, *tools], tool_choice="any" if tools else parser.tool_name, **kwargs)
    else:
        if tools:
            kwargs["tools"] = tools
        if method == "json_schema":
            parser.json_schema = parameters
        llm = model.bind(response_format=_response_format(method, function), **kwargs)
    if not include_raw:
        return cast("Runnable[LanguageModelInput, dict[str, Any] | BaseModel]", llm | parser)
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _tool(schema: Any, strict: bool | None) -> JSONDict:
    tool = to_openai_tool(schema, strict=strict)
    function = as_dict(tool.get("function"))
    if not isinstance(function.get("name"), str) or not isinstance(function.get("parameters"), dict | None):
        raise ConfigurationError(f"`schema` must be a JSON schema with a `title`, got {shown(schema)}.")
    if not isinstance(schema, dict):
        return tool
    parameters = json.loads(encode(function.get("parameters") or {}))  # LangChain knows no tuples, for instance
    if problem := schema_type_error(parameters):
        raise ConfigurationError(f"`schema` is not a valid JSON schema: {problem}.")
    return {**tool, "function": {**function, "parameters": parameters}}


def _response_format(method: str, function: JSONDict) -> JSONDict:
    if method == "json_mode":
        return {"type": "json_object"}
    described = {"name": function["name"], "schema": function.get("parameters") or {}}
    # `strict` only on demand: endpoints without it refuse the request.
    # https://github.com/OpenRouterTeam/ai-sdk-provider/issues/483
    described |= {name: function[name] for name in ("description", "strict") if function.get(name) is not None}
    return {"type": "json_schema", "json_schema": described}


def _plain_schema(schema: JSONDict, strict: bool | None) -> tuple[JSONDict, bool | None]:
    """Return a JSON schema and `strict` from these or from OpenAI's `response_format`, whole or its `json_schema`."""
    format_ = as_dict(schema.get("json_schema")) if schema.get("type") == "json_schema" else schema
    if not isinstance(format_.get("schema"), dict):
        return schema, strict
    named = {"title": format_.get("name"), "description": format_.get("description")}
    plain = {**{name: text for name, text in named.items() if text}, **format_["schema"]}
    return plain, format_.get("strict") if strict is None else strict


class ObjectParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object of an answer, or the part of it that has arrived in a stream.

    LangChain's own parsers complete an object that was cut off, return None if no tool was called, and ignore a stream
    that does not parse. Here each of these is an `OutputParserException`, streamed or not.

    Attributes:
        model_class: The Pydantic class to return an instance of; None for a dict.
        json_schema: Values are converted to its types: `"36"` becomes 36. A class gets them as written first, since its
            own validators may read them.
        tool_name: The tool whose arguments are the object; None for JSON in the text.
        has_tools: The model may call other tools instead of answering with an object.
    """

    model_class: Any = None
    json_schema: dict[str, Any] = Field(default_factory=dict)
    tool_name: str | None = None
    has_tools: bool = False

    def parse(self, text: str) -> Any:
        """Return the object in a text."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object in a message; None if it is `partial` and too little has arrived."""
        message = getattr(result[0], "message", None) or AIMessage(result[0].text)
        is_whole = not partial or getattr(message, "chunk_position", None) == "last"
        if self.has_tools and any(call["name"] != self.tool_name for call in message.tool_calls):
            return None
        if is_whole:
            self._check(message)
        try:
            value = self._value(message)
            if self.model_class is not None:
                return self._instance(value)
        except ValueError as error:  # of the JSON, or Pydantic's
            if not is_whole:
                return None
            output = message.text or str([call["args"] for call in message.tool_calls])
            problem = "is not JSON" if isinstance(error, JSONDecodeError) else f"does not match the schema: {error}"
            raise OutputParserException(f"The answer {problem}\nIt was: {output}", llm_output=output) from error
        return JSONSchema(self.json_schema).coerced(value) if is_whole else value

    def _check(self, message: AIMessage) -> None:
        """Raise for an answer without a valid object."""
        finish_reason = message.response_metadata.get("finish_reason")
        invalid = message.response_metadata.get("validation_error")
        if refusal := message.additional_kwargs.get("refusal"):
            raise RefusalError(f"The model refused to answer: {refusal}", raw_message=message, llm_output=refusal)
        broken = next(iter(message.invalid_tool_calls if self.tool_name else []), None)
        is_half = broken if self.tool_name else parse(message.text) is None
        if finish_reason == "content_filter":
            problem = "The provider's content filter stopped the answer."
        elif finish_reason == "length" and is_half:
            problem = "The answer was cut off before the object was complete. Raise `max_tokens` or ask for less."
        elif broken:
            problem = f"The call of `{broken['name']}` is invalid: {broken['error']}"
        elif self.tool_name and self._value(message) is None:
            problem = f"The model did not call `{self.tool_name}`. It said: {message.text}"
        elif invalid and not (self.tool_name or self.model_class):  # a Pydantic class validates by itself
            problem = f"The answer is invalid: {invalid}. It was: {message.text}"
        else:
            return
        raise OutputParserException(problem, llm_output=broken["args"] if broken else message.text)

    def _value(self, message: AIMessage) -> Any:
        if self.tool_name is None:
            return parse_json_markdown(message.text)
        return next((call["args"] for call in message.tool_calls if call["name"] == self.tool_name), None)

    def _instance(self, value: Any) -> Any:
        validate = getattr(self.model_class, "model_validate", None) or self.model_class.parse_obj  # Pydantic 1
        try:
            return validate(value)
        except ValueError:
            converted = JSONSchema(self.json_schema).coerced(value)
            if converted == value:
                raise
            return validate(converted)
