"""What `lfm chat` asks: words, files, stdin, templates and schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.testing import completion, stream, token_usage

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from lfm_adapter.testing import ScriptedOpenRouter


def chat(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, ["chat", "-m", "liquid/lfm-3-1.7b", *arguments], input=stdin)


def asked(server: ScriptedOpenRouter) -> str:
    return server.requests[-1].body["messages"][-1]["content"]


def test_words_need_no_quotes(openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    assert chat("What", "is", "water").exit_code == 0
    assert asked(openrouter) == "What is water"


def test_files_follow_the_question_under_their_names(openrouter: ScriptedOpenRouter, tmp_path: Path):
    openrouter.add(stream())
    (tmp_path / "a.txt").write_text("Rain.")
    (tmp_path / "b.md").write_text("\ufeffSnow.")
    chat("Compare", "-f", str(tmp_path / "a.txt"), "-f", str(tmp_path / "b.md"), stdin="Hail.")
    assert asked(openrouter) == "Compare\n\nHail.\n\na.txt:\n\nRain.\n\nb.md:\n\nSnow."


@pytest.mark.parametrize("content", [b"\x7fELF\x00", b"caf\xe9", None], ids=["binary", "latin-1", "missing"])
def test_file_that_is_not_text_is_one_line_and_nothing_is_sent(
    openrouter: ScriptedOpenRouter, tmp_path: Path, content: bytes | None
):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    result = chat("Summarise", "-f", str(tmp_path / "file"))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert str(tmp_path / "file") in result.stderr
    assert openrouter.requests == []


@pytest.mark.parametrize("in_a_file", [True, False])
def test_template_wraps_the_question(openrouter: ScriptedOpenRouter, tmp_path: Path, in_a_file: bool):
    openrouter.add(stream())
    template = "Translate to French: {input}!"
    if in_a_file:
        (tmp_path / "fr.txt").write_text(template)
        template = str(tmp_path / "fr.txt")
    chat("-t", template, "good", "morning")
    assert asked(openrouter) == "Translate to French: good morning!"


def test_template_without_input_is_refused(openrouter: ScriptedOpenRouter, tmp_path: Path):
    (tmp_path / "t").write_text("Translate")
    result = chat("-t", str(tmp_path / "t"), "x")
    assert (result.exit_code, "must contain {input}" in result.stderr) == (1, True)


def test_schema_gives_json_and_is_sent(openrouter: ScriptedOpenRouter, tmp_path: Path):
    file = tmp_path / "person.json"
    file.write_text('{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}')
    openrouter.add(stream('```json\n{"name": "Ada"}\n```'))
    result = chat("--schema", str(file), "Who?")
    assert json.loads(result.stdout) == {"name": "Ada"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "s.json is not valid JSON: Expecting"),
        ("[1]", "s.json must contain a JSON Schema"),
        ('{"type": "strng"}', "s.json is not a valid JSON Schema: "),
        (None, "s.json: No such file"),
    ],
)
def test_bad_schema_is_one_line(openrouter: ScriptedOpenRouter, tmp_path: Path, text: str | None, problem: str):
    if text is not None:
        (tmp_path / "s.json").write_text(text)
    result = chat("--schema", str(tmp_path / "s.json"), "Who?")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert problem in result.stderr
    assert not result.stderr.rstrip().endswith("..")


def test_json_has_the_answer_with_usage_and_cost_and_nothing_else(openrouter: ScriptedOpenRouter):
    openrouter.add(completion("Wet.", usage=token_usage(9, 5, cost=4.5e-06)))
    result = chat("--json", "Water?")
    facts = json.loads(result.stdout)
    assert (facts["text"], facts["cost"], facts["usage"]["completion_tokens"]) == ("Wet.", 4.5e-06, 5)
    assert result.stderr == ""


def test_json_needs_a_question(openrouter: ScriptedOpenRouter):
    assert chat("--json", stdin="").exit_code == 2
