"""The docstring of `ChatLFM`: its sections, its fields, and its examples, which run."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from lfm_adapter import ChatLFM
from lfm_adapter._client.settings import ClientOptions
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from lfm_adapter.testing import ScriptedOpenRouter

MANUAL = inspect.getdoc(ChatLFM) or ""

# In the order of LangChain's template for chat models.
SECTIONS = ("Setup", "Key init args", "Instantiate", "Invoke", "Stream", "Tool calling", "Structured output",
            "Response metadata", "Errors", "Attributes")  # fmt: skip


def test_docstring_has_every_section():
    assert re.findall(r"^(\w[\w ]*):$", MANUAL, re.MULTILINE) == list(SECTIONS)


def test_docstrings_document_every_field_in_order():
    inherited = {*BaseChatModel.model_fields, *ClientOptions.__dataclass_fields__}
    own = documented(ChatLFM)
    assert [name for name in own if name not in inherited] == [n for n in ChatLFM.model_fields if n not in inherited]
    assert documented(ClientOptions) == list(ClientOptions.__dataclass_fields__)
    assert set(own) <= ChatLFM.model_fields.keys()


def documented(cls: type) -> list[str]:
    attributes = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2]
    return re.findall(r"^    (\w+): \S", attributes, re.MULTILINE)


def test_docstring_examples_run(server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    server.default = openrouter_like
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "test-key")
    names: dict[str, Any] = {"ChatLFM": ChatLFM, "llm": ChatLFM(model="liquid/lfm-2.5-2.6b:free", max_tokens=500)}
    results = [
        run(textwrap.dedent(example), names) for example in re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    ]
    assert isinstance(names["message"], AIMessage)
    assert "Tell me a story." in capsys.readouterr().out
    assert [{"name": "get_weather", "args": {"city": "Oslo"}, "id": "call_0", "type": "tool_call"}] in results
    assert any(isinstance(result, names["Person"]) for result in results)
    assert names["message"].response_metadata["cost"] in results
    assert names["local"].profile == {}


def run(source: str, names: dict[str, Any]) -> Any:
    """Run an example and return the value of its last line, as a notebook would."""
    module = ast.parse(source)
    last = module.body[-1]
    if isinstance(last, ast.Expr):
        module.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
    code = compile(ast.fix_missing_locations(module), "manual", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names["_"] = None
    coroutine = eval(code, names)  # noqa: S307  # our own docstring
    if coroutine is not None:
        asyncio.run(coroutine)
    return names["_"]


@pytest.mark.parametrize(
    ("name", "own"), [("ChatLFM", "temperature:"), ("LFMDecisions", "orders:"), ("LFMEmbeddings", "batch_size:")]
)
def test_signature_shows_the_fields_in_a_fresh_process(name: str, own: str):
    code = f"import inspect; from lfm_adapter import {name}; print(inspect.signature({name}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603
    for field in ("model:", "timeout:", "when_retired:", own):
        assert field in shown
