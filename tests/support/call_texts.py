"""Texts in which LFMs and their servers were seen, or are documented, to write calls, and what they mean.

Where a text comes from a report, its `source` says which. The others vary the documented forms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lfm_adapter._toolcalls.call_reader import CallReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfm_adapter._toolcalls.tools import Tools
    from lfm_adapter.types import ToolCall

__all__ = ["CALL_TEXTS", "TOOLS", "CallText", "read_calls"]

DOCS = "https://docs.liquid.ai/lfm/key-concepts/tool-use"
VLLM = "https://github.com/vllm-project/vllm/pull/39243"
VLLM_FIX = "https://github.com/vllm-project/vllm/pull/48171"
VLLM_RUST = "https://github.com/vllm-project/vllm/pull/52900"
SGLANG = "https://github.com/sgl-project/sglang/pull/27614"
LM_STUDIO = "https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1979"
LM_STUDIO_NAMES = "https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1358"
LLAMA_FORMAT = "https://github.com/ggml-org/llama.cpp/issues/23838"
LLAMA_BRACKETS = "https://github.com/ggml-org/llama.cpp/pull/24071"
LLAMA_ESCAPES = "https://github.com/ggml-org/llama.cpp/pull/24667"
LLAMA_QUOTES = "https://github.com/ggml-org/llama.cpp/issues/26658"
RAPID_MLX = "https://github.com/raullenchai/Rapid-MLX/pull/552"
RAPID_MLX_LEAK = "https://github.com/raullenchai/Rapid-MLX/pull/1592"
TABBY = "https://github.com/theroyallab/tabbyAPI/pull/464"
MLX_LM = "https://github.com/ml-explore/mlx-lm/pull/1246"
BROWSER_AI = "https://github.com/jakobhoeg/browser-ai/pull/212"
COOKBOOK = "https://github.com/Liquid4All/cookbook/issues/72"

START, END = "<|tool_call_start|>", "<|tool_call_end|>"


def tool(name: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


STRING, INTEGER, NUMBER, BOOLEAN = ({"type": name} for name in ("string", "integer", "number", "boolean"))
STRINGS = {"type": "array", "items": STRING}

TOOLS = [
    tool(
        "get_weather", ("city",), city=STRING, days=INTEGER, units=STRINGS, detailed=BOOLEAN, options={"type": "object"}
    ),
    tool("get_candidate_status", ("candidate_id",), candidate_id=STRING),
    tool("run", command=STRING, code=STRING, timeout=NUMBER),
    tool("locate", latitude=NUMBER, longitude=NUMBER, size={"type": "array"}),
    tool("memory.get", **{"from": INTEGER, "tags": STRINGS}),
    tool("resolve-library-id", ("libraryName",), libraryName=STRING),
    tool("anything", value={}),
    tool("ping"),
]


@dataclass(frozen=True)
class CallText:
    """A text, and what it means.

    Attributes:
        name: What it shows.
        text: What the model wrote.
        calls: Name and arguments of each call.
        left: The text that is left.
        errors: For a broken call, by its place, a part of what is said of it; its arguments are then not compared.
        source: Where it was seen.
    """

    name: str
    text: str
    calls: tuple[tuple[str, Any], ...] = ()
    left: str = ""
    errors: dict[int, str] = field(default_factory=dict)
    source: str = ""


def lfm2(inner: str, **facts: Any) -> dict[str, Any]:
    return {"text": f"{START}{inner}{END}", **facts}


def weather(city: str = "Paris", **more: Any) -> tuple[str, Any]:
    return ("get_weather", {"city": city, **more})


def run(**arguments: Any) -> tuple[str, Any]:
    return ("run", arguments)


PARIS = weather()
XML = "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>"
JSON = '{"name": "get_weather", "arguments": {"city": "Paris"}}'


def _cases(*cases: tuple[str, dict[str, Any]]) -> list[CallText]:
    return [CallText(name, **facts) for name, facts in cases]


LFM2 = _cases(
    (
        "documented",
        lfm2(
            '[get_candidate_status(candidate_id="12345")]',
            calls=(("get_candidate_status", {"candidate_id": "12345"}),),
            source=DOCS,
        ),
    ),
    (
        "text behind the call",
        {
            "text": f'{START}[get_candidate_status(candidate_id="12345")]{END}Checking the current status.',
            "calls": (("get_candidate_status", {"candidate_id": "12345"}),),
            "left": "Checking the current status.",
            "source": DOCS,
        },
    ),
    (
        "leaked by a server, with a space before the end",
        lfm2('[get_weather(city="Paris")] ', calls=(PARIS,), source=VLLM),
    ),
    ("leaked by an app", lfm2('[run(command="desktop")]', calls=(run(command="desktop"),), source=LM_STUDIO)),
    ("leaked in the cookbook", lfm2("[ping()]", calls=(("ping", {}),), source=COOKBOOK)),
    (
        "single quotes and a number",
        lfm2(
            "[get_weather(city='current temperature in Mexico City', days=5)]",
            calls=(weather("current temperature in Mexico City", days=5),),
            source=LLAMA_FORMAT,
        ),
    ),
    (
        "a path",
        lfm2("[run(command='/home/user1/workspace')]", calls=(run(command="/home/user1/workspace"),), source=TABBY),
    ),
    (
        "all kinds of values",
        lfm2(
            '[get_weather(city="x", days=1, detailed=True, units=["C"], options={"k": None, "l": [1, {"m": 2.5}]})]',
            calls=(weather("x", days=1, detailed=True, units=["C"], options={"k": None, "l": [1, {"m": 2.5}]}),),
        ),
    ),
    (
        "literals of JSON",
        lfm2(
            '[get_weather(city="x", detailed=true, options={"a": false, "b": null})]',
            calls=(weather("x", detailed=True, options={"a": False, "b": None}),),
            source=SGLANG,
        ),
    ),
    ("a dotted name", lfm2("[memory.get(from=1)]", calls=(("memory.get", {"from": 1}),), source=SGLANG)),
    (
        "a keyword of Python as a name",
        lfm2("[memory.get(from=1, tags=['a'])]", calls=(("memory.get", {"from": 1, "tags": ["a"]}),), source=VLLM_FIX),
    ),
    (
        "a hyphenated name",
        lfm2('[resolve-library-id(libraryName="astro")]', calls=(("resolve-library-id", {"libraryName": "astro"}),)),
    ),
    (
        "a hyphenated name as an identifier",
        lfm2(
            '[resolve_library_id(libraryName="astro")]',
            calls=(("resolve-library-id", {"libraryName": "astro"}),),
            source=LM_STUDIO_NAMES,
        ),
    ),
    (
        "two calls",
        lfm2(
            '[get_weather(city="Paris"), get_weather(city="Rome")]', calls=(PARIS, weather("Rome")), source=BROWSER_AI
        ),
    ),
    (
        "the same call twice",
        lfm2('[get_weather(city="Paris"), get_weather(city="Paris")]', calls=(PARIS, PARIS), source=RAPID_MLX),
    ),
    (
        "two frames",
        {"text": f'{START}[ping()]{END}\n{START}[get_weather(city="Paris")]{END}', "calls": (("ping", {}), PARIS)},
    ),
    ("calls on lines of their own", lfm2('[\n  get_weather(city="Paris"),\n  ping()\n]', calls=(PARIS, ("ping", {})))),
    ("a comma in a string", lfm2('[get_weather(city="Doe, Jane")]', calls=(weather("Doe, Jane"),), source=BROWSER_AI)),
    (
        "a bracket in a string",
        lfm2("""[run(command='grep -F "]" log.txt')]""", calls=(run(command='grep -F "]" log.txt'),), source=VLLM_FIX),
    ),
    ("what looks like a call's end in a string", lfm2('[run(command="f(1)], g(")]', calls=(run(command="f(1)], g("),))),
    (
        "raw line breaks in a string",
        lfm2(
            "[run(command='cat > f.py << EOF\nx\nEOF')]",
            calls=(run(command="cat > f.py << EOF\nx\nEOF"),),
            source=VLLM_FIX,
        ),
    ),
    (
        "a string that ends in a backslash",
        lfm2(r"[run(command='pattern \')]", calls=(run(command="pattern \\"),), source=VLLM_FIX),
    ),
    (
        "a negative number",
        lfm2("[locate(longitude=-74.0046539)]", calls=(("locate", {"longitude": -74.0046539}),), source=VLLM_FIX),
    ),
    ("a tuple", lfm2("[locate(size=(800, 600))]", calls=(("locate", {"size": [800, 600]}),), source=VLLM_FIX)),
    ("a set", lfm2("[locate(size={1, 2})]", calls=(("locate", {"size": [1, 2]}),), source=VLLM_RUST)),
    (
        "white space behind the marker",
        {"text": f'{START} [get_weather(city="Paris")]{END}', "calls": (PARIS,), "source": VLLM_FIX},
    ),
    ("leading zeros", lfm2("[get_weather(city='x', days=007)]", calls=(weather("x", days=7),), source=TABBY)),
    (
        "numbers that are not JSON",
        lfm2(
            "[locate(latitude=+.5, longitude=1_000., size=[0x1F, 1e2])]",
            calls=(("locate", {"latitude": 0.5, "longitude": 1000.0, "size": [31, 100.0]}),),
        ),
    ),
    (
        "escapes",
        lfm2(
            r"[run(code='print(\'hello\')\nprint(\"world\")')]",
            calls=(run(code="print('hello')\nprint(\"world\")"),),
            source=LLAMA_ESCAPES,
        ),
    ),
    (
        "escaped characters",
        lfm2(r'[run(code="\x41\u00e9\ud83d\ude00\U0001F600\\d \d")]', calls=(run(code="Aé😀😀\\d \\d"),)),
    ),
    (
        "quotes that are not escaped",
        lfm2("[run(code='print('hi')')]", calls=(run(code="print('hi')"),), source=LLAMA_QUOTES),
    ),
    (
        "quotes that are not escaped, before a comma",
        lfm2(
            "[run(code='plt.plot(x, 'red', 2)', timeout=1)]",
            calls=(run(code="plt.plot(x, 'red', 2)", timeout=1),),
            source=LLAMA_QUOTES,
        ),
    ),
    (
        "an apostrophe that is not escaped",
        lfm2(
            "[get_weather(city='St. John's', units=['it's', 'b'])]", calls=(weather("St. John's", units=["it's", "b"]),)
        ),
    ),
    ("three quotes", lfm2('[run(code="""a = "b"\nc""")]', calls=(run(code='a = "b"\nc'),))),
    ("strings that follow each other", lfm2("[run(code='a' \"b\")]", calls=(run(code="ab"),))),
    ("unicode", lfm2('[get_weather(city="東京 🌸 São")]', calls=(weather("東京 🌸 São"),))),
    ("trailing commas", lfm2('[get_weather(city="Paris", units=["a", "b",],), ]', calls=(weather(units=["a", "b"]),))),
    ("spaces everywhere", lfm2(' [ get_weather ( city = "Paris" , days = 3 ) ] ', calls=(weather(days=3),))),
    ("a colon in place of the equals sign", lfm2('[get_weather(city: "Paris")]', calls=(PARIS,))),
    ("an object as the one argument", lfm2('[get_weather({"city": "Paris"})]', calls=(PARIS,), source=RAPID_MLX_LEAK)),
    ("no list", lfm2('get_weather(city="Paris")', calls=(PARIS,))),
    ("JSON", lfm2(f"[{JSON}]", calls=(PARIS,), source=DOCS)),
    ("JSON without a list", lfm2(JSON, calls=(PARIS,))),
    ("two in JSON", lfm2(f"[{JSON}, {JSON}]", calls=(PARIS, PARIS))),
    ("JSON with a bracket too few", lfm2(JSON[:-1], calls=(PARIS,))),
    (
        "types that can be brought right",
        lfm2(
            '[get_weather(city=75001, days="3", units="C", detailed="true")]',
            calls=(weather("75001", days=3, units=["C"], detailed=True),),
        ),
    ),
    ("no end marker", {"text": f'{START}[get_weather(city="Paris")]', "calls": (PARIS,)}),
    ("no end marker and no end of the list", {"text": f'{START}[get_weather(city="Paris")', "calls": (PARIS,)}),
    (
        "text on both sides",
        {
            "text": f'Let me look. {START}[get_weather(city="Paris")]{END} Done.',
            "calls": (PARIS,),
            "left": "Let me look. Done.",
        },
    ),
    (
        "no name for an argument",
        lfm2('[get_weather("Paris")]', calls=(PARIS,), errors={0: "no name"}, source=RAPID_MLX),
    ),
    (
        "no name for an argument, before a good call",
        lfm2('[get_weather("Paris"), ping()]', calls=(PARIS, ("ping", {})), errors={0: "no name"}),
    ),
    ("an argument given twice", lfm2('[get_weather(city="Paris", city="Rome")]', calls=(PARIS,), errors={0: "twice"})),
    ("a required argument missing", lfm2("[get_weather(days=3)]", calls=(weather(days=3),), errors={0: "'city'"})),
    (
        "an argument of another type",
        lfm2('[get_weather(city="Paris", days="soon")]', calls=(PARIS,), errors={0: "soon"}),
    ),
    ("an expression", lfm2("[get_weather(city=open('x').read())]", calls=(PARIS,), errors={0: "city"})),
    ("cut off in a string", {"text": f'{START}[get_weather(city="Par', "calls": (PARIS,), "errors": {0: "cut off"}}),
    (
        "cut off in a list",
        {"text": f'{START}[get_weather(city="Paris", units=["a"', "calls": (PARIS,), "errors": {0: "cut off"}},
    ),
    (
        "cut off before its bracket closes",
        {"text": f"{START}[locate(latitude=1", "calls": (("locate", {}),), "errors": {0: "cut off"}},
    ),
    ("a quote that is not closed", lfm2('[get_weather(city="Paris)]', calls=(PARIS,), errors={0: "quote"})),
    ("too deep", lfm2(f"[anything(value={'[' * 100}{']' * 100})]", calls=(("anything", {}),), errors={0: "64"})),
    (
        "a tool that is not bound",
        {"text": f"{START}[shutdown(now=True)]{END}", "left": f"{START}[shutdown(now=True)]{END}"},
    ),
    (
        "a tool that is not bound, behind one that is",
        {"text": f"{START}[ping(), shutdown()]{END}", "calls": (("ping", {}),), "left": f", shutdown()]{END}"},
    ),
    (
        "a tool that is not bound, before one that is",
        {
            "text": f'{START}[shutdown(now=True, why="a, b]"), ping()]{END}',
            "calls": (("ping", {}),),
            "left": f'{START}[shutdown(now=True, why="a, b]")',
        },
    ),
    (
        "a tool that is not bound, between two that are",
        {
            "text": f'{START}[ping(), shutdown(l=[1, 2], d={{"a": 1}}), get_weather(city="Paris")]{END}',
            "calls": (("ping", {}), PARIS),
            "left": ', shutdown(l=[1, 2], d={"a": 1})',
        },
    ),
    (
        "JSON of a tool that is not bound, between two that are",
        {
            "text": f'{START}[{{"name": "ping"}}, {{"name": "shutdown", "arguments": {{"a": [1]}}}}, {JSON}]{END}',
            "calls": (("ping", {}), PARIS),
            "left": ', {"name": "shutdown", "arguments": {"a": [1]}}',
        },
    ),
)

FOREIGN = _cases(
    ("a namespace before the name", lfm2("[functions.run(command='a')]", calls=(run(command="a"),))),
    ("a name in another case", lfm2("[Run(command='a')]", calls=(run(command="a"),))),
    ("an assignment", lfm2("[found = run(command='a')]", calls=(run(command="a"),))),
    ("arguments within arguments", lfm2("[run(arguments={'command': 'a'})]", calls=(run(command="a"),))),
    (
        "arguments within arguments in JSON",
        {
            "text": '<tool_call>{"name": "run", "arguments": {"arguments": {"command": "a"}}}</tool_call>',
            "calls": (run(),),
            "errors": {0: "`arguments` is not one of its arguments"},
        },
    ),
    ("a comment behind the calls", lfm2("[ping()]  # now", calls=(("ping", {}),), left="# now")),
    ("curly quotes", lfm2("[run(command=“ls -l”)]", calls=(run(command="ls -l"),))),
    (
        "the name as the key",
        {"text": '<tool_call>{"run": {"command": "a"}}</tool_call>', "calls": (run(command="a"),)},
    ),
    (
        "other keys for name and arguments",
        {"text": '<tool_call>{"tool_name": "ping", "tool_input": {}}</tool_call>', "calls": (("ping", {}),)},
    ),
    ("JSON in XML", {"text": '<function=run>{"command": "a"}</function>', "calls": (run(command="a"),)}),
    ("another tag", {"text": f"<function_call>{JSON}</function_call>", "calls": (PARIS,)}),
    ("another marker", {"text": "<|python_start|>[ping()]<|python_end|>", "calls": (("ping", {}),)}),
    (
        "names in attributes",
        {
            "text": '<function name="run"><param name="code">1</param></function>\n<function name="ping"></function>',
            "calls": (run(code="1"), ("ping", {})),
        },
    ),
    (
        "tags with a prefix",
        {
            "text": '<\uff5cDSML\uff5cfunction_calls>\n<\uff5cDSML\uff5cinvoke name="run">\n<\uff5cDSML\uff5cparameter '
            'name="timeout" string="false">2.5</\uff5cDSML\uff5cparameter>\n</\uff5cDSML\uff5cinvoke>\n'
            "</\uff5cDSML\uff5cfunction_calls>",
            "calls": (run(timeout=2.5),),
        },
    ),
)

OTHER_FORMS = _cases(
    ("XML", {"text": XML, "calls": (PARIS,)}),
    ("XML on one line", {"text": XML.replace("\n", ""), "calls": (PARIS,)}),
    (
        "XML with typed values",
        {
            "text": "<tool_call><function=get_weather><parameter=city>75001</parameter><parameter=days>3</parameter>"
            "<parameter=detailed>True</parameter><parameter=options>{'a': None}</parameter></function></tool_call>",
            "calls": (weather("75001", days=3, detailed=True, options={"a": None}),),
        },
    ),
    (
        "XML with line breaks and signs in a value",
        {
            "text": "<tool_call><function=run><parameter=code>\n\nif a < b:\n  print('</p>')\n\n</parameter>"
            "</function></tool_call>",
            "calls": (run(code="\nif a < b:\n  print('</p>')\n"),),
        },
    ),
    (
        "XML with a string in quotes",
        {
            "text": '<tool_call><function=get_weather><parameter=city>"Paris"</parameter></function></tool_call>',
            "calls": (weather('"Paris"'),),
        },
    ),
    ("XML without arguments", {"text": "<tool_call><function=ping></function></tool_call>", "calls": (("ping", {}),)}),
    ("two in XML", {"text": f"{XML}\n{XML}", "calls": (PARIS, PARIS)}),
    (
        "two in XML in one frame",
        {"text": XML.replace("\n</tool_call>", "") + XML.replace("<tool_call>", ""), "calls": (PARIS, PARIS)},
    ),
    (
        "XML without end tags, before another",
        {"text": XML.removesuffix("\n</function>\n</tool_call>") + XML, "calls": (PARIS, PARIS)},
    ),
    ("XML without end tags, at the end", {"text": XML.removesuffix("\n</function>\n</tool_call>"), "calls": (PARIS,)}),
    ("XML without the outer tag", {"text": XML.replace("<tool_call>\n", ""), "calls": (PARIS,)}),
    (
        "XML cut off",
        {"text": "<tool_call><function=get_weather><parameter=city>Par", "calls": (PARIS,), "errors": {0: "cut off"}},
    ),
    (
        "XML with a parameter twice",
        {
            "text": "<tool_call><function=run><parameter=code>a</parameter><parameter=code>b</parameter></function>"
            "</tool_call>",
            "calls": (run(code="b"),),
            "errors": {0: "twice"},
        },
    ),
    (
        "XML of a tool that is not bound",
        {
            "text": "<tool_call><function=shutdown></function></tool_call>",
            "left": "<tool_call><function=shutdown></function></tool_call>",
        },
    ),
    ("JSON in tags", {"text": f"<tool_call>{JSON}</tool_call>", "calls": (PARIS,)}),
    (
        "JSON in tags on lines",
        {"text": f"Sure.\n<tool_call>\n{JSON}\n</tool_call>\n", "calls": (PARIS,), "left": "Sure."},
    ),
    (
        "JSON in tags with `parameters`",
        {"text": f"<tool_call>{JSON.replace('arguments', 'parameters')}</tool_call>", "calls": (PARIS,)},
    ),
    (
        "arguments as a string of JSON",
        {
            "text": r'<tool_call>{"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}</tool_call>',
            "calls": (PARIS,),
        },
    ),
    (
        "JSON in tags with single quotes",
        {"text": f"<tool_call>{JSON}</tool_call>".replace('"', "'"), "calls": (PARIS,)},
    ),
    (
        "JSON in tags with quotes that are not escaped",
        {
            "text": '<tool_call>{"name": "run", "arguments": {"code": "print("hi")"}}</tool_call>',
            "calls": (run(code='print("hi")'),),
        },
    ),
    ("JSON in tags with a bracket too few", {"text": f"<tool_call>{JSON[:-1]}</tool_call>", "calls": (PARIS,)}),
    ("JSON in tags without arguments", {"text": '<tool_call>{"name": "ping"}</tool_call>', "calls": (("ping", {}),)}),
    (
        "JSON in tags with arguments beside the name",
        {
            "text": '<tool_call>{"name": "get_weather", "city": "Paris"}</tool_call>',
            "calls": (PARIS,),
            "errors": {0: "`city`"},
        },
    ),
    ("JSON in tags cut off", {"text": f"<tool_call>{JSON[:-3]}", "calls": (PARIS,), "errors": {0: "cut off"}}),
    ("a list of JSON in tags", {"text": f"<tool_call>[{JSON}, {JSON}]</tool_call>", "calls": (PARIS, PARIS)}),
    (
        "JSON in tags of a tool that is not bound",
        {"text": '<tool_call>{"name": "shutdown"}</tool_call>', "left": '<tool_call>{"name": "shutdown"}</tool_call>'},
    ),
    (
        "JSON in tags with the name behind the arguments",
        {
            "text": '<tool_call>{"arguments": {"city": "Paris", "days": "3"}, "name": "get_weather"}</tool_call>',
            "calls": (("get_weather", {"city": "Paris", "days": 3}),),
        },
    ),
    (
        "JSON between markers with the name behind the arguments, twice",
        lfm2(
            '[{"id": "c1", "arguments": {"city": "Paris"}, "name": "get_weather"}, {"args": "{}", "name": "ping"}]',
            calls=(PARIS, ("ping", {})),
        ),
    ),
    (
        "JSON in tags with an id before the name",
        {
            "text": '<tool_call>{"id": "call_1", "type": "function", "name": "ping"}</tool_call>',
            "calls": (("ping", {}),),
        },
    ),
    (
        "plain JSON with the name behind the arguments",
        {
            "text": 'So:\n{"arguments": {"city": "Paris"}, "name": "get_weather"}\nWait.',
            "calls": (PARIS,),
            "left": "So:\nWait.",
        },
    ),
    (
        "plain JSON with an id, in OpenAI's form",
        {
            "text": '{"id": "call_1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}',
            "calls": (("ping", {}),),
        },
    ),
    (
        "an object with an id and the name of a tool",
        {"text": '[{"id": 1, "name": "ping"}]', "left": '[{"id": 1, "name": "ping"}]'},
    ),
    (
        "an object with arguments that is no call",
        {
            "text": '{"arguments": {"a": 1}, "title": "ping"} and so on',
            "left": '{"arguments": {"a": 1}, "title": "ping"} and so on',
        },
    ),
    (
        "a code fence in tags",
        {"text": f"<tool_call>\n```json\n{JSON}\n```\n</tool_call>\nDone.", "calls": (PARIS,), "left": "Done."},
    ),
    ("plain JSON", {"text": JSON, "calls": (PARIS,), "source": TABBY}),
    ("plain JSON on a line", {"text": f"I will look.\n\n{JSON}\n", "calls": (PARIS,), "left": "I will look."}),
    (
        "plain JSON in OpenAI's form",
        {"text": '{"type": "function", "function": {"name": "ping", "arguments": "{}"}}', "calls": (("ping", {}),)},
    ),
    ("plain JSON with `tool`", {"text": JSON.replace('"name"', '"tool"'), "calls": (PARIS,)}),
    (
        "plain JSON with a name alone",
        {"text": 'Well:\n{"name": "ping"}\nSo.', "calls": (("ping", {}),), "left": "Well:\nSo."},
    ),
    (
        "plain JSON with `parameters`",
        {"text": '{"name": "anything", "parameters": {"type": "a"}}', "calls": (("anything", {"type": "a"}),)},
    ),
    ("a list of plain JSON", {"text": f"[{JSON}, {JSON}]", "calls": (PARIS, PARIS)}),
    ("lines of plain JSON", {"text": f"{JSON}\n{JSON}", "calls": (PARIS, PARIS)}),
    ("a fence", {"text": f"```json\n{JSON}\n```", "calls": (PARIS,)}),
    (
        "a fence with two",
        {
            "text": f"Look:\n```\n{JSON}\n{JSON}\n```\nThat is all.",
            "calls": (PARIS, PARIS),
            "left": "Look:\nThat is all.",
        },
    ),
    ("a fence with a list", {"text": f"```json\n[{JSON}]\n```", "calls": (PARIS,)}),
    ("plain JSON within a line", {"text": f"Write {JSON} for that.", "left": f"Write {JSON} for that."}),
    (
        "plain JSON with another first key",
        {"text": '{"city": "Paris", "name": "get_weather"}', "left": '{"city": "Paris", "name": "get_weather"}'},
    ),
    (
        "plain JSON with a name that is no tool's",
        {"text": '{"name": "Tom", "age": 3}', "left": '{"name": "Tom", "age": 3}'},
    ),
    ("markers dropped by the server", {"text": '[get_weather(city="Paris")]', "calls": (PARIS,), "source": RAPID_MLX}),
    (
        "markers dropped, two calls and text",
        {
            "text": 'Well.\n[ping(), get_weather(city="Paris")]\nWait.',
            "calls": (("ping", {}), PARIS),
            "left": "Well.\nWait.",
        },
    ),
    (
        "a list that is none of calls",
        {
            "text": "items = [1, 2]\n[1] says [x](y)",
            "left": "items = [1, 2]\n[1] says [x](y)",
            "source": LLAMA_BRACKETS,
        },
    ),
    ("a call within a line", {"text": "Use [ping()] or ping().", "left": "Use [ping()] or ping()."}),
    (
        "another program's words for a call",
        {"text": "[Calling tool: browse({})]", "left": "[Calling tool: browse({})]", "source": RAPID_MLX_LEAK},
    ),
    (
        "markers in prose",
        {
            "text": f"The marker {START} begins <tool_call> and so on.",
            "left": f"The marker {START} begins <tool_call> and so on.",
        },
    ),
    (
        "a fence with code",
        {"text": "```python\nget_weather(city='Paris')\n```", "left": "```python\nget_weather(city='Paris')\n```"},
    ),
)


UNESCAPED = _cases(
    (
        "two calls in a string",
        lfm2("[run(code='show('a'), hide('b')')]", calls=(run(code="show('a'), hide('b')"),), source=LLAMA_ESCAPES),
    ),
    ("named arguments in a string", lfm2("[run(code='g(p='a', q='b')')]", calls=(run(code="g(p='a', q='b')"),))),
    (
        "named arguments in a string, the last empty",
        lfm2("[run(code='axis(x, title='', grid='')')]", calls=(run(code="axis(x, title='', grid='')"),)),
    ),
    (
        "names of the tool's own arguments in a string",
        lfm2("[run(code='run(code='a', command='b')')]", calls=(run(code="run(code='a', command='b')"),)),
    ),
    (
        "two lines in a string",
        lfm2(r"[run(code='show('a')\nhide('b')')]", calls=(run(code="show('a')\nhide('b')"),)),
    ),
    (
        "quoted words in a command",
        lfm2("[run(command='tr 'x' 'y z' < f', timeout=2)]", calls=(run(command="tr 'x' 'y z' < f", timeout=2),)),
    ),
    (
        "quotes in both of two calls",
        lfm2(
            "[run(code='show('a')'), run(code='show('b')', timeout=1)]",
            calls=(run(code="show('a')"), run(code="show('b')", timeout=1)),
        ),
    ),
    (
        "one quote in both of two calls",
        lfm2("[run(code='a 'b'), run(command='c 'd')]", calls=(run(code="a 'b"), run(command="c 'd"))),
    ),
    (
        "double quotes in an object",
        lfm2(
            """[get_weather(city='x', options={"a": "say "hi"", "b": [1, "c"]})]""",
            calls=(weather("x", options={"a": 'say "hi"', "b": [1, "c"]}),),
        ),
    ),
    (
        "quotes in a list",
        lfm2(
            """[get_weather(city='x', units=["the "big" one", "b"])]""",
            calls=(weather(units=['the "big" one', "b"], city="x"),),
        ),
    ),
    ("brackets in quotes in a string", lfm2("[run(code='f('[')')]", calls=(run(code="f('[')"),))),
    (
        "an attribute of HTML in JSON",
        {
            "text": '<tool_call>{"name": "run", "arguments": {"code": "<b id="x">y</b>", "timeout": 3}}</tool_call>',
            "calls": (run(code='<b id="x">y</b>', timeout=3),),
        },
    ),
    (
        "JSON in a string of JSON",
        {
            "text": '{"name": "run", "arguments": {"code": "{"a": "b", "c": [1]}", "command": "d"}}',
            "calls": (run(code='{"a": "b", "c": [1]}', command="d"),),
        },
    ),
    (
        "a quote doubled before a string of JSON",
        {
            "text": '<tool_call>{"name": "run", "arguments": {"command": ""ls", "code": "b"}}</tool_call>',
            "calls": (run(command="ls", code="b"),),
        },
    ),
    (
        "a string that could end in two places",
        lfm2(
            "[get_weather(city='x', units=['paste -d ',' '{x}' f', 'b'])]",
            calls=(weather("x"),),
            errors={0: "unclear where the string ends"},
        ),
    ),
    (
        "text behind a call in its frame",
        lfm2("[run(command='a')] and then", calls=(run(command="a"),), left="and then", errors={0: "text follows"}),
    ),
    ("an expression of strings", lfm2("[run(command='a' + 'b')]", calls=(run(),), errors={0: "command"})),
    ("a method of a string", lfm2("[run(command='{}'.format('b'))]", calls=(run(),), errors={0: "command"})),
    ("a string without its quotes", lfm2("[run(command=ls -la ./x)]", calls=(run(command="ls -la ./x"),))),
    ("an expression of names", lfm2("[run(command=a + b)]", calls=(run(),), errors={0: "command"})),
    ("strings with prefixes", lfm2(r"[run(command=f'ls', code=r'\d\n')]", calls=(run(command="ls", code=r"\d\n"),))),
    ("a template of a string", lfm2("[run(command=f'ls {x}')]", calls=(run(),), errors={0: "command"})),
    ("unpacked arguments", lfm2("[run(**{'command': 'a'}, timeout=2)]", calls=(run(command="a", timeout=2),))),
    ("quoted names of arguments", lfm2('[run("command": "a", "code": "b")]', calls=(run(command="a", code="b"),))),
    (
        "calls behind each other in lists",
        lfm2("[run(command='a')][run(command='b')]", calls=(run(command="a"), run(command="b"))),
    ),
    ("calls with a semicolon between", lfm2("[ping(); run(command='b')]", calls=(("ping", {}), run(command="b")))),
    ("a name alone", lfm2("ping", calls=(("ping", {}),))),
    (
        "a path of Windows",
        lfm2(r"[run(command='C:\new\tools\x.txt')]", calls=(run(command=r"C:\new\tools\x.txt"),)),
    ),
    (
        "a path of Windows that is escaped",
        lfm2(r"[run(command='C:\\new\\tools')]", calls=(run(command=r"C:\new\tools"),)),
    ),
    (
        "a path of a share on Windows",
        lfm2(r"[run(command='\\files\share\new')]", calls=(run(command=r"\\files\share\new"),)),
    ),
    (
        "an echo behind the end marker",
        {"text": f"{START}[run(command='a')]{END}[run(command='a')]{END}", "calls": (run(command="a"),)},
    ),
    (
        "another call behind the end marker",
        {
            "text": f"{START}[run(command='a')]{END}[run(command='b')]{END}",
            "calls": (run(command="a"), run(command="b")),
        },
    ),
    ("an end marker twice", {"text": f"{START}[ping()]{END}{END} So.", "calls": (("ping", {}),), "left": "So."}),
    ("a name alone as an identifier", lfm2("memory.get", calls=(("memory.get", {}),))),
    ("a comma missing between arguments", lfm2("[run(command='a' code='b')]", calls=(run(),), errors={0: "command"})),
    ("a choice of strings", lfm2("[run(command='a' if x else 'b')]", calls=(run(),), errors={0: "command"})),
    ("strings where arguments have names", lfm2("[run(command='a', 'b')]", calls=(run(),), errors={0: "no name"})),
    (
        "calls as the whole answer",
        {"text": "run(command='a')\nrun(code='b'), ping()", "calls": (run(command="a"), run(code="b"), ("ping", {}))},
    ),
    ("an end marker alone", {"text": f"[run(command='a')]{END}", "calls": (run(command="a"),)}),
    ("a call as the whole answer", {"text": "run(command='a', timeout=3)\n", "calls": (run(command="a", timeout=3),)}),
    ("a call without arguments as the whole answer", {"text": "ping()\n", "calls": (("ping", {}),)}),
    (
        "a call at the end of a line",
        {"text": "I look. [run(command='a')]", "calls": (run(command="a"),), "left": "I look."},
    ),
    (
        "XML without the end of a parameter",
        {
            "text": "<tool_call><function=run><parameter=command>\nls\n<parameter=timeout>\n5\n</parameter></function>"
            "</tool_call>",
            "calls": (run(command="ls", timeout=5),),
        },
    ),
    (
        "XML with an end tag in a value",
        {
            "text": "<tool_call><function=run><parameter=code>s = '</tool_call>'</parameter></function></tool_call>",
            "calls": (run(code="s = '</tool_call>'"),),
        },
    ),
    (
        "XML with a parameter of another tool in a value",
        {
            "text": "<tool_call><function=run><parameter=code><parameter=x>1</parameter></function></tool_call>",
            "calls": (run(code="<parameter=x>1"),),
        },
    ),
)


def _text(name: str, text: str) -> tuple[str, dict[str, Any]]:
    return name, {"text": text, "left": text}


DEFINITION = (
    '{"name": "get_weather", "description": "Tell the weather.", '
    '"parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}'
)

NO_CALLS = _cases(
    _text("a tool's definition", f"My tools:\n{DEFINITION}"),
    _text("a list of definitions", f"[{DEFINITION}, {DEFINITION}]"),
    _text("a definition without a description", DEFINITION.replace('"description": "Tell the weather.", ', "")),
    _text(
        "a definition in OpenAI's form in a fence", f'```json\n{{"type": "function", "function": {DEFINITION}}}\n```'
    ),
    _text("a definition that begins with `properties`", '{"name": "ping", "parameters": {"properties": {}}}'),
    _text("a link", "[run(query)](https://example.com) explains it."),
    _text("a link to a function without arguments", "[ping()](https://example.com) explains it."),
    _text("a function in brackets", "[run(text)] is a function."),
    _text("a comparison in brackets", "[run(code==1)]"),
    _text("an object with a tool's name and another key", '{"name": "run", "score": 3}'),
    _text("an object with a tool's name, before text", '{"tool": "ping"} is how it is configured.'),
    _text("a tag within a line", "I would use <function=run> for it."),
    _text("a tag at the start of a line", "<function=run> is how it begins."),
    _text("a tag with a parameter within a line", "Use <function=run><parameter=code>1</parameter></function>."),
    _text("markers in backticks", f"Write `<tool_call>{JSON}</tool_call>` or `{START}[ping()]{END}` to call."),
    _text("a call before text in its line", "run(command='a') lists the files."),
    _text("a call before text in its list", "[run(command='a'), and so on]"),
    _text("a call in the middle of a line", "Write [run(command='a')] for that."),
    _text("a call of a tool that is not bound as the whole answer", "shutdown(now='a')"),
    _text("a call without arguments at the start of a sentence", "ping() tells whether it is up."),
    _text("a definition as the whole answer", "run(command, timeout=3)"),
    _text("markers in two backticks", f"Write ``<tool_call>{JSON}</tool_call>`` to call."),
)

CALL_TEXTS = [*LFM2, *FOREIGN, *OTHER_FORMS, *UNESCAPED, *NO_CALLS]


def read_calls(text: str, tools: Tools, *, make_id: Callable[[int], str]) -> tuple[str, list[ToolCall]]:
    """Return a text without the calls in it, and the calls."""
    reader = CallReader(tools, make_id=make_id)
    return reader.feed(text) + reader.close(), reader.calls
