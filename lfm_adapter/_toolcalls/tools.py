"""The tools that a model may call: `Tools`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter._masking import shown
from lfm_adapter._toolcalls.json_schema import JSONSchema, schema_error
from lfm_adapter._toolcalls.quotes import Keys
from lfm_adapter._toolcalls.schema_types import schema_type_error
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from lfm_adapter._toolcalls.json_schema import WorkBudget
    from lfm_adapter.types import JSONDict

_CALL_KEYS = ("name", "function", "tool", "arguments", "parameters", "args", "id", "type")
_PARTS = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties", "not"})
_MAX_NAMES = 20_000
_NAMESPACE = re.compile(r"^(?:functions|default_api|tools|api)\.")
_NOT_IN_AN_IDENTIFIER = re.compile(r"\W")


class Tools:
    """The tools of a request, by name.

    Attributes:
        names: The names of the functions.
        definitions: Each function as `{"name": …, "description": …, "parameters": …}`.
        server_tools: Tools without a function, which the server runs itself ("openrouter:web_search"), as they came.
        longest_name: Characters of the longest name.
    """

    def __init__(self, definitions: Sequence[JSONDict], server_tools: Sequence[JSONDict] = ()) -> None:
        self.definitions = tuple(definitions)
        self.server_tools = tuple(server_tools)
        self.names = frozenset(tool["name"] for tool in definitions)
        self.longest_name = max(map(len, self.names), default=0)
        self._schemas = {tool["name"]: JSONSchema(tool["parameters"]) for tool in definitions}
        # Python's identifiers have no hyphen, so that LFMs write `resolve_library_id(…)` for "resolve-library-id":
        # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1358
        self._identifiers: dict[str, str | None] = {}
        for name in self.names:
            identifier = _NOT_IN_AN_IDENTIFIER.sub("_", name)
            for written in {identifier, identifier.casefold(), name.casefold()}:
                self._identifiers[written] = None if written in self._identifiers else name

    @classmethod
    def from_openai(cls, tools: Sequence[Mapping[str, Any]], *, check_schemas: bool = True) -> Tools:
        """Take tools in OpenAI's form. Those of another type than "function" are for the server to run.

        Args:
            tools: `{"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}`.
            check_schemas: Whether to hold `parameters` against all rules of JSON Schema, which takes a tenth of a
                second the first time, rather than look at types alone.

        Raises:
            ConfigurationError: A function has no name or another's, or its `parameters` are not an object's schema.
        """
        if not isinstance(tools, list | tuple) or not all(isinstance(tool, Mapping) for tool in tools):
            raise ConfigurationError(
                f'`tools` must be a list of objects such as {{"type": "function", …}}, got {shown(tools)}.'
            )
        definitions: dict[str, JSONDict] = {}
        server_tools = []
        for tool in tools:
            if "function" not in tool and tool.get("type") != "function":
                server_tools.append(dict(tool))
                continue
            definition = _definition(as_dict(tool.get("function")), check_schema=check_schemas)
            if definition["name"] in definitions:
                raise ConfigurationError(f"Two tools are named {definition['name']!r}: give each its own name.")
            definitions[definition["name"]] = definition
        return cls(list(definitions.values()), server_tools)

    def __bool__(self) -> bool:
        return bool(self.definitions)

    def only(self, name: str) -> Tools:
        """Return these tools with only the function `name`, or raise `ConfigurationError` if it does not exist."""
        if name not in self.names:
            raise ConfigurationError(f"`tool_choice` names {name!r}, but the tools are {sorted(self.names)}.")
        return Tools([tool for tool in self.definitions if tool["name"] == name], self.server_tools)

    def called(self, written: str) -> str | None:
        """Return the tool that a name in Python's form means, or None."""
        name = _NAMESPACE.sub("", written)
        return name if name in self.names else self._identifiers.get(name) or self._identifiers.get(name.casefold())

    @cached_property
    def keys(self) -> Keys:
        """What the objects in the calls may have as keys."""
        return keys_of([tool["parameters"] for tool in self.definitions], _CALL_KEYS)

    def call_keys(self, written: str) -> Keys | None:
        """Return the names of the arguments of the tool that a name in Python's form means, or None."""
        name = self.called(written)
        if name is None:
            return None
        properties = self._schemas[name].properties
        return Keys(frozenset(filter(None, properties)), is_open=len(properties) == 1 or bool(properties[None][0]))

    def may_be_called(self, written: str, *, is_whole: bool) -> bool:
        """Return whether a tool has this name in Python's form, or one that begins so."""
        if is_whole:
            return self.called(written) is not None
        return any(name.startswith(written) for name in (*self.names, *self._identifiers))

    def has_argument(self, name: str, key: str) -> bool:
        """Return whether the schema of a tool names an argument."""
        return key in self._schemas[name].properties

    def knows_others(self, name: str, keys: Iterable[str]) -> bool:
        """Return whether the schema of a tool names arguments, but none of `keys`."""
        properties = self._schemas[name].properties
        return len(properties) > 1 and properties.keys().isdisjoint(keys)

    def argument_types(self, name: str, key: str) -> frozenset[str]:
        """Return the JSON types that an argument may have; none where no schema says."""
        return self._argument(name, key)[1] if name in self.names else frozenset()

    def coerced(self, name: str, key: str, value: Any, budget: WorkBudget) -> Any:
        """Return the value of one argument in a type that the schema admits, where nothing is lost by it."""
        schema, types = self._argument(name, key)
        if not schema or (isinstance(value, str) and "string" in types):
            return value
        return self._schemas[name].coerced_part(value, schema, budget)

    def problem(self, name: str, arguments: dict[str, Any], budget: WorkBudget) -> str | None:
        """Return what keeps arguments from fitting the tool's schema, in one sentence, or None if they fit."""
        return self._schemas[name].problem(arguments, budget)

    def _argument(self, name: str, key: str) -> tuple[Any, frozenset[str]]:
        properties = self._schemas[name].properties
        return properties[key] if key in properties else properties[None]


def _definition(function: JSONDict, *, check_schema: bool) -> JSONDict:
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError('A tool has no name. Use {"type": "function", "function": {"name": "…", …}}.')
    if not isinstance(function.get("description"), str | None):
        description = shown(function["description"])
        raise ConfigurationError(f"The `description` of the tool {name!r} must be a string, got {description}.")
    parameters = function.get("parameters")
    parameters = {"type": "object", "properties": {}} if parameters is None else parameters
    if not isinstance(parameters, dict):
        raise ConfigurationError(
            f"The `parameters` of the tool {name!r} must be a JSON schema, not {shown(parameters)}."
        )
    kind = parameters.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise ConfigurationError(
            f'The `parameters` of the tool {name!r} must be a schema with "type": "object" and a property for each '
            f"argument, got the type {shown(kind)}."
        )
    problem = schema_error(parameters) if check_schema else schema_type_error(parameters)
    if problem is not None:
        raise ConfigurationError(f"The `parameters` of the tool {name!r} are not a valid JSON schema: {problem}.")
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": name, **described, "parameters": parameters}


def keys_of(schemas: Collection[Any], others: Collection[str] = ()) -> Keys:
    """Return the names of all properties in schemas, and whether they have objects that may hold anything."""
    names = set(others)
    is_open = False
    parts = list(schemas)
    while parts and len(names) < _MAX_NAMES:
        part = parts.pop()
        if isinstance(part, list):
            parts += part
        elif isinstance(part, dict):
            properties = as_dict(part.get("properties"))
            names.update(properties)
            is_open = is_open or (part.get("type") == "object" and not properties) or not part
            parts += [*properties.values(), *(value for key, value in part.items() if key in _PARTS)]
            for key in ("$defs", "definitions"):
                parts += as_dict(part.get(key)).values()
    return Keys(frozenset(names), is_open)
