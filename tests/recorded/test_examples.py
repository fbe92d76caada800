"""Each example runs, and prints what it promises."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import completion, decisions, error, stream, token_usage, tool_call

if TYPE_CHECKING:
    from tests.support.recording import Service

EXAMPLES = Path(__file__).parents[2] / "examples"
LIVE = "liquid/lfm-2.5-2.6b:free"
NEWEST = "liquid/lfm-3-1.7b"
XML_CALL = "<tool_call><function={}><parameter={}>{}</parameter></function></tool_call>"
USAGE = token_usage(prompt_tokens=20, completion_tokens=30, reasoning_tokens=12, cost=0)
BOOK = '{"title": "Dune", "author": "Frank Herbert", "year": 1965}'


SAID = {LIVE: "Bonjour.", "openai/gpt-6-luna": "Suppose that there is a last one."}


def example(name: str, prints: str, *replies: Any, always: bool = False, **script: Any) -> Any:
    marks = [pytest.mark.vcr, pytest.mark.scripted(*replies, always=always, **script)]
    if name == "decision_router":
        marks.append(pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"))
    if name.startswith("litellm_"):
        # pydantic's word on LiteLLM's own types, when the first of them is made.
        marks.append(pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning"))
        missing = importlib.util.find_spec("litellm") is None
        marks.append(pytest.mark.skipif(missing, reason="needs `pip install 'lfm-adapter[litellm]'`"))
    return pytest.param(name, prints, id=name, marks=marks)


RECORDED = [
    example(
        "chat",
        "provider: Liquid",
        completion("Air scatters blue light most.", model=LIVE, reasoning="Rayleigh.", usage=USAGE),
    ),
    example(
        "streaming",
        "'output_tokens'",
        stream(["Water ", "finds ", "its way."], model=LIVE, reasoning=["Five, seven, five."]),
    ),
    example(
        "tools",
        "The model calls weather {'city': 'Oslo'}",
        completion(None, model=LIVE, tool_calls=[tool_call("weather", {"city": "Oslo"})]),
        completion("Yes, take an umbrella.", model=LIVE),
    ),
    example(
        "agent",
        "It is 46.4 degrees Fahrenheit.",
        completion(XML_CALL.format("temperature", "city", "Oslo"), model=NEWEST),
        completion(XML_CALL.format("to_fahrenheit", "celsius", "8"), model=NEWEST),
        completion("It is 46.4 degrees Fahrenheit.", model=NEWEST),
    ),
    example(
        "agent_with_memory",
        "How many are left? -> Seven apples are left.",
        completion(None, model=LIVE, tool_calls=[tool_call("in_stock", {"fruit": "apples"})]),
        completion("Yes, twelve.", model=LIVE),
        completion("Seven apples are left.", model=LIVE),
    ),
    example("structured_output", "author='Frank Herbert'", completion(BOOK, model=LIVE)),
    example(
        "retired_model",
        "liquid/lfm-3-1.7b",
        error(404, "No endpoints found for liquid/lfm-3b."),
        completion("I am, in a new body.", model="liquid/lfm-3-1.7b"),
        always=True,
    ),
    example(
        "litellm_completion",
        "cost: 0",
        completion("Air scatters blue light most.", model=LIVE, usage=USAGE),
        stream(["Blue ", "light."], model=LIVE, usage=USAGE),
    ),
    example(
        "litellm_router",
        "lfm/lfm-3-1.7b says: I am, in a new body.",
        error(404, "No endpoints found for liquid/lfm-3b."),
        completion("I am, in a new body.", model="liquid/lfm-3-1.7b"),
        always=True,
    ),
    example(
        "decision_router",
        "easy (90%) -> liquid/lfm-2.5-2.6b:free: Bonjour.\nhard (80%) -> openai/gpt-6-luna: Suppose that",
        decisions({"model_route": {"easy": 0.9, "hard": 0.1}}),
        decisions({"model_route": {"easy": 0.2, "hard": 0.8}}),
        path="/alpha/decisions",
        responder=lambda request: completion(SAID[request.body["model"]]),
    ),
    example(
        "retrieval",
        "Repairs of radios take two weeks and cost 40 euros.",
        completion("They take two weeks.", model=LIVE, usage=USAGE),
    ),
    example("many_questions", "Japan: Tokyo", *(completion("Tokyo", model=LIVE, usage=USAGE) for _ in range(3))),
]


@pytest.mark.parametrize(("name", "prints"), RECORDED)
def test_example(
    name: str, prints: str, service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENROUTER_API_KEY", service.api_key)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert prints in capsys.readouterr().out


def test_every_example_has_its_test_and_is_short():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    # `local_model` is run by tests/integration.
    assert names == {case.id for case in RECORDED} | {"local_model"}
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 40, path.name
