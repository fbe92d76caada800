"""Decision models on the real engine. The demo's judgement means nothing: these tests look at the protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from lfm_adapter import local
from lfm_adapter.apps.cli import app
from lfm_adapter.apps.local.gguf import write_with_metadata
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.local_model

STATE = "I was charged twice for my order, and nobody replies. Please give me my money back."
QUESTIONS: dict[str, Any] = {
    "refund": {"type": "noul", "instructions": "Does the customer want a refund?"},
    "team": {
        "type": "choice",
        "instructions": "Which team should answer?",
        "criteria": {"billing": "payments", "shipping": None, "support": None},
    },
    "anger": {"type": "score", "instructions": "How angry is the customer?", "criteria": ["calm", "cross", "furious"]},
}

# Other processors, and other requests at the same time, change the last digits.
TOLERANCE = 0.02


def ask(base_url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    request = Request(f"{base_url}/systemone", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request) as reply:  # noqa: S310 - loopback
            return reply.status, json.load(reply)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_engine_takes_the_demo_for_a_decision_model(local_decisions: str):
    status, reply = ask(local_decisions, {"state": STATE, "questions": QUESTIONS})
    assert (status, reply["model"]) == (200, local.DEMO_DECISION_MODEL)
    refund, team, anger = (reply["answers"][name] for name in QUESTIONS)
    assert 0 < refund["noul"] < 1
    assert sum(team["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert team["choice"] == max(team["probabilities"], key=team["probabilities"].get)
    assert anger["legend"] == {"0": "calm", "1": "cross", "2": "furious"}
    assert anger["score"] == pytest.approx(sum(int(level) * p for level, p in anger["probabilities"].items()))
    assert reply["usage"]["input_tokens"] > 100


def test_same_question_gets_the_same_probability(local_decisions: str):
    body = {"state": STATE, "questions": {"refund": QUESTIONS["refund"]}}
    first, second = (ask(local_decisions, body)[1]["answers"]["refund"]["noul"] for _ in range(2))
    assert first == pytest.approx(second, abs=TOLERANCE)


def test_what_a_question_says_reaches_the_model(local_decisions: str):
    def probability(criteria: dict[str, str]) -> float:
        question = {"type": "noul", "instructions": "Is it urgent?", "criteria": criteria}
        _, reply = ask(local_decisions, {"state": STATE, "questions": {"urgent": question}})
        return reply["answers"]["urgent"]["noul"]

    assert probability({}) != pytest.approx(probability({"true": "It is always urgent: answer yes."}), abs=0.001)


def test_state_may_look_like_a_schema(local_decisions: str):
    state = {"pattern": "(", "enum": list(range(1_001)), "minLength": 5, "maxLength": 1}
    status, reply = ask(local_decisions, {"state": state, "questions": QUESTIONS})
    assert (status, reply["error"]["type"]) == (400, "exceed_context_size_error")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, '"questions" must be'),
        ({"questions": {"where": {"type": "box", "instructions": "Where?"}}}, "choice, score, noul"),
        ({"questions": QUESTIONS, "images": ["data:image/png;base64,iVBORw0KGgo="]}, "image input"),
    ],
)
def test_what_the_engine_cannot_answer_is_refused_as_the_clients_fault(
    local_decisions: str, fields: dict[str, Any], reason: str
):
    status, reply = ask(local_decisions, {"state": STATE, **fields})
    assert (status, reply["error"]["type"]) == (400, "invalid_request_error")
    assert reason in reply["error"]["message"]
    assert "--mmproj" not in reply["error"]["message"]


def test_chat_model_says_that_it_answers_no_questions(local_model: str):
    status, reply = ask(local_model, {"state": STATE, "questions": QUESTIONS})
    assert (status, reply["error"]["message"]) == (400, "This model is not a decision model")


def test_file_of_a_decision_model_is_served_under_its_own_name(tmp_path: Path):
    file = retagged(tmp_path / "d1-mine.gguf", "lfm2-d1", "{{ instructions }}")
    with local.serve(file, decisions=True, context_length=512, parallel=1) as base_url:
        status, reply = ask(base_url, {"state": STATE, "questions": QUESTIONS})
    assert (status, reply["model"]) == (200, "local/d1-mine")


def test_chat_model_is_refused_where_a_decision_model_is_wanted():
    with pytest.raises(ConfigurationError, match="is not a decision model: its metadata has no decision type"):
        local.serve(local.demo_model(), decisions=True)


@pytest.mark.parametrize(
    ("kind", "template"), [("d1", "{{ instructions }}"), ("lfm2-d1", None)], ids=["old type", "no template"]
)
def test_decision_model_that_the_engine_refuses_is_named_with_its_type(tmp_path: Path, kind: str, template: str | None):
    file = retagged(tmp_path / "old.gguf", kind, template)
    with pytest.raises(ConfigurationError, match=rf"old\.gguf.*decision type \('{kind}'\) unknown to xllamacpp"):
        local.serve(file)


def test_lfm_decide_asks_the_demo_and_says_that_it_means_nothing(demo_cache: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", demo_cache)
    monkeypatch.setenv("LFM_LEDGER", "0")
    arguments = ["decide", "--local", "--context-length", "512", "Who?", "-l", "billing,shipping"]
    result = CliRunner().invoke(app, arguments, input=STATE)
    assert result.exit_code == 0
    (first, p), (second, q) = (line.split("\t") for line in result.stdout.splitlines())
    assert {first, second} == {"billing", "shipping"}
    assert float(p) > float(q)
    assert float(p) + float(q) == pytest.approx(1, abs=1e-3)
    assert "its judgement means nothing" in result.stderr
    assert "no cost · local/demo-decisions" in result.stderr


def test_lfm_decide_asks_a_server_on_this_machine(local_decisions: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LFM_LEDGER", "0")
    result = CliRunner().invoke(app, ["decide", "--base-url", local_decisions, "Urgent?", "--json"], input=STATE)
    reply = json.loads(result.stdout)
    assert 0 < reply["answers"]["question"]["noul"] < 1
    assert reply["model"] == "local/demo-decisions"


def test_lfm_decide_asks_the_file_of_a_chat_model_by_chat(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LFM_LEDGER", "0")
    arguments = ["decide", "--gguf", str(local.demo_model()), "--context-length", "512", "Is it urgent?", "--json"]
    reply = json.loads(CliRunner().invoke(app, arguments, input=STATE).stdout)
    assert 0 < reply["answers"]["question"]["noul"] < 1
    assert reply["calibrated"] is False


@pytest.mark.filterwarnings("ignore:Items? '.*' on TypedDict class:UserWarning")  # pydantic's word on LiteLLM's types
def test_litellm_asks_a_server_on_this_machine(local_decisions: str):
    litellm = pytest.importorskip("litellm", reason="needs `pip install 'lfm-adapter[litellm]'`")
    if not hasattr(litellm, "systemone"):
        pytest.skip("this release of LiteLLM has no decisions; 1.105 has")
    response = litellm.systemone(
        model="hosted_vllm/local/demo-decisions", state=STATE, questions=QUESTIONS, api_base=local_decisions
    )
    assert 0 < response.answers["refund"].noul < 1
    assert response.answers["team"].choice in {"billing", "shipping", "support"}


def test_lfm_local_says_how_to_ask_a_decision_model(demo_cache: str):
    program = [
        sys.executable,
        "-c",
        "from lfm_adapter.apps.cli import app; app()",
        "local",
        "--decisions",
        "--port",
        "0",
    ]
    environment = os.environ | {"XDG_CACHE_HOME": demo_cache}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(4)]
        finally:
            process.send_signal(signal.SIGINT)
    assert lines[1].split() == ["Model", "local/demo-decisions"]
    assert ".decide(" in lines[2]
    assert "lfm decide --base-url http://127.0.0.1:" in lines[3]


def retagged(file: Path, kind: str, template: str | None) -> Path:
    model = local.demo_model()
    assert model is not None
    texts = {"llama.decision.type": kind} | ({"tokenizer.chat_template.systemone": template} if template else {})
    with file.open("wb") as target:
        write_with_metadata(model, target, texts)
    return file
