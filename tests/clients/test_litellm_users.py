"""Programs that people use LiteLLM through, each in a process of its own, against a scripted OpenRouter.

`make test-clients-litellm` installs them. aider has an environment of its own, because it pins LiteLLM 1.81.10.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.testing import completion, error, stream, token_usage, tool_call
from tests.support.client_programs import AGENTS, AIDER, PROGRAMS, output_of
from tests.support.prompted_model import leaking_model, prompted_model

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

TIMEOUT_S = 180  # they import for 10 s, and this machine may be busy

MODELS = ["lfm/liquid/lfm-3-1.7b", "openrouter/liquid/lfm-3-1.7b"]

needs_aider = pytest.mark.skipif(not AIDER.exists(), reason="aider is installed by `make test-clients-litellm`")
needs_agents = pytest.mark.skipif(not AGENTS.exists(), reason="they are installed by `make test-clients-litellm`")


@pytest.fixture
def run(server: ScriptedOpenRouter, tmp_path: Path) -> Any:
    """Run a program in a folder of its own; return what it prints, once it has ended well."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OPENROUTER_API_KEY": "sk-or-v1-made-up-for-tests",
        "OPENROUTER_BASE_URL": server.base_url,
        "OPENROUTER_API_BASE": server.base_url,  # what LiteLLM's own openrouter/ reads
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MSWEA_CONFIGURED": "true",
        "MSWEA_SILENT_STARTUP": "1",
    }

    def run(*command: object) -> str:
        return output_of(*command, cwd=tmp_path, env=environment, timeout_s=TIMEOUT_S)

    return run


def models_asked(server: ScriptedOpenRouter) -> set[str]:
    return {request.body["model"] for request in server.requests}


def program(run: Any, name: str, model: str) -> dict[str, Any]:
    """What one of `programs/` prints as its last line."""
    return json.loads(run(AGENTS / "python", PROGRAMS / name, model).splitlines()[-1])


@needs_aider
def test_aider_writes_a_file_and_knows_the_price(run: Any, server: ScriptedOpenRouter, tmp_path: Path):
    run("git", "init", "-q")
    server.add(stream(["hello.py\n```\n", "print('hello')\n", "```\n"], usage=token_usage(600, 11)))
    said = run(
        AIDER / "lfm", "run", "--", "aider", "--model", "lfm/liquid/lfm-3-1.7b", "--edit-format", "whole",
        "--yes-always", "--no-auto-commits", "--no-gitignore", "--no-pretty", "--no-check-update", "--no-analytics",
        "--no-show-release-notes", "--no-detect-urls", "--message", "Write hello.py, which prints hello.",
    )  # fmt: skip
    assert (tmp_path / "hello.py").read_text() == "print('hello')\n"
    assert models_asked(server) == {"liquid/lfm-3-1.7b"}
    # aider counts the tokens of a stream itself, and takes their price from LiteLLM.
    (cost,) = [line for line in said.splitlines() if "Cost: $" in line]
    assert "Cost: $0.000" in cost
    assert "Cost: $0.00 " not in cost


@needs_aider
def test_aider_says_which_model_to_ask_instead(run: Any, server: ScriptedOpenRouter):
    run("git", "init", "-q")
    server.add(*[error(404, "No endpoints found for liquid/lfm-3b.")] * 20)
    said = run(
        AIDER / "lfm", "run", "--", "aider", "--model", "lfm/liquid/lfm-3b", "--yes-always", "--no-gitignore",
        "--no-pretty", "--no-check-update", "--no-analytics", "--no-show-release-notes", "--message", "Hello",
    )  # fmt: skip
    assert "liquid/lfm-3-1.7b" in said
    assert len(server.requests) == 1


@needs_agents
@pytest.mark.parametrize("model", MODELS)
def test_mini_swe_agent_runs_a_command_and_submits(run: Any, server: ScriptedOpenRouter, tmp_path: Path, model: str):
    submit = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
    server.add(
        completion(
            None, tool_calls=[tool_call("bash", {"command": "echo made > made.txt"})], usage=token_usage(cost=0.5)
        ),
        completion(None, tool_calls=[tool_call("bash", {"command": submit})], usage=token_usage(cost=0.25)),
    )
    # It ends with an error where it cannot tell what a request has cost.
    run(
        AGENTS / "lfm", "run", "--", "mini", "-y", "--exit-immediately", "-m", model, "-t", "Make made.txt.",
        "-o", "trajectory.json",
    )  # fmt: skip
    info = json.loads((tmp_path / "trajectory.json").read_text())["info"]
    assert (tmp_path / "made.txt").read_text() == "made\n"
    assert info["exit_status"] == "Submitted"
    assert models_asked(server) == {"liquid/lfm-3-1.7b"}
    if model.startswith("lfm/"):
        assert info["model_stats"]["instance_cost"] == 0.75
    else:  # LiteLLM's own provider counts by the table, which `lfm run` has filled
        assert info["model_stats"]["instance_cost"] > 0


@needs_agents
@pytest.mark.parametrize("model", MODELS)
def test_dspy_gets_a_typed_answer_and_its_cost(run: Any, server: ScriptedOpenRouter, model: str):
    text = "[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"
    server.add(completion(text, usage=token_usage(100, 20, cost=0.125)))
    told = program(run, "ask_dspy.py", model)
    assert told["answer"] == 42
    assert told["cost"] == 0.125 if model.startswith("lfm/") else told["cost"] > 0
    assert models_asked(server) == {"liquid/lfm-3-1.7b"}


@needs_agents
@pytest.mark.parametrize("model", MODELS)
def test_smolagents_calls_a_tool(run: Any, server: ScriptedOpenRouter, model: str):
    server.add(
        completion(None, tool_calls=[tool_call("multiply", {"a": 6, "b": 7})], usage=token_usage(100, 20)),
        completion(None, tool_calls=[tool_call("final_answer", {"answer": "42"})], usage=token_usage(150, 30)),
    )
    assert program(run, "ask_smolagents.py", model) == {"answer": 42, "tokens": 300}
    assert "42" in json.dumps(server.requests[1].body["messages"][-1])
    assert models_asked(server) == {"liquid/lfm-3-1.7b"}


@needs_agents
@pytest.mark.parametrize("model", MODELS)
def test_chatlitellm_answers_streams_and_calls(run: Any, server: ScriptedOpenRouter, model: str):
    server.add(
        completion("Wet.", usage=token_usage(9, 5)),
        stream(["W", "et."], usage=token_usage(9, 5)),
        completion(None, tool_calls=[tool_call("multiply", {"a": 6, "b": 7})]),
    )
    told = program(run, "ask_chatlitellm.py", model)
    assert told == {"answer": "Wet.", "tokens": 14, "streamed": "Wet.", "calls": [["multiply", {"a": 6, "b": 7}]]}
    assert models_asked(server) == {"liquid/lfm-3-1.7b"}


@needs_agents
@pytest.mark.parametrize(
    ("model", "responder"),
    [("lfm/liquid/lfm-3b", prompted_model), ("lfm/liquid/lfm-2.5-2.6b:free", leaking_model)],
    ids=["by prompt", "out of the text"],
)
def test_agent_on_chatlitellm_uses_tools_that_the_model_does_not_have(
    run: Any, server: ScriptedOpenRouter, model: str, responder: Any
):
    server.default = responder
    told = program(run, "agent_chatlitellm.py", model)
    assert told == {"calls": ["get_weather", "get_time"], "answer": "The tool says: Noon in Oslo."}
