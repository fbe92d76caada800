"""Calls and objects with quotes that are not escaped, as LFM2.5's template and small models write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STRINGS", "Case", "calls", "objects"]

# Each "Q" stands for the quotes that are around the string too.
STRINGS = {
    "print": "print(QhiQ)",
    "two prints": "print(QoneQ), print(QtwoQ)",
    "lines": "a = QxQ\nb = QyQ\nprint(a, b)",
    "named arguments": "plot(x, y, color=QredQ, label=QQ)",
    "a subscript": "row[QkeyQ] = rows[Qa bQ][0]",
    "a list": "for w in [QaQ, QbQ, QcQ]: print(w)",
    "a dict": "d = {QaQ: 1, QbQ: {QcQ: Qx, yQ}}",
    "join": "Q, Q.join(names)",
    "a condition": "if mode == QfastQ or mode in (QaQ, QbQ): run()",
    "a format": "QHello {}Q.format(name)",
    "sum of strings": "print(Qtotal: Q + str(n))",
    "echo": "echo Qall doneQ",
    "grep": "grep -rn QTODOQ src | wc -l",
    "awk": "awk -F Q,Q Q{print $1}Q table.csv",
    "cut": "cut -d QQ -f 1",
    "a chain": "git commit -m Qfix: two bugsQ && git push",
    "nested shells": "bash -c Qecho $HOMEQ; ls",
    "an attribute": "<a href=Qhttps://example.org/?a=1&b=2Q>here</a>",
    "two attributes": "<p class=Qbig redQ id=QtopQ>Hi</p>",
    "an empty attribute": "<img src=Qa.pngQ alt=QQ>",
    "a quotation": "She said QneverQ and left",
    "a quotation at the end": "They call it QhomeQ",
    "a quotation at the start": "QWaitQ, he said",
    "a quotation with a comma": "QYes,Q she said, Qof course.Q",
    "all in quotation": "Qto be or not to beQ",
    "names in a row": "Compare QLyonQ, QNiceQ and QLilleQ",
    "a question": "What does Qidem potentQ mean?",
    "a title with colon": "Review: QThe RoadQ: bleak, but good",
    "JSON": "{QaQ: QbQ, QcQ: [1, QdQ]}",
    "an object with the same key": "{QtextQ: Qinner textQ, QcountQ: 2}",
    "a list as JSON": "[QaQ, QbQ]",
    "SQL": "SELECT * FROM t WHERE name = QAnnQ AND town LIKE QO%Q",
    "SQL list": "DELETE FROM t WHERE id IN (Qa1Q, Qb2Q)",
    "a call": "save(text=QxQ, count=3)",
    "a call in brackets": "[save(text=QxQ)]",
    "a regular expression": 're.sub(r"[,;]", Q Q, line)',
    "emoji": "😀 says Qhi 👋Q!",
    "a path": "open(Q/tmp/a b.txtQ).read()",
    "brackets in quotes": "split(Q(Q)",
    "CSV": "Qid,nameQ;Q1,AnnQ",
    "a path with spaces": "cd QC:\\My DocsQ && dir",
    "named like an argument": "set title=QaQ, count=2 and go",
    "named like two arguments": "f(title=QaQ, text=QbQ)",
    "named like a key": "say QtextQ: QhiQ, QtitleQ: QhoQ, and more",
    "brackets after quotes": "f(QaQ)], g(QbQ)",
    "quotes in brackets": "see (QaQ), [QbQ] and {QcQ}",
    "lines of JSON": "{\n  QaQ: QbQ,\n  QcQ: [QdQ]\n}",
    "a diff": "- x = QoldQ\n+ x = QnewQ",
    "a comment": "x = QaQ  # not QbQ, surely",
    "YAML": "name: QaQ\nitems: [QbQ, QcQ]",
    "a dialogue": "QWho?Q\nQMe,Q he said.",
    "a heredoc": "cat <<QEOFQ\nfoo\nEOF",
    "sed": "sed -i Qs/a, b/c/Q f.txt",
    "curl": "curl -H QA: bQ -d Q{QxQ: 1}Q https://e.org",
    "f-string": "print(fQ{a}, {b!r}Q)",
    "one quote": "the sign Q is a quote",
    "a word with colon": "set QmodeQ: on, QlevelQ: 3",
}
APOSTROPHES = {
    "it's": "it's fine",
    "two": "don't say it can't",
    "possessive": "the dogs' bowl isn't full",
    "decade": "music of the '90s",
    "a name": "O'Brien, isn't it?",
    "comma": "well, it's late, isn't it",
}
INCHES = {"inches": 'a 24" screen, 5" phone'}


@dataclass(frozen=True)
class Case:
    """A text, the tools or the schema, and what it says."""

    name: str
    text: str
    tools: tuple[Any, ...]
    expected: Any


def _tool(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": properties}},
    }


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
SAVE = _tool(
    "save",
    text=STRING,
    title=STRING,
    count=INTEGER,
    tags={"type": "array", "items": STRING},
    options={"type": "object"},
)
SEND = _tool("send", body=STRING, to=STRING)
OPEN = {"type": "function", "function": {"name": "save"}}


def _strings(quote: str) -> dict[str, str]:
    found = {name: text.replace("Q", quote) for name, text in STRINGS.items()}
    return found | (APOSTROPHES if quote == "'" else INCHES)


def _python(value: Any, quote: str, *, as_json: bool) -> str:
    """Write a value as Python, with strings as they are."""
    if isinstance(value, str):
        return f"{quote}{value}{quote}"
    if isinstance(value, list):
        return f"[{', '.join(_python(one, quote, as_json=as_json) for one in value)}]"
    if isinstance(value, dict):
        inner = '"' if as_json else quote
        members = (f"{inner}{key}{inner}: {_python(one, inner, as_json=as_json)}" for key, one in value.items())
        return f"{{{', '.join(members)}}}"
    return str(value)


def _call(name: str, arguments: dict[str, Any], quote: str) -> str:
    given = ", ".join(f"{key}={_python(value, quote, as_json=True)}" for key, value in arguments.items())
    return f"{name}({given})"


def _json_call(name: str, arguments: dict[str, Any]) -> str:
    return f'{{"name": "{name}", "arguments": {_python(arguments, chr(34), as_json=True)}}}'


def _arguments(text: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return calls that hold a string in each position."""
    return {
        "alone": [("save", {"text": text})],
        "first": [("save", {"text": text, "count": 3})],
        "before a string": [("save", {"text": text, "title": "So"})],
        "last": [("save", {"title": "So it is", "text": text})],
        "middle": [("save", {"title": "So", "text": text, "count": 1})],
        "twice": [("save", {"text": text, "title": text})],
        "in a list": [("save", {"tags": [text, "b"], "count": 1})],
        "last in a list": [("save", {"tags": ["b", text]})],
        "in an object": [("save", {"options": {"note": text, "n": 1}})],
        "two calls": [("save", {"text": text}), ("send", {"body": text, "to": "Ann"})],
        "before a call": [("save", {"count": 2, "text": text}), ("send", {"to": "Ann"})],
    }


def calls() -> Iterator[Case]:
    """Yield calls in each form, with each string in each position."""
    for quote in "'\"":
        for (name, text), is_open in product(_strings(quote).items(), (False, True)):
            tools = (OPEN if is_open else SAVE, SEND)
            for position, made in _arguments(text).items():
                python = f"[{', '.join(_call(*one, quote) for one in made)}]"
                forms = {"marked": f"<|tool_call_start|>{python}<|tool_call_end|>", "bare": python}
                if quote == '"':
                    forms["tags"] = "\n".join(f"<tool_call>{_json_call(*one)}</tool_call>" for one in made)
                    if len(made) == 1:
                        forms["fence"] = f"```json\n{_json_call(*made[0])}\n```"
                        forms["plain"] = _json_call(*made[0])
                for form, written in forms.items():
                    # Objects are written as JSON: strings in single quotes would be no LFM2.5's.
                    label = f"{name} | {position} | {form} | {quote} | {'open' if is_open else 'known'}"
                    if "options" in made[0][1] and quote == "'":
                        continue
                    yield Case(label, written, tools, [[one, given] for one, given in made])


NOTE = {
    "type": "object",
    "properties": {"text": STRING, "title": STRING, "count": INTEGER, "tags": {"type": "array", "items": STRING}},
    "required": ["text"],
}
TAGS = {"type": "object", "properties": {"tags": {"type": "array", "items": STRING}, "count": INTEGER}}
NESTED = {
    "type": "object",
    "properties": {
        "notes": {"type": "array", "items": NOTE},
        "best": NOTE,
    },
}


def objects() -> Iterator[Case]:
    """Yield objects, with each string in each position."""
    for quote in "\"'":
        for name, text in _strings(quote).items():
            for position, value, schema in (
                ("alone", {"text": text}, NOTE),
                ("first", {"text": text, "count": 3}, NOTE),
                ("before a string", {"text": text, "title": "So"}, NOTE),
                ("last", {"title": "So it is", "text": text}, NOTE),
                ("twice", {"title": text, "text": text, "count": 3}, NOTE),
                ("in a list", {"tags": [text, "b"], "count": 1}, TAGS),
                ("last in a list", {"tags": ["b", text]}, TAGS),
                ("nested", {"best": {"text": text, "title": "So"}}, NESTED),
                ("in objects", {"notes": [{"text": text}, {"text": "b", "count": 1}]}, NESTED),
            ):
                written = _python(value, quote, as_json=False)
                if quote == '"':
                    indented = json.dumps(value, indent=2, ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n")
                    yield Case(f"{name} | {position} | indented | {quote}", indented, (schema,), value)
                    yield Case(
                        f"{name} | {position} | fence | {quote}",
                        f"So:\n```json\n{written}\n```\nBye.",
                        (schema,),
                        value,
                    )
                yield Case(f"{name} | {position} | one line | {quote}", written, (schema,), value)
