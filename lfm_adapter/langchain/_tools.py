"""LangChain's tools, and the classes that describe tools and answers, in OpenAI's form."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, Required, Union, get_args, get_origin

from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from lfm_adapter._json import as_dict
from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.types import JSONDict

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def to_openai_tools(tools: Any, *, strict: bool | None) -> list[JSONDict]:
    """Return tools in OpenAI's form: see `to_openai_tool`."""
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError(f"`tools` must be a list of tools, got {shown(tools)}.")
    return [to_openai_tool(tool, strict=strict) for tool in tools]


def to_openai_tool(tool: Any, *, strict: bool | None) -> JSONDict:
    """Return a tool in OpenAI's form; one that OpenRouter runs ("openrouter:web_search") is returned unchanged.

    LangChain's converter forbids null in a `TypedDict` and in a class of Pydantic 1, allows anything in recursive
    parts, and gives generic classes names that servers refuse ("Page[int]").
    """
    if isinstance(tool, dict) and str(tool.get("type", "")).startswith("openrouter:"):
        return tool
    source = _model_of(tool) if is_typed_dict(tool) else tool
    try:
        converted = convert_to_openai_tool(source, strict=strict)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        if callable(tool):
            raise
        raise ConfigurationError(
            "A tool must be a function, a Pydantic class, a LangChain tool or a dict such as "
            f'{{"type": "function", "function": {{"name": "…", …}}}}, got {shown(tool)}.'
        ) from error
    if isinstance(source, type):
        function = converted["function"]
        function["name"] = _NOT_IN_NAMES.sub("_", function["name"])[:64]
        if issubclass(source, BaseModel):
            if (whole := _recursive_schema(source, strict=bool(strict))) is not None:
                function["parameters"] = whole
        elif hasattr(source, "__fields__"):
            _allow_null(function["parameters"], source)
    return converted


def is_typed_dict(value: object) -> bool:
    """Return whether `value` is a `TypedDict`, that of `typing` or of `typing_extensions`."""
    return isinstance(value, type) and hasattr(value, "__optional_keys__")


def _model_of(typed_dict: Any, within: tuple[type, ...] = ()) -> type[BaseModel]:
    """Return a Pydantic class for a `TypedDict`, in which LangChain writes `Annotated[type, default, description]`."""
    fields: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(typed_dict, include_extras=True).items():
        hint, is_required = annotation, name in typed_dict.__required_keys__
        if get_origin(hint) in (Required, NotRequired):
            hint, is_required = get_args(hint)[0], get_origin(hint) is Required
        default: dict[str, Any] = {} if is_required else {"default_factory": dict}  # never called, and in no schema
        if get_origin(hint) is Annotated and not isinstance(get_args(hint)[1], FieldInfo):
            hint, given, *more = get_args(hint)
            if given is not ...:
                default = {"default": given}
            default["description"] = next((text for text in more if isinstance(text, str)), None)
        fields[name] = (_with_models(hint, (*within, typed_dict)), Field(**default))
    return create_model(typed_dict.__name__, __doc__=typed_dict.__doc__, **fields)


def _with_models(hint: Any, within: tuple[type, ...]) -> Any:
    if is_typed_dict(hint):
        return dict[str, Any] if hint in within else _model_of(hint, within)
    inner = get_args(hint)
    replaced = tuple(_with_models(part, within) for part in inner)
    if replaced == inner:
        return hint
    origin: Any = get_origin(hint)
    return (Union if origin is UnionType else origin)[replaced]


def _recursive_schema(model: type[BaseModel], *, strict: bool) -> JSONDict | None:
    """Return the schema of a class that contains itself, directly or through others; None for any other class."""
    schema = model.model_json_schema()
    parts: dict[str, JSONDict] = schema.get("$defs", {})
    refs = {name: set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(part))) for name, part in parts.items()}
    for _ in refs:
        refs = {name: found.union(*(refs[other] for other in found)) for name, found in refs.items()}
    if not any(name in found for name, found in refs.items()):
        return None
    if "$ref" in schema:
        schema = {**parts[schema["$ref"].rpartition("/")[2]], "$defs": parts}
    for part in (schema, *parts.values()) if strict else ():
        if "properties" in part:
            part |= {"required": [*part["properties"]], "additionalProperties": False}
    return {name: value for name, value in schema.items() if name not in ("title", "description")}


def _allow_null(schema: JSONDict, model: Any) -> None:
    for field in model.__fields__.values():
        part = as_dict(schema.get("properties")).get(field.alias)
        if part is None:
            continue
        if hasattr(field.type_, "__fields__"):
            _allow_null(part.get("items", part), field.type_)
        if field.allow_none:
            described = {name: part.pop(name) for name in ("title", "description", "default") if name in part}
            some = dict(part)
            part.clear()
            part.update(described, anyOf=[some, {"type": "null"}])


def to_openai_tool_choice(choice: JSONDict | str | bool, tools: Sequence[JSONDict]) -> JSONDict | str:
    """Return LangChain's `tool_choice` in OpenAI's form.

    Raises:
        ConfigurationError: It names a tool that is not bound.
    """
    if isinstance(choice, dict) and str(choice.get("type")).startswith("openrouter:"):
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else choice  # Anthropic writes {"type": "any"}
    if kind is True or kind in ("any", "required"):
        return "required"
    if kind in ("auto", "none"):
        return str(kind)
    name = as_dict(choice.get("function")).get("name") or choice.get("name") if isinstance(choice, dict) else choice
    names = [as_dict(tool["function"]).get("name") for tool in tools if "function" in tool]
    if name not in names:
        raise ConfigurationError(f"`tool_choice` names {shown(name)}, but the bound tools are {names}.")
    return {"type": "function", "function": {"name": name}}
