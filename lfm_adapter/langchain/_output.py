"""`with_structured_output`: answers that are objects of a schema."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import Generation
from langchain_core.runnables import RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import Field

from lfm_adapter._json import parse
from lfm_adapter._toolcalls.coercion import coerced
from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._tools import to_openai_tool

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.runnables import Runnable
    from pydantic import BaseModel

    from lfm_adapter._client.settings import Settings

__all__ = ["default_method", "structured"]


def default_method(settings: Settings) -> str:
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
    model: BaseChatModel,
    schema: dict[str, Any] | type,
    *,
    method: str,
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
    parser = ObjectParser()
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        parser.model_class = schema
    llm: Runnable[LanguageModelInput, Any]
    if method == "function_calling":
        parser.tool_name = convert_to_openai_tool(schema)["function"]["name"]
        llm = model.bind_tools([schema], tool_choice=parser.tool_name, strict=strict, **kwargs)
    else:
        if kwargs.get("tools"):
            kwargs["tools"] = [to_openai_tool(tool, strict=strict) for tool in kwargs["tools"]]
        response_format: dict[str, Any] = {"type": "json_object"}
        if method == "json_schema":
            described = _json_schema(schema, strict)
            response_format = {"type": method, method: described}
            parser.json_schema = described["schema"]
        llm = model.bind(response_format=response_format, **kwargs)
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


class ObjectParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads the object of an answer, or what has arrived of it in a stream.

    LangChain's own parsers complete an object that was cut off, return None if no tool was called, and ignore what they
    cannot parse at the end of a stream. Here each of these is an `OutputParserException`, streamed or not.

    Attributes:
        model_class: The Pydantic class to return an instance of; None for a dict.
        json_schema: Values are converted to its types: `"36"` becomes 36. A class gets them as written first, since its
            own validators may read them.
        tool_name: The tool whose arguments are the object; None for JSON in the text.
    """

    model_class: Any = None
    json_schema: dict[str, Any] = Field(default_factory=dict)
    tool_name: str | None = None

    def parse(self, text: str) -> Any:
        """Return the object in a text."""
        return self.parse_result([Generation(text=text)])

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Return the object in a message; None if it is `partial` and too little has arrived."""
        message = getattr(result[0], "message", None) or AIMessage(result[0].text)
        is_whole = not partial or getattr(message, "chunk_position", None) == "last"
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
            raise OutputParserException(
                f"The answer does not match the schema: {error}\nIt was: {output}", llm_output=output
            ) from error
        return coerced(value, self.json_schema) if is_whole else value

    def _check(self, message: AIMessage) -> None:
        """Raise for an answer without a valid object."""
        finish_reason = message.response_metadata.get("finish_reason")
        invalid = message.response_metadata.get("validation_error")
        refusal = message.additional_kwargs.get("refusal")
        broken = next(iter(message.invalid_tool_calls if self.tool_name else []), None)
        is_half = broken if self.tool_name else parse(message.text) is None
        if refusal:
            problem = f"The model refused to answer: {refusal}"
        elif finish_reason == "content_filter":
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
        raise OutputParserException(problem, llm_output=broken["args"] if broken else refusal or message.text)

    def _value(self, message: AIMessage) -> Any:
        if self.tool_name is None:
            return parse_json_markdown(message.text)
        return next((call["args"] for call in message.tool_calls if call["name"] == self.tool_name), None)

    def _instance(self, value: Any) -> Any:
        validate = getattr(self.model_class, "model_validate", None) or self.model_class.parse_obj  # Pydantic 1
        try:
            return validate(value)
        except ValueError:
            converted = coerced(value, self.json_schema)
            if converted == value:
                raise
            return validate(converted)
