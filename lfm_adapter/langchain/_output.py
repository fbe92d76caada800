"""`with_structured_output`: answers that are objects of a schema.

LangChain's own parsers complete a JSON object that was cut off, return None if no tool was called, and ignore what they
cannot parse at the end of a stream. Here each of these is an `OutputParserException`, streamed or not.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    JsonOutputToolsParser,
    PydanticToolsParser,
)
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, ValidationError

from lfm_adapter._toolcalls.coercion import coerced
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._tools import to_openai_tool

if TYPE_CHECKING:
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.output_parsers import BaseOutputParser
    from langchain_core.outputs import Generation
    from langchain_core.runnables import Runnable

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = ["Method", "default_method", "structured"]

Method: TypeAlias = Literal["function_calling", "json_mode", "json_schema"]


def default_method(settings: Settings) -> Method:
    """Return the best method that the client's model supports.

    A native schema is better than native tools. For a model without both, or of which nothing is known, the client
    writes the schema into the prompt. Servers on this machine (llama.cpp, vLLM, LM Studio, Ollama) all enforce a JSON
    schema, while many drop tools silently.
    """
    model = settings.resolve_model()
    can = settings.card(model).capabilities
    if can.structured_outputs or settings.is_local:
        return "json_schema"
    if can.tools or (can.tools is None and not model.startswith("liquid/")):
        return "function_calling"
    return "json_schema"


def structured(
    model: ChatLFM,
    schema: dict[str, Any] | type,
    *,
    method: Method,
    include_raw: bool,
    strict: bool | None,
    **kwargs: Any,
) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
    """Return the model bound to a schema, followed by the parser of its answers."""
    if method not in ("json_schema", "function_calling", "json_mode"):
        raise ConfigurationError(
            f"`method` must be one of 'json_schema', 'function_calling', 'json_mode'; got {method!r}."
        )
    kwargs["on_invalid_output"] = "return"  # so that the parser raises, and `include_raw` has the message
    kwargs["ls_structured_output_format"] = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
    llm: Runnable[LanguageModelInput, Any]
    if method == "function_calling":
        name = convert_to_openai_tool(schema)["function"]["name"]
        llm = model.bind_tools([schema], tool_choice=name, strict=strict, **kwargs)
        parser = _call_parser(schema, name)
    else:
        if kwargs.get("tools"):
            kwargs["tools"] = [to_openai_tool(tool, strict=strict) for tool in kwargs["tools"]]
        described = _json_schema(schema, strict) if method == "json_schema" else None
        type_ = {"type": method, method: described} if described else {"type": "json_object"}
        llm = model.bind(response_format=type_, **kwargs)
        parser = _answer_parser(schema, described and described["schema"])
    if not include_raw:
        return cast("Runnable[LanguageModelInput, dict[str, Any] | BaseModel]", llm | parser)
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _json_schema(schema: dict[str, Any] | type, strict: bool | None) -> dict[str, Any]:
    function = convert_to_openai_tool(schema, strict=strict)["function"]
    described = {"name": function["name"], "schema": function["parameters"]}
    if function.get("description"):
        described["description"] = function["description"]
    if strict is not None:
        # Only on demand: endpoints without it refuse the request.
        # https://github.com/OpenRouterTeam/ai-sdk-provider/issues/483
        described["strict"] = strict
    return described


def _call_parser(schema: dict[str, Any] | type, name: str) -> BaseOutputParser[Any]:
    if _is_pydantic(schema):
        return _PydanticCallParser(tools=[schema], first_tool_only=True)
    return _JsonCallParser(key_name=name, first_tool_only=True)


def _answer_parser(schema: dict[str, Any] | type, json_schema: dict[str, Any] | None) -> BaseOutputParser[Any]:
    if _is_pydantic(schema):
        return _PydanticAnswerParser(pydantic_object=schema, json_schema=json_schema)
    return _JsonAnswerParser(json_schema=json_schema)


def _is_pydantic(schema: dict[str, Any] | type) -> TypeGuard[type[BaseModel]]:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


class _Strict:
    """Checks a whole answer before the parser that follows reads it, and the end of a stream like a whole answer."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        message = result[0].message if isinstance(result[0], ChatGeneration) else None
        if isinstance(message, AIMessageChunk) and message.chunk_position == "last":
            partial = False
        if isinstance(message, AIMessage) and not partial:
            self._check(message)
        try:
            parsed = super().parse_result(result, partial=partial)  # type: ignore[misc]  # the parser that follows
        except ValidationError as error:
            raise OutputParserException(f"The answer does not match the schema: {error}") from error
        return parsed if partial else self._convert(parsed)

    def _check(self, message: AIMessage) -> None:
        """Raise for an answer without a whole object."""
        reads_calls = isinstance(self, JsonOutputToolsParser)
        finish_reason = message.response_metadata.get("finish_reason")
        refusal = message.additional_kwargs.get("refusal")
        invalid = message.invalid_tool_calls[0] if reads_calls and message.invalid_tool_calls else None
        output = invalid["args"] if invalid else refusal or message.text
        if refusal:
            problem = f"The model refused to answer: {refusal}"
        elif finish_reason == "content_filter":
            problem = "The provider's content filter stopped the answer."
        elif finish_reason == "length" and (invalid or not (reads_calls or _is_json(message.text))):
            problem = "The answer was cut off before the object was complete. Raise `max_tokens` or ask for less."
        elif invalid:
            problem = f"The call of `{invalid['name']}` is invalid: {invalid['error']}"
        elif reads_calls and not message.tool_calls:
            problem = f"The model called no tool. It said: {message.text}"
        else:
            return
        raise OutputParserException(problem, llm_output=output)

    def _convert(self, parsed: Any) -> Any:
        """Return a whole answer in the types of its schema."""
        return parsed


class _PydanticCallParser(_Strict, PydanticToolsParser): ...


class _JsonCallParser(_Strict, JsonOutputKeyToolsParser): ...


class _PydanticAnswerParser(_Strict, PydanticOutputParser[Any]):
    """Reads a JSON answer into a Pydantic object.

    The class gets the values as they were written, since its own validators may read them. Values that it refuses are
    converted to the types of `json_schema`.
    """

    json_schema: dict[str, Any] | None = None

    def _parse_obj(self, obj: Any) -> Any:
        try:
            return super()._parse_obj(obj)
        except OutputParserException:
            converted = obj if self.json_schema is None else coerced(obj, self.json_schema)
            if converted == obj:
                raise
            return super()._parse_obj(converted)


class _JsonAnswerParser(_Strict, JsonOutputParser):
    """Reads a JSON answer into a dict, with values in the types of `json_schema`: `"36"` becomes 36."""

    json_schema: dict[str, Any] | None = None

    def _check(self, message: AIMessage) -> None:
        super()._check(message)
        problem = message.response_metadata.get("validation_error")  # a Pydantic class validates by itself
        if problem:
            raise OutputParserException(
                f"The answer is invalid: {problem}. It was: {message.text}", llm_output=message.text
            )

    def _convert(self, parsed: Any) -> Any:
        return parsed if self.json_schema is None else coerced(parsed, self.json_schema)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
