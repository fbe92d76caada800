"""How many calls and objects with quotes that are not escaped are read right, here and by peers.

    python -m benchmarks.texts

The texts are generated (`tests.support.unescaped`). vLLM and SGLang read calls with `ast.parse`, which stands for them.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from lfm_adapter._json import parse
from lfm_adapter._toolcalls.call_reader import CallReader
from lfm_adapter._toolcalls.json_answer import read_json, schema_problem
from lfm_adapter._toolcalls.json_schema import JSONSchema
from lfm_adapter._toolcalls.tools import Tools
from tests.support import unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.support.unescaped import Case

__all__ = ["TextRow", "measure_texts"]


class TextRow(SimpleNamespace):
    """What one reader made of the texts: `suite`, `reader`, `right`, `wrong` and `refused` in percent, `us` a text."""


class Note(BaseModel):
    text: str
    title: str | None = None
    count: int | None = None
    tags: list[str] | None = None


class Tags(BaseModel):
    tags: list[str]
    count: int | None = None


class Nested(BaseModel):
    notes: list[Note] | None = None
    best: Note | None = None


CLASSES = {json.dumps(schema): cls for schema, cls in (
    (unescaped.NOTE, Note), (unescaped.TAGS, Tags), (unescaped.NESTED, Nested),
)}  # fmt: skip

BAML = """
client<llm> Nobody {
  provider openai
  options {
    model "none"
    api_key "none"
  }
}
class Note {
  text string
  title string?
  count int?
  tags string[]?
}
class Tags {
  tags string[]
  count int?
}
class Nested {
  notes Note[]?
  best Note?
}
""" + "".join(
    f"function Read{name}(a: string) -> {name} {{\n  client Nobody\n"
    f'  prompt #"{{{{ a }}}} {{{{ ctx.output_format }}}}"#\n}}\n'
    for name in ("Note", "Tags", "Nested")
)


def our_object(case: Case) -> Any:
    (schema,) = case.tools
    found = read_json(case.text, schema=schema) or ""
    if schema_problem(found, {"type": "json_schema", "json_schema": {"schema": schema}}):
        return None
    return JSONSchema(schema).coerced(parse(found))


def validated(value: Any, case: Case) -> Any:
    try:
        return CLASSES[json.dumps(case.tools[0])].model_validate(value).model_dump(exclude_none=True)
    except ValidationError:
        return None


def json_repair_object(case: Case) -> Any:
    import json_repair

    return validated(json_repair.loads(case.text), case)


def langchain_object(case: Case) -> Any:
    from langchain_core.utils.json import parse_json_markdown

    try:
        return validated(parse_json_markdown(case.text), case)
    except ValueError:
        return None


def baml_object() -> Callable[[Case], Any]:
    from baml_py import BamlRuntime

    runtime = BamlRuntime.from_files("baml_src", {"main.baml": BAML}, {})
    classes = sys.modules[__name__]
    context = runtime.create_context_manager()

    def read(case: Case) -> Any:
        name = CLASSES[json.dumps(case.tools[0])].__name__
        try:
            found = runtime.parse_llm_response(
                f"Read{name}", case.text, classes, classes, classes, False, context, None, None, {}
            )
        except Exception:  # noqa: BLE001 - its errors have no class of their own
            return None
        return found.model_dump(exclude_none=True)

    return read


def our_calls(case: Case) -> Any:
    reader = CallReader(Tools.from_openai(case.tools, check_schemas=False), make_id=str)
    reader.feed(case.text)
    reader.close()
    return [[call.name, json.loads(call.arguments)] for call in reader.calls if call.error is None] or None


def ast_calls(case: Case) -> Any:
    """Read a list of calls as vLLM and SGLang do: by Python's own parser."""
    inner = case.text.removeprefix("<|tool_call_start|>").removesuffix("<|tool_call_end|>")
    try:
        calls = ast.parse(inner, mode="eval").body.elts  # type: ignore[attr-defined]
        return [[one.func.id, {key.arg: ast.literal_eval(key.value) for key in one.keywords}] for one in calls]
    except (SyntaxError, ValueError, AttributeError):
        return None


def json_repair_calls(case: Case) -> Any:
    """Take the JSON out of tags and fences, and have json_repair read it."""
    import json_repair

    parts = re.findall(r"<tool_call>(.*?)</tool_call>", case.text, re.DOTALL) or [case.text]
    values = [json_repair.loads(part) for part in parts]
    try:
        return [[value["name"], value["arguments"]] for value in values]  # type: ignore[index,call-overload]
    except (TypeError, KeyError):
        return None


def row(suite: str, name: str, cases: Iterable[Case], read: Callable[[Case], Any]) -> TextRow:
    counts: Counter[str] = Counter()
    start = time.process_time()
    for case in cases:
        found = read(case)
        counts["right" if found == case.expected else "refused" if found is None else "wrong"] += 1
    share = {key: 100 * counts[key] / counts.total() for key in ("right", "wrong", "refused")}
    us = (time.process_time() - start) / counts.total() * 1e6
    return TextRow(suite=suite, reader=name, total=counts.total(), us=us, **share)


def measure_texts(*, share: int = 1) -> list[TextRow]:
    """Return a row for each reader, from every `share`-th text."""
    calls = list(unescaped.calls())[::share]
    python = [case for case in calls if " | marked" in case.name or " | bare" in case.name]
    in_json = [case for case in calls if case not in python]
    objects = list(unescaped.objects())[::share]
    return [
        row("calls in Python's form", "lfm-adapter", python, our_calls),
        row("calls in Python's form", "`ast`, as in vLLM and SGLang", python, ast_calls),
        row("calls in JSON", "lfm-adapter", in_json, our_calls),
        row("calls in JSON", "json_repair", in_json, json_repair_calls),
        row("objects", "lfm-adapter", objects, our_object),
        row("objects", "BAML", objects, baml_object()),
        row("objects", "json_repair and Pydantic", objects, json_repair_object),
        row("objects", "langchain-core and Pydantic", objects, langchain_object),
    ]


def table(rows: list[TextRow]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| texts | reader | right | silently wrong | refused | CPU µs a text |", "|---|---|--:|--:|--:|--:|"]
    lines += [
        f"| {one.total:,} {one.suite} | {one.reader} | {one.right:.1f} % | {one.wrong:.1f} % "
        f"| {one.refused:.1f} % | {one.us:,.0f} |"
        for one in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(measure_texts()))
