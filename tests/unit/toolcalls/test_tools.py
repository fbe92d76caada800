"""The tools of a request: what is refused, and how arguments are checked against their schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lfm_adapter._toolcalls.json_answer import schema_problem
from lfm_adapter._toolcalls.json_schema import JSONSchema, TooMuchError, WorkBudget
from lfm_adapter._toolcalls.tools import Tools
from lfm_adapter.errors import ConfigurationError


def tool(name: Any = "f", parameters: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


def judged(tools: Tools, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return arguments as a call of the tool would have them, and what is wrong with them."""
    budget = WorkBudget()
    given = {key: tools.coerced(name, key, value, budget) for key, value in arguments.items()}
    return given, tools.problem(name, given, budget)


def checked(value: Any, schema: Any, **more: Any) -> tuple[Any, str | None]:
    tools = Tools.from_openai([tool(parameters={"type": "object", "properties": {"x": schema}, **more})])
    arguments, problem = judged(tools, "f", {"x": value})
    return arguments["x"], problem


class TestOf:
    @pytest.mark.parametrize("tools", ["weather", {"type": "function"}, ["weather"], [None]])
    def test_refuses_what_is_no_list_of_tools(self, tools):
        with pytest.raises(ConfigurationError, match="`tools` must be a list of objects"):
            Tools.from_openai(tools)

    def test_takes_openai_form(self):
        schema = {"type": "object", "properties": {"x": {"type": "string"}}}
        tools = Tools.from_openai([tool("f", schema, description="Do it.", strict=True), tool("g")])
        assert tools.names == {"f", "g"}
        assert tools.definitions == (
            {"name": "f", "description": "Do it.", "parameters": schema},
            {"name": "g", "parameters": {"type": "object", "properties": {}}},
        )

    def test_none_are_false(self):
        assert not Tools.from_openai([])
        assert not Tools.from_openai([{"type": "openrouter:web_search"}])
        assert Tools.from_openai([tool()])

    def test_keeps_tools_of_the_server_apart(self):
        search = {"type": "openrouter:web_search", "parameters": {"max_results": 3}}
        tools = Tools.from_openai([search, tool()])
        assert tools.server_tools == (search,)
        assert tools.names == {"f"}
        assert tools.only("f").server_tools == (search,)

    @pytest.mark.parametrize("name", [None, "", 3])
    def test_refuses_a_tool_without_a_name(self, name):
        with pytest.raises(ConfigurationError, match="has no name"):
            Tools.from_openai([tool(name)])

    def test_refuses_a_function_that_is_none(self):
        with pytest.raises(ConfigurationError, match="has no name"):
            Tools.from_openai([{"type": "function"}])

    def test_refuses_a_name_twice(self):
        with pytest.raises(ConfigurationError, match="Two tools are named 'f'"):
            Tools.from_openai([tool(), tool()])

    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ("x", "must be a JSON schema"),
            (True, "must be a JSON schema"),
            ({"type": "string"}, "must be a schema with"),
            (
                {"type": "object", "properties": {"x": {"type": "text"}}},
                r"not a valid JSON schema: 'text' .*\$.properties.x.type",
            ),
            ({"type": "object", "required": "x"}, "not a valid JSON schema: 'x' is not of type 'array'"),
            ({"type": "object", "default": {1, 2}}, "not a valid JSON schema: it is not JSON"),
            ({"type": "object", "default": json.loads("[" * 151 + "]" * 151)}, "nested in more than 150 levels"),
        ],
    )
    def test_refuses_parameters_that_are_no_schema_of_an_object(self, parameters, says):
        with pytest.raises(ConfigurationError, match=rf"(?s)'look_up'.*{says}"):
            Tools.from_openai([tool("look_up", parameters)])

    def test_leaves_the_rules_of_schemas_to_the_server_where_asked_to(self):
        for schema in ({"type": "text"}, {"type": "string", "minLength": -1}, {"required": True, "title": None}):
            parameters = {"type": "object", "properties": {"x": schema}}
            assert Tools.from_openai([tool(parameters=parameters)], check_schemas=False)
        with pytest.raises(ConfigurationError, match="must be a schema with"):
            Tools.from_openai([tool(parameters={"type": "array"})], check_schemas=False)

    @pytest.mark.parametrize("check_schemas", [True, False])
    @pytest.mark.parametrize(
        ("schema", "path"),
        [
            ({"type": 5}, "type"),
            ({"type": ["string", 5]}, "type"),
            ({"properties": []}, "properties"),
            ({"properties": {"y": "string"}}, "properties.y"),
            ({"items": 5}, "items"),
            ({"anyOf": {"type": "string"}}, "anyOf"),
            ({"additionalProperties": "no"}, "additionalProperties"),
            ({"enum": "a"}, "enum"),
            ({"required": [5]}, "required"),
            ({"minLength": "5"}, "minLength"),
            ({"description": 5}, "description"),
            ({"prefixItems": [{}, {"not": {"pattern": 5}}]}, r"prefixItems\[1\].not.pattern"),
        ],
    )
    def test_refuses_a_wrong_type_anywhere_in_a_schema(self, schema, path, check_schemas):
        parameters = {"type": "object", "properties": {"x": {"$defs": {"d": schema}}}}
        with pytest.raises(ConfigurationError, match=rf"\(at \$.properties.x\S+d.{path}"):
            Tools.from_openai([tool(parameters=parameters)], check_schemas=check_schemas)

    def test_refuses_a_schema_that_contains_itself(self):
        schema: dict[str, Any] = {"type": "object"}
        schema["properties"] = {"x": schema, "y": schema}
        with pytest.raises(ConfigurationError, match="contains itself"):
            Tools.from_openai([tool(parameters=schema)], check_schemas=False)

    def test_refuses_a_description_that_is_no_text(self):
        with pytest.raises(ConfigurationError, match=r"The `description` of the tool 'f' must be a string, got b'x'"):
            Tools.from_openai([tool(description=b"x")])

    @pytest.mark.parametrize(
        "parameters", [{}, {"properties": {}}, {"type": ["object", "null"]}, {"$ref": "#/$defs/A"}]
    )
    def test_takes_schemas_that_say_less(self, parameters):
        assert Tools.from_openai([tool(parameters=parameters)]).names == {"f"}

    def test_takes_patterns_of_other_languages(self):
        schema = {"type": "string", "pattern": r"^\p{Lu}+$"}
        assert checked("Ä", schema) == ("Ä", None)


class TestOnly:
    def test_leaves_one(self):
        assert Tools.from_openai([tool("f"), tool("g")]).only("g").names == {"g"}

    def test_refuses_a_name_that_is_not_there(self):
        with pytest.raises(ConfigurationError, match=r"`tool_choice` names 'h', but the tools are \['f', 'g'\]"):
            Tools.from_openai([tool("f"), tool("g")]).only("h")


class TestCalled:
    def test_takes_an_identifier_for_the_name_it_was_made_of(self):
        tools = Tools.from_openai([tool("get-it.now")])
        assert tools.called("get_it_now") == tools.called("get-it.now") == "get-it.now"
        assert tools.called("get_it") is None

    def test_takes_none_that_two_names_have(self):
        tools = Tools.from_openai([tool("a-b"), tool("a.b")])
        assert tools.called("a_b") is None
        assert tools.called("a-b") == "a-b"


STRINGS = {"type": "array", "items": {"type": "string"}}
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}


class TestCoercion:
    @pytest.mark.parametrize(
        ("value", "schema", "becomes"),
        [
            ("3", {"type": "integer"}, 3),
            ("-3", {"type": "integer"}, -3),
            ("3.0", {"type": "integer"}, 3),
            (3.0, {"type": "integer"}, 3),
            ("1.5", {"type": "number"}, 1.5),
            ("true", {"type": "boolean"}, True),
            ("False", {"type": "boolean"}, False),
            ("null", {"type": "null"}, None),
            ("None", {"type": ["integer", "null"]}, None),
            (3, {"type": "string"}, "3"),
            (3, {"enum": ["3", "4"]}, "3"),
            ("3", {"const": 3}, 3),
            ("a", STRINGS, ["a"]),
            (3, STRINGS, ["3"]),
            ({"x": "1"}, {"type": "array", "items": POINT}, [{"x": 1}]),
            ('["a", "b"]', STRINGS, ["a", "b"]),
            ('{"x": "1"}', POINT, {"x": 1}),
            ({"x": "1", "y": 2.0}, POINT, {"x": 1, "y": 2}),
            (["1", 2], {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [1, "2"]),
            ({"a": "1"}, {"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
            ("3", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 3),
            ("3", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "3"),
            ({"x": "1"}, {"oneOf": [{"type": "string"}, POINT]}, {"x": 1}),
            ("3", {"allOf": [{"type": "integer"}, {"minimum": 1}]}, 3),
            ("3", {}, "3"),
            ("3", True, "3"),
            (True, {"type": "boolean"}, True),
        ],
    )
    def test_coerces_what_loses_nothing(self, value, schema, becomes):
        assert checked(value, schema) == (becomes, None)
        assert type(checked(value, schema)[0]) is type(becomes)

    @pytest.mark.parametrize(
        ("value", "schema"),
        [
            ("3.5", {"type": "integer"}),
            (3.5, {"type": "integer"}),
            ("three", {"type": "integer"}),
            ("", {"type": "integer"}),
            ("1e999", {"type": "number"}),
            ("yes", {"type": "boolean"}),
            (1, {"type": "boolean"}),
            (True, {"type": "integer"}),
            (True, {"type": "string"}),
            (None, {"type": "string"}),
            (["a", "b"], {"type": "string"}),
            ({"x": 1}, STRINGS),
            ('{"y": 1}', {"type": "array", "items": POINT}),
            ("[1", STRINGS | {"items": {"type": "integer"}}),
        ],
    )
    def test_does_not_coerce_what_would_lose_something(self, value, schema):
        kept, problem = checked(value, schema)
        assert kept == value
        assert type(kept) is type(value)
        assert problem is not None

    def test_follows_references_within_the_schema(self):
        defs = {"Point": POINT, "Points": {"type": "array", "items": {"$ref": "#/$defs/Point"}}}
        assert checked({"x": "1"}, {"$ref": "#/$defs/Points"}, **{"$defs": defs}) == ([{"x": 1}], None)
        assert "'x'" in (checked({"y": "1"}, {"$ref": "#/$defs/Point"}, **{"$defs": defs})[1] or "")

    def test_follows_a_schema_into_itself(self):
        tree = {"type": "object", "properties": {"n": {"type": "integer"}, "next": {"$ref": "#/$defs/Tree"}}}
        value = {"n": "1", "next": {"n": "2", "next": {"n": 3}}}
        assert checked(value, {"$ref": "#/$defs/Tree"}, **{"$defs": {"Tree": tree}}) == (
            {"n": 1, "next": {"n": 2, "next": {"n": 3}}},
            None,
        )

    @pytest.mark.parametrize(
        "reference",
        ["#/$defs/None", "https://example.com/schema.json", "other.json#/x", "#no-anchor", "#/$defs/Loop"],
    )
    def test_reference_that_leads_nowhere_checks_nothing(self, reference):
        tools = Tools.from_openai(
            [tool(parameters={"properties": {"x": {"$ref": reference}}, "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}})],
            check_schemas=False,
        )
        assert judged(tools, "f", {"x": "1"}) == ({"x": "1"}, None)

    @pytest.mark.parametrize("choice", ["anyOf", "oneOf", "allOf"])
    def test_ends_in_a_schema_that_is_its_own_option(self, choice):
        loop = {choice: [{"$ref": "#/$defs/Loop"}, {"type": "integer"}]}
        tools = Tools.from_openai([tool(parameters={"properties": {"x": loop}, "$defs": {"Loop": loop}})])
        assert tools.argument_types("f", "x") == frozenset()


class TestProblem:
    def test_names_what_is_missing(self):
        tools = Tools.from_openai([tool(parameters={"type": "object", "required": ["city"]})])
        assert judged(tools, "f", {}) == ({}, "'city' is a required property")

    def test_says_where_it_is(self):
        assert checked({"x": "one"}, POINT)[1] == "'one' is not of type 'integer' (at $.x.x)"

    def test_problem_is_short(self):
        problem = checked("x" * 10_000, {"type": "integer"})[1]
        assert problem is not None
        assert len(problem) < 400

    def test_names_that_the_schema_does_not_know_are_no_problem(self):
        assert judged(Tools.from_openai([tool()]), "f", {"y": 1}) == ({"y": 1}, None)


def expression(op: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"left": {"$ref": "#/$defs/E"}, "op": {"const": op}},
        "required": ["op", "left"],
    }


EXPRESSION = {
    "$ref": "#/$defs/E",
    "$defs": {
        "E": {"anyOf": [{"$ref": "#/$defs/Add"}, {"$ref": "#/$defs/Mul"}, {"type": "integer"}]},
        "Add": expression("add"),
        "Mul": expression("mul"),
    },
}


def nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {"left": leaf, "op": "add"}
    return leaf


class TestWork:
    """A union within a union doubles the work with every level. Were it not cut, these tests would take years."""

    def test_few_levels_are_within_the_budget(self):
        assert JSONSchema(EXPRESSION).coerced(nested(3, "1")) == nested(3, 1)
        assert JSONSchema(EXPRESSION).problem(nested(3, "x")) is not None

    def test_value_that_fits_at_once_costs_little(self):
        budget = WorkBudget()
        assert JSONSchema(EXPRESSION).problem(nested(40, 1), budget) is None
        assert budget.left > 10_000

    @pytest.mark.parametrize("leaf", ["1", "x"])
    def test_beyond_the_budget_is_left(self, leaf):
        value = nested(40, leaf)
        budget = WorkBudget()
        assert JSONSchema(EXPRESSION).coerced(value) == value
        assert JSONSchema(EXPRESSION).problem(value, budget) is None
        assert budget.left < 0
        assert schema_problem(json.dumps(value), {"type": "json_schema", "json_schema": {"schema": EXPRESSION}}) is None

    def test_budget_is_shared_by_the_arguments_of_a_call(self):
        tools = Tools.from_openai(
            [tool(parameters={"properties": {}, "additionalProperties": EXPRESSION["$defs"]["E"], **EXPRESSION})]
        )
        arguments = {f"x{place}": nested(40, 1) for place in range(100)}
        assert judged(tools, "f", arguments) == (arguments, None)

    def test_value_nested_too_deeply_is_left(self):
        tree = {
            "$ref": "#/$defs/Node",
            "$defs": {
                "Node": {
                    "type": "object",
                    "properties": {
                        "size": {"type": "integer"},
                        "children": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
                    },
                }
            },
        }
        schema = JSONSchema(tree)
        for depth in (30, 45, *range(61, 130, 8)):
            value: Any = {"size": "3"}
            for _ in range(depth):
                value = {"children": [value]}
            found, problem = schema.coerced(value), schema.problem(value)
            if depth == 30:
                assert found != value
                assert problem is not None
            if depth > 60:
                assert (found, problem) == (value, None)

    def test_list_of_itself_is_left(self):
        lists = {"$defs": {"L": {"type": "array", "items": {"$ref": "#/$defs/L"}}}, "$ref": "#/$defs/L"}
        assert JSONSchema(lists).coerced("x") == "x"

    def test_work_in_parts_of_another_dialect_is_counted(self):
        draft = "https://json-schema.org/draft/2020-12/schema"
        defs = {name: {"$schema": draft, **part} for name, part in EXPRESSION["$defs"].items()}
        assert JSONSchema({**EXPRESSION, "$defs": defs}).problem(nested(40, "x")) is None

    def test_work_of_writing_a_long_value_into_messages_is_counted(self):
        value = ["x" * 1_000_000]
        for _ in range(50):
            value = [value]
        either = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}
        budget = WorkBudget()
        assert JSONSchema(either).problem(value, budget) is None
        assert budget.left < 0
        assert JSONSchema(either).coerced(value) == value

    def test_work_of_comparing_objects_grows_with_their_number_alone(self):
        distinct = {"type": "array", "uniqueItems": True}
        values = [{"a": place, "b": "x"} for place in range(50_000)]
        assert JSONSchema(distinct).problem(values) is None
        assert JSONSchema(distinct).problem([*values, {"b": "x", "a": 7}]) is not None
        assert JSONSchema({**distinct, "uniqueItems": False}).problem([1, 1]) is None

    def test_work_is_counted_across_values(self):
        budget = WorkBudget(5)
        assert JSONSchema({"type": "integer"}).fits(1, {"type": "integer"}, budget)
        with pytest.raises(TooMuchError):
            JSONSchema({}).fits([1] * 5, {"items": {"type": "integer"}}, budget)


def test_problem_with_a_long_value_still_says_what_it_is():
    problem = JSONSchema({"type": "integer"}).problem("x" * 10_000)
    assert problem is not None
    assert problem.endswith("is not of type 'integer'")
    assert len(problem) < 400


DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}


def test_tuple_of_draft_7_has_a_schema_for_each_item():
    pair = {**DRAFT_7, "type": "array", "items": [{"type": "integer"}, {"type": "string"}], "additionalItems": STRINGS}
    assert JSONSchema(pair).coerced(["1", 2, "a"]) == [1, "2", ["a"]]
    assert JSONSchema(pair).problem([1, "2", ["a"]]) is None
    assert JSONSchema({**DRAFT_7, "type": "array", "items": [{"type": "integer"}]}).coerced(3) == 3


@pytest.mark.parametrize("dialect", [3, [], {}, "http://[", "no such"])
def test_dialect_that_is_none_judges_by_the_newest_or_not_at_all(dialect):
    schema = {"$schema": dialect, "properties": {"x": {"type": "integer"}}}
    assert JSONSchema(schema).coerced({"x": "3"}) == {"x": 3}
    assert JSONSchema(schema).problem({"x": 3}) is None
