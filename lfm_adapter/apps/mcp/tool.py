"""The base of the tools: a Pydantic model of their arguments, with a method that answers a call."""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import mcp.types
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lfm_adapter.apps.mcp.result import Result  # Pydantic evaluates annotations
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from lfm_adapter.apps.mcp.invocation import ToolInvocation

ModelName = Annotated[str, Field(description='An id that the tool `models` lists. "" for the default model.')]
MaxTokens = Annotated[
    int, Field(ge=0, description="Maximum tokens of the answer, including reasoning. 0 for the server's default.")
]


def _as_list(given: Any) -> Any:
    return [given] * bool(given) if isinstance(given, str) else given


Strings = Annotated[list[str], BeforeValidator(_as_list)]
"""A list of strings. Agents also send a single string, and "" for an empty list."""


class Tool(BaseModel):
    """The arguments of one call. The docstring of a subclass describes the tool to agents."""

    model_config = ConfigDict(extra="forbid")

    title: ClassVar[str]
    result: ClassVar[type[Result]]
    asks_model: ClassVar[bool] = True

    async def run(self, call: ToolInvocation) -> Result:
        """Answer a call.

        Raises:
            LFMError: The model failed, a file cannot be read, or the budget is spent.
        """
        raise NotImplementedError

    @classmethod
    def definition(cls, name: str) -> mcp.types.Tool:
        """Return the definition of the tool for clients."""
        paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
        schema = cls.model_json_schema()
        del schema["description"]
        return mcp.types.Tool(
            name=name,
            title=cls.title,
            description="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
            input_schema=schema,
            output_schema=cls.result.model_json_schema(mode="serialization"),
            annotations=mcp.types.ToolAnnotations(
                title=cls.title,
                read_only_hint=True,
                destructive_hint=False,
                idempotent_hint=not cls.asks_model,
                open_world_hint=cls.asks_model,
            ),
        )

    @classmethod
    def parse(cls, arguments: dict[str, Any]) -> Self:
        """Return the arguments of a call.

        Raises:
            ConfigurationError: They do not match the schema.
        """
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            known = ", ".join(f"`{field.alias or name}`" for name, field in cls.model_fields.items()) or "no arguments"
            problems = [_problem(detail, known) for detail in error.errors(include_url=False)]
            raise ConfigurationError(" ".join(problems)) from None

    @model_validator(mode="before")
    @classmethod
    def _lenient(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Drop nulls, and parse lists and objects that a client sends as strings of JSON."""
        given = {name: value for name, value in arguments.items() if value is not None}
        for name, field in cls.model_fields.items():
            value = given.get(field.alias or name)
            if isinstance(value, str) and field.annotation is not str:
                with suppress(ValueError, RecursionError):
                    parsed = json.loads(value)
                    if isinstance(parsed, list | dict):
                        given[field.alias or name] = parsed
        return given


def _problem(detail: ErrorDetails, known: str) -> str:
    name = ".".join(map(str, detail["loc"]))
    match detail["type"]:
        case "missing":
            return f"`{name}` is missing."
        case "extra_forbidden":
            return f"Unknown argument: `{name}`. This tool takes {known}."
        case "string_too_short":
            return f"`{name}` must not be empty."
        case "dict_type":
            return f"`{name}` must be an object."
        case "list_type":
            return f"`{name}` must be a list."
        case "string_type":
            return f"`{name}` must be a string."
        case _:
            return f"`{name}` is invalid: {detail['msg'][:1].lower()}{detail['msg'][1:]}."
