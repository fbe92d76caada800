"""`with_structured_output`: answers that are objects of a schema."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from lfm_adapter.errors import ConfigurationError
from lfm_adapter.langchain._tools import openai_tool

if TYPE_CHECKING:
    from langchain_core.language_models.base import LanguageModelInput
    from langchain_core.output_parsers import BaseOutputParser
    from langchain_core.runnables import Runnable
    from pydantic import BaseModel

    from lfm_adapter._client.settings import Settings
    from lfm_adapter.langchain.chat_model import ChatLFM

__all__ = ["Method", "default_method", "structured"]

Method: TypeAlias = Literal["function_calling", "json_mode", "json_schema"]


def default_method(settings: Settings, model: str) -> Method:
    """Return the best way that a model is known to have.

    Native tools come after a native schema. Where a model has neither, or may not have them, the client writes the
    schema into the prompt. Of a model on this machine nothing is known, but the servers that run there (llama.cpp,
    vLLM, LM Studio, Ollama) all hold an answer to a JSON schema, while many leave tools out of the prompt without a
    word.
    """
    served = settings.resolve_model(model)
    can = settings.card(served).capabilities
    if can.structured_outputs or settings.is_local:
        return "json_schema"
    if can.tools or (can.tools is None and not served.startswith("liquid/")):
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
    """Return the model bound to a schema, followed by what parses its answer."""
    from langchain_core.runnables import RunnableMap, RunnablePassthrough

    if method == "function_calling":
        llm, parser = _by_function(model, schema, strict, kwargs)
    elif method in ("json_schema", "json_mode"):
        llm, parser = _by_format(model, schema, method, strict, kwargs)
    else:
        raise ConfigurationError(f"`method` is 'json_schema', 'function_calling' or 'json_mode', not {method!r}.")
    if not include_raw:
        return cast("Runnable[LanguageModelInput, dict[str, Any] | BaseModel]", llm | parser)
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _by_function(
    model: ChatLFM, schema: dict[str, Any] | type, strict: bool | None, kwargs: dict[str, Any]
) -> tuple[Runnable[LanguageModelInput, Any], BaseOutputParser[Any]]:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    from lfm_adapter.langchain._parsers import JsonCallParser, PydanticCallParser

    name = convert_to_openai_tool(schema)["function"]["name"]
    llm = model.bind_tools(
        [schema],
        tool_choice=name,
        strict=strict,
        on_invalid_output="return",  # the parser says what is wrong, as LangChain's users expect it
        ls_structured_output_format={"kwargs": {"method": "function_calling", "strict": strict}, "schema": schema},
        **kwargs,
    )
    if _is_pydantic(schema):
        return llm, PydanticCallParser(tools=[cast("type[BaseModel]", schema)], first_tool_only=True)
    return llm, JsonCallParser(key_name=name, first_tool_only=True)


def _by_format(
    model: ChatLFM, schema: dict[str, Any] | type, method: Method, strict: bool | None, kwargs: dict[str, Any]
) -> tuple[Runnable[LanguageModelInput, Any], BaseOutputParser[Any]]:
    from langchain_core.utils.function_calling import convert_to_openai_function

    from lfm_adapter.langchain._parsers import JsonAnswerParser, PydanticAnswerParser

    if kwargs.get("tools"):
        kwargs["tools"] = [openai_tool(tool, strict=strict) for tool in kwargs["tools"]]
    response_format: dict[str, Any] = {"type": "json_object"}
    if method == "json_schema":
        function = convert_to_openai_function(schema, strict=strict)
        described = {"name": function["name"], "schema": function["parameters"]}
        if function.get("description"):
            described["description"] = function["description"]
        if strict is not None:
            # RequestContext for only on demand: endpoints without it turn the request away.
            # https://github.com/OpenRouterTeam/ai-sdk-provider/issues/483
            described["strict"] = strict
        response_format = {"type": "json_schema", "json_schema": described}
    llm = model.bind(
        response_format=response_format,
        on_invalid_output="return",
        ls_structured_output_format={"kwargs": {"method": method, "strict": strict}, "schema": schema},
        **kwargs,
    )
    json_schema = response_format.get("json_schema", {}).get("schema")
    if _is_pydantic(schema):
        return llm, PydanticAnswerParser(pydantic_object=cast("type[BaseModel]", schema), json_schema=json_schema)
    return llm, JsonAnswerParser(json_schema=json_schema)


def _is_pydantic(schema: dict[str, Any] | type) -> bool:
    from langchain_core.utils.pydantic import is_basemodel_subclass

    return isinstance(schema, type) and is_basemodel_subclass(schema)
