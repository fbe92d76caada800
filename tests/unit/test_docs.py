"""README and the pages in docs/ are right: their snippets run, their commands exist, their tables equal the code."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
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
from tests.support.model_table import TABLES, render, table_in
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply

ROOT = Path(__file__).parents[2]
PAGES = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
COMMANDS = sorted(
    {command for text in PAGES.values() for command in re.findall(r"^\$ lfm (.*?)(?:  +#.*)?$", text, re.MULTILINE)}
)
BLOCKS = {page: re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) for page, text in PAGES.items()}
RUN_ELSEWHERE = {"docs/clients.md", "docs/frameworks.md"}  # tests/clients runs them, in environments of their own


@pytest.mark.parametrize(("file", "every_model"), TABLES.items(), ids=[file.name for file in TABLES])
def test_model_table_equals_the_catalogue(file: Path, every_model: bool):
    assert table_in(file.read_text(encoding="utf-8")) == render(every_model=every_model), (
        "write it with `python -m tests.support.model_table`"
    )


def test_error_table_names_each_class_and_the_class_of_langchain_that_it_also_is():
    rows = re.findall(r"^\| ((?:`\w+Error`(?:, )?)+) \| .* \| `(\w+)` \| .* \|$", PAGES["docs/errors.md"], re.MULTILINE)
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
    shown = get_command(app).commands[words[0]]
    if hasattr(shown, "commands") and words[1:]:  # a group, as `lfm keys`
        _, *words = words
        shown = shown.commands[words[0]]
    parameters = {parameter.name: parameter for parameter in shown.params}
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
@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks and page not in RUN_ELSEWHERE])
def test_python_blocks_of_a_page_run_in_order(
    page: str,
    openrouter: ScriptedOpenRouter,
    server: ScriptedOpenRouter,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    openrouter.default = server.default = _answer
    monkeypatch.setenv("OPENROUTER_API_BASE", openrouter.base_url)  # LiteLLM's own provider reads this one
    monkeypatch.setattr(local, "serve", lambda **_: nullcontext(server.base_url))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS[page]:
        if "import litellm" in block:
            pytest.importorskip("litellm", reason="needs `pip install 'lfm-adapter[litellm]'`")
        if "langchain_core.decisions" in block:
            pytest.importorskip("langchain_core.decisions", reason="needs langchain-core 1.8")
        exec(block, names)  # noqa: S102 # our own docs
        for test in re.findall(r"^def (test_\w+)\(openrouter\)", block, re.MULTILINE):
            names[test](openrouter)


def test_example_of_a_recorded_test_needs_the_server_once(
    server: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.base_url)
    monkeypatch.chdir(tmp_path)
    server.add(completion("It is Paris."))
    (block,) = (block for block in BLOCKS["docs/testing.md"] if "import vcr" in block)
    for key in ("sk-or-v1-made-up-for-tests", "any"):
        monkeypatch.setenv("OPENROUTER_API_KEY", key)
        names: dict[str, Any] = {}
        exec(block, names)  # noqa: S102 # our own docs
        names["test_capital"]()
    assert len(server.requests) == 1
    assert "sk-or-v1" not in (tmp_path / "cassettes" / "capital.yaml").read_text()


def test_versions_of_frameworks_are_those_that_tests_install():
    rows = re.findall(r"^\| \[.*?\]\((#\S+)\) \| (.*?) \|", PAGES["docs/frameworks.md"], re.MULTILINE)
    files = {f"#{file.stem}": file.read_text("utf-8") for file in ROOT.glob("tests/clients/frameworks/*.txt")}
    assert [anchor for anchor, _ in rows if anchor in files] == [anchor for anchor, _ in rows]
    assert len(rows) == len(files)
    for anchor, versions in rows:
        for version in versions.split(", "):
            name, number = version.split()
            assert re.search(rf"^{name}(\[.*\])?=={number}$", files[anchor], re.MULTILINE), version


def test_picture_of_the_architecture_has_the_layers_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [name for layer in contracts[0]["layers"] for name in layer.split(" | ")]
    shown = re.findall(r'class="room".*?>(\w+)<', (ROOT / "docs/images/architecture.svg").read_text("utf-8"))
    assert shown == [name for name in layers if name in shown]
    assert set(layers) - set(shown) == {"local", "_pytest_plugin", "_extras", "_json", "_masking"}  # small modules


def test_readme_stays_short():
    assert len(PAGES["README.md"].splitlines()) <= 200
    assert len(PAGES["README.md"].encode()) <= 9_000


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str):
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", PAGES[page]):
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), path
        if anchor:
            assert anchor in _anchors(target.read_text("utf-8")), f"{path}#{anchor}"


def _anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _answer(request: RecordedRequest) -> ScriptedReply:
    """Play a model that is served whatever its name, and that calls the tools it is given."""
    body = request.body
    if "Ada" in str(body["messages"]):
        return completion('{"name": "Ada", "age": 36}', model=body["model"])
    if body.get("logprobs"):
        top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.4}]
        return completion("Yes", choice={"logprobs": {"content": [{"token": "Yes", "top_logprobs": top}]}})
    if body.get("tools"):
        return completion("", tool_calls=[tool_call("weather", {"city": "Oslo"})], model=body["model"])
    if "authorization" not in request.headers:
        return completion("Hello from this machine.", model="local/lfm2-1.2b-q4_k_m", provider=None, cost=None)
    return openrouter_like(request)
