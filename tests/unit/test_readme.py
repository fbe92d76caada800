"""What README says is so."""

from __future__ import annotations

import inspect
import re
import shlex
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from lfm_adapter import errors, local
from lfm_adapter.apps.cli import app
from lfm_adapter.langchain._errors import to_langchain_error
from lfm_adapter.testing import completion, tool_call
from tests.support.call_texts import CALL_TEXTS
from tests.support.model_table import TABLES, render, table_in
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^\$ lfm (.*?)(?:  +#.*)?$", TEXT, flags=re.MULTILINE)))
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize(("file", "every_model"), TABLES.items(), ids=[file.name for file in TABLES])
def test_model_table_equals_the_catalogue(file: Path, every_model: bool):
    assert table_in(file.read_text(encoding="utf-8")) == render(every_model=every_model), (
        "write it with `python -m tests.support.model_table`"
    )


def test_call_texts_are_as_many_as_it_says():
    # `test_call_reader.py` reads each of them.
    assert f"{len(CALL_TEXTS)} of {len(CALL_TEXTS)} are read right" in TEXT


def test_error_table_names_each_class_and_the_class_of_langchain_that_it_also_is():
    rows = re.findall(r"^\| ((?:`\w+Error`(?:, )?)+) \| .* \| `(\w+)` \| .* \|$", TEXT, flags=re.MULTILINE)
    told = {name: theirs for names, theirs in rows for name in re.findall(r"\w+", names)}
    leaves = {
        name
        for name, cls in vars(errors).items()
        if inspect.isclass(cls)
        and issubclass(cls, errors.LFMError)
        and name not in {"LFMError", "APIError", "NotFoundError"}
    }
    assert set(told) == leaves
    for name, theirs in told.items():
        cls = getattr(errors, name)
        raised = type(to_langchain_error(cls("why"))) if issubclass(cls, errors.APIError) else cls
        assert theirs in {base.__name__ for base in raised.__mro__}, name


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_take_the_arguments_that_are_shown(command: str):
    words = shlex.split(command)
    words = words[: words.index("--")] if "--" in words else words  # what follows is another program's
    parameters = {parameter.name: parameter for parameter in get_command(app).commands[words[0]].params}
    takes_value = {
        option: not getattr(parameter, "is_flag", False)
        for parameter in parameters.values()
        for option in parameter.opts
    }
    assert {word for word in words[1:] if word.startswith("-")} <= takes_value.keys()
    takes_words = any(parameter.param_type_name == "argument" for parameter in parameters.values())
    free = [word for before, word in pairwise(words) if not word.startswith("-") and not takes_value.get(before)]
    assert takes_words or not free


@pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning")  # pydantic's word on LiteLLM's types
@pytest.mark.filterwarnings("ignore:`liquid/lfm-3b` is retired")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(
    number: int, openrouter: ScriptedOpenRouter, server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    block = BLOCKS[number]
    openrouter.default = server.default = _answer
    names: dict[str, object] = {}
    if "litellm" in block:
        pytest.importorskip("litellm", reason="needs `pip install 'lfm-adapter[litellm]'`")
        from tests.support.litellm_ways import answer_as_openrouter

        monkeypatch.delenv("OPENROUTER_BASE_URL")
        answer_as_openrouter(openrouter, monkeypatch)
        first = next(block for block in BLOCKS if "litellm" in block)  # it has the messages
    else:
        monkeypatch.setattr(local, "serve", lambda **_: nullcontext(server.base_url))
        first = BLOCKS[0]  # it has `llm`
    exec(first, names)  # noqa: S102 # our own README
    exec(block, names)  # noqa: S102


def test_example_of_a_recorded_test_needs_the_server_once(
    server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-made-up-for-tests")
    monkeypatch.chdir(tmp_path)
    server.add(completion("It is Paris."))
    (block,) = (block for block in BLOCKS if "import vcr" in block)
    for key in ("sk-or-v1-made-up-for-tests", "any"):
        monkeypatch.setenv("OPENROUTER_API_KEY", key)
        names: dict[str, Any] = {}
        exec(block, names)  # noqa: S102 # our own README
        names["test_capital"]()
    assert len(server.requests) == 1
    assert "sk-or-v1" not in (tmp_path / "cassettes" / "capital.yaml").read_text()


def _answer(request: RecordedRequest) -> ScriptedReply:
    """Play a model that is served whatever its name, and that calls the tools it is given."""
    body = request.body
    if "Ada" in str(body["messages"]):
        return completion('{"name": "Ada", "age": 36}', model=body["model"])
    if body.get("tools"):
        return completion("", tool_calls=[tool_call("weather", {"city": "Oslo"})], model=body["model"])
    if "authorization" not in request.headers:
        return completion("Hello from this machine.", model="local/lfm2-1.2b-q4_k_m", provider=None, cost=None)
    return openrouter_like(request)
