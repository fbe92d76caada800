"""The snippets of docs/frameworks.md, each in a process of its own, against a scripted OpenRouter; and docs/moving.md.

`make test-frameworks` installs the frameworks, each in an environment of its own, since their requirements contradict
each other.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import ScriptedOpenRouter, completion, token_usage, tool_call
from tests.support.client_programs import PROGRAMS, ROOT, output_of
from tests.support.running_gateway import MADE_UP_KEY, Gateway
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import ScriptedReply

LFM = (sys.executable, "-c", "from lfm_adapter.apps.cli import app; app()")
TIMEOUT_S = 300  # CrewAI and Ray start for half a minute on a busy machine

RAIN = "Rain in Oslo."
PERSON = "name='Ada' age=36"
EXPECTED = {
    "LangChain": [RAIN, "Where does it rain?", RAIN],
    "OpenAI Agents SDK": [RAIN],
    "Google ADK": [RAIN],
    "CrewAI": [RAIN],
    "LlamaIndex": [RAIN, PERSON, PERSON],
    "Haystack": [RAIN],
    "smolagents": [RAIN],
    "DSPy": ["42\n0.125"],
    "Instructor": [PERSON],
    "Pydantic AI": [RAIN],
    "AutoGen": [RAIN],
    "browser-use": ["Hello!"],
    "Inspect": ["success 1.0"],
    "Ray": ["What is 2 times 7?"],
}

# What the model says where its usual answers do not follow the framework's own format.
WEATHER_CALL = completion(None, tool_calls=[tool_call("weather", {"city": "Oslo"})])
SCRIPTED: dict[str, list[ScriptedReply]] = {
    "CrewAI": [WEATHER_CALL],
    "smolagents": [WEATHER_CALL, completion(None, tool_calls=[tool_call("final_answer", {"answer": RAIN})])],
    "DSPy": [completion("[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]", usage=token_usage(9, 5, cost=0.125))],
}


@dataclass(frozen=True)
class Snippet:
    """One Python block of the page, and what it prints."""

    framework: str
    code: str
    expected: str


def python_of(framework: str) -> Path:
    """Return the interpreter in the environment of a framework; skip the test where there is none."""
    python = ROOT / f".venv-framework-{framework.lower().replace(' ', '-')}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{framework} is installed by `make test-frameworks`")
    return python


def sections(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)


def snippets() -> Iterator[Any]:
    for framework, section in sections("frameworks.md"):
        blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        for number, (code, expected) in enumerate(zip(blocks, EXPECTED[framework], strict=True), start=1):
            yield pytest.param(Snippet(framework, code, expected), id=f"{framework} {number}")


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(default=openrouter_like, path="/api/v1") as server:
        yield server


@pytest.fixture(scope="module")
def gateway(server: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway.on(server.base_url, LFM, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.mark.parametrize("snippet", list(snippets()))
def test_snippet_prints_the_answer_of_the_model(
    snippet: Snippet, server: ScriptedOpenRouter, gateway: Gateway, tmp_path: Path
):
    python = python_of(snippet.framework)
    server.requests.clear()
    server.add(*SCRIPTED.get(snippet.framework, []))
    program = tmp_path / "snippet.py"  # smolagents reads the source of a tool from its file
    code = snippet.code.replace("http://127.0.0.1:4000/v1", gateway.base_url).replace("sk-...", gateway.key)
    program.write_text(code, "utf-8")
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "OPENROUTER_API_KEY": MADE_UP_KEY,
        "OPENROUTER_BASE_URL": server.base_url,
        "LFM_BASE_URL": gateway.base_url,
        "LFM_API_KEY": gateway.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "CREWAI_DISABLE_TELEMETRY": "true",
        "ANONYMIZED_TELEMETRY": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    assert snippet.expected in output_of(python, program, cwd=tmp_path, env=environment, timeout_s=TIMEOUT_S)
    assert {request.body["model"] for request in server.requests} == {"liquid/lfm-3-1.7b"}


@pytest.mark.parametrize("other", ["ChatOpenRouter", "ChatOpenAI"])
def test_moving_page_names_each_argument_that_chatlfm_does_not_take(other: str, tmp_path: Path):
    environment = {"HOME": str(tmp_path), "OPENROUTER_API_KEY": MADE_UP_KEY}
    printed = output_of(
        python_of("LangChain"), PROGRAMS / "list_arguments.py", cwd=tmp_path, env=environment, timeout_s=TIMEOUT_S
    )
    section = dict(sections("moving.md"))[f"From {other}"]
    assert not [name for name in json.loads(printed)[other] if f"`{name}`" not in section]
