"""The plugin for `llm`, in the installed `llm` and against a scripted OpenRouter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from lfm_adapter.testing import completion, error, stream, token_usage, tool_call

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

llm = pytest.importorskip("llm", reason="needs `pip install 'lfm-adapter[llm]'`, as `make test-llm` has")
cli = pytest.importorskip("llm.cli").cli

KEY = "sk-or-v1-made-up-for-tests"
MODEL = "liquid/lfm-2.5-2.6b:free"  # it takes tools natively

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # `llm` leaves its database open


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def openrouter(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpenRouter:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    return openrouter


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"rain in {city}"


def test_models_are_found_by_their_short_names():
    assert llm.get_model("lfm-3-1.7b").model_id == "liquid/lfm-3-1.7b"
    assert llm.get_async_model("lfm-3b").model_id == "liquid/lfm-3b"


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
def test_answer_and_its_cost_are_logged(openrouter: ScriptedOpenRouter, options: list[str]):
    usage = token_usage(9, 5, cost=4.5e-06)
    openrouter.add(completion("Wet.", usage=usage) if options else stream("Wet.", usage=usage))
    result = run("-m", "lfm-3-1.7b", "-s", "Be brief.", "-o", "temperature", "0.2", *options, "Water?")
    assert (result.exit_code, result.stdout) == (0, "Wet.\n")
    body = openrouter.requests[0].body
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Water?"]
    assert body["temperature"] == 0.2
    (logged,) = json.loads(run("logs", "--json").stdout)
    assert (logged["input_tokens"], logged["output_tokens"]) == (9, 5)
    assert json.loads(logged["token_details"]) == {"cost_usd": 4.5e-06}
    assert logged["response_json"]["provider"] == "Liquid"


def test_conversation_continues_with_all_messages(openrouter: ScriptedOpenRouter):
    openrouter.add(stream("Hello, Ada."))
    openrouter.add(stream("Ada."))
    run("-m", "lfm-3-1.7b", "I am Ada.")
    run("-c", "Who am I?")
    messages = openrouter.requests[1].body["messages"]
    assert [message["content"] for message in messages] == ["I am Ada.", "Hello, Ada.", "Who am I?"]


def test_tools_are_run_and_their_results_sent_back(openrouter: ScriptedOpenRouter):
    openrouter.add(stream([], tool_calls=[tool_call("weather", {"city": "Oslo"})]))
    openrouter.add(stream("It rains."))
    answer = llm.get_model(MODEL).chain("Weather in Oslo?", tools=[weather], key=KEY).text()
    assert answer.endswith("It rains.")
    _, call, result = openrouter.requests[1].body["messages"]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
    assert (result["role"], result["content"]) == ("tool", "rain in Oslo")
    assert result["tool_call_id"] == call["tool_calls"][0]["id"]


def test_schema_gives_an_object(openrouter: ScriptedOpenRouter):
    openrouter.add(stream('```json\n{"name": "Ada"}\n```'))
    result = run("-m", "lfm-3-1.7b", "--schema", '{"type": "object", "required": ["name"]}', "Who?")
    assert json.loads(result.stdout) == {"name": "Ada"}


async def test_async_model_streams(openrouter: ScriptedOpenRouter):
    openrouter.add(stream(["We", "t."], reasoning=["Hm."]))
    response = llm.get_async_model("lfm-3-1.7b").prompt("Water?", key=KEY)
    assert [piece async for piece in response] == ["We", "t."]
    assert (await response.usage()).output == 5


def test_retired_model_is_served_by_its_successor(openrouter: ScriptedOpenRouter):
    openrouter.add(stream())
    with pytest.warns(UserWarning, match="retired"):
        llm.get_model("lfm-3b").prompt("Hello", key=KEY).text()
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"


def test_failure_is_an_error_of_llm(openrouter: ScriptedOpenRouter):
    openrouter.add(error(401, "User not found."))
    with pytest.raises(llm.ModelError, match="User not found"):
        llm.get_model("lfm-3-1.7b").prompt("Hello", key=KEY).text()


def test_key_of_llm_is_sent_and_without_one_it_says_what_to_do(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENROUTER_API_KEY")
    missing = run("-m", "lfm-3-1.7b", "Hello")
    assert (missing.exit_code, "llm keys set lfm" in missing.output) == (1, True)
    run("keys", "set", "lfm", "--value", KEY)
    openrouter.add(stream())
    assert run("-m", "lfm-3-1.7b", "Hello").exit_code == 0
    assert openrouter.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_attachments_are_refused_before_a_request(openrouter: ScriptedOpenRouter, home: Path):
    (home / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = run("-m", "lfm-3-1.7b", "-a", str(home / "a.png"), "What is it?")
    assert result.exit_code == 1
    assert openrouter.requests == []
