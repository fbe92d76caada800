"""Liquid's decision models through LiteLLM's own providers, which need our prices and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import litellm
import openai
import pytest

from lfm_adapter.litellm._model_cost import model_cost_entries
from lfm_adapter.testing import ScriptedOpenRouter, json_reply
from tests.support.litellm_ways import run

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_systemone = pytest.mark.skipif(
    not hasattr(litellm, "systemone"), reason="this release of LiteLLM has no decisions; 1.105 has"
)

needs_box_questions = pytest.mark.skipif(
    not hasattr(litellm, "supports_box_questions"),
    reason="this release of LiteLLM knows no boxes, and passes unknown media on",
)

PATH = "/alpha/decisions"
MODEL = "openrouter/liquid/d1.2"
IMAGE_URL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": IMAGE_URL}}

QUESTIONS: dict[str, Any] = {
    "urgent": {"type": "noul", "instructions": "Must somebody answer today?"},
    "team": {
        "type": "choice",
        "instructions": "Who should answer?",
        "criteria": {"billing": "payments", "other": None},
    },
    "anger": {"type": "score", "instructions": "How angry is it?", "criteria": ["calm", "cross"]},
}
ANSWERS: dict[str, Any] = {
    "urgent": {"type": "noul", "noul": 0.93},
    "team": {
        "type": "choice", "choice": "billing", "probabilities": {"billing": 0.8, "other": 0.2}, "confidence": 0.6
    },
    "anger": {
        "type": "score",
        "score": 0.3,
        "probabilities": {"0": 0.7, "1": 0.3},
        "legend": {"0": "calm", "1": "cross"},
        "confidence": 0.4,
    },
}  # fmt: skip
BOX_QUESTION = {"where": {"type": "box", "instructions": "Where is the total?"}}
BOX = {"type": "box", "box": {"top": 0.1, "left": 0.2, "bottom": 0.3, "right": 0.4}, "confidence": 0.9}


@pytest.fixture
def decisions_server() -> Iterator[ScriptedOpenRouter]:
    """A scripted server in place of OpenRouter, with the base URL that LiteLLM asks for decisions."""
    with ScriptedOpenRouter(path="/api") as server:
        yield server


def reply(answers: dict[str, Any] | None = None, *, cost: float | None = 7e-6) -> Any:
    usage = {"input_tokens": 300, "output_tokens": 0} | ({} if cost is None else {"cost": cost})
    body = {"id": "gen-dec-7", "model": "liquid/d1.2-20261110", "provider": "Liquid", "usage": usage}
    return json_reply(body | {"answers": ANSWERS if answers is None else answers})


def ask(server: ScriptedOpenRouter, questions: Any = QUESTIONS, *, state: Any = "Twice!", **call: Any) -> Any:
    arguments = {"model": MODEL, "api_base": server.base_url, "api_key": "test-key"} | call
    return litellm.systemone(state=state, questions=questions, **arguments)


def test_each_decision_model_has_a_row_for_litellms_own_provider_and_none_for_ours():
    rows = {name: row for name, row in model_cost_entries().items() if "/liquid/d1" in name}
    assert {name.partition("/")[0] for name in rows} == {"openrouter"}
    assert {"openrouter/liquid/d1", "openrouter/liquid/d1.2", "openrouter/liquid/d1.2-ultra"} <= rows.keys()
    assert all(row["mode"] == "evaluation" for row in rows.values())
    assert rows["openrouter/liquid/d1.2"] == {
        "litellm_provider": "openrouter",
        "mode": "evaluation",
        "max_input_tokens": 65536,
        "max_tokens": 65536,
        "input_cost_per_token": 2e-08,
        "output_cost_per_token": 0.0,
        "cache_read_input_token_cost": 2e-08,
        "cache_creation_input_token_cost": 2e-08,
        "supported_endpoints": ["/v1/decisions", "/v1/systemone"],
        "supports_vision": True,
        "supports_box_questions": True,
        "source": "https://openrouter.ai/liquid/d1.2",
    }


def test_litellm_prices_a_decision_model():
    assert litellm.cost_per_token(MODEL, 1_000, 50) == (pytest.approx(2e-5), 0)
    assert litellm.get_model_info(MODEL)["max_input_tokens"] == 65536


@needs_systemone
@pytest.mark.parametrize("way", ["systemone", "asystemone"])
def test_typed_questions_are_answered_with_what_openrouter_charged(decisions_server: ScriptedOpenRouter, way: str):
    decisions_server.add(reply(), path=PATH)
    call = {"model": MODEL, "state": "Twice!", "questions": QUESTIONS, "api_base": decisions_server.base_url}
    asked = getattr(litellm, way)(**call, api_key="test-key")
    response = run(asked) if way == "asystemone" else asked
    assert response.answers["urgent"].noul == 0.93
    assert response.answers["team"].probabilities == {"billing": 0.8, "other": 0.2}
    assert response.answers["anger"].score == 0.3
    assert response._hidden_params["response_cost"] == 7e-6
    assert (response.id, response.provider) == ("gen-dec-7", "Liquid")
    (request,) = decisions_server.requests
    assert request.body == {"model": "liquid/d1.2", "state": "Twice!", "questions": QUESTIONS}


@needs_systemone
def test_cost_is_by_price_where_openrouter_names_none(decisions_server: ScriptedOpenRouter):
    decisions_server.add(reply(cost=None), path=PATH)
    assert ask(decisions_server)._hidden_params["response_cost"] == pytest.approx(300 * 2e-8)


@needs_systemone
def test_openais_form_is_answered_too(decisions_server: ScriptedOpenRouter):
    decisions_server.add(reply({"urgent": ANSWERS["urgent"]}), path=PATH)
    question: Any = {"type": "predicate", "name": "urgent", "instructions": "Must somebody answer today?"}
    response = litellm.decisions(
        model=MODEL, input="Twice!", questions=[question], api_base=decisions_server.base_url, api_key="test-key"
    )
    assert response.answers[0].probability == 0.93
    assert decisions_server.requests[0].body["questions"]["urgent"]["type"] == "noul"


@needs_systemone
def test_image_in_the_state_is_sent_as_it_is(decisions_server: ScriptedOpenRouter):
    decisions_server.add(reply(), path=PATH)
    assert ask(decisions_server, state=["A receipt.", IMAGE]).answers
    assert [request.body["state"] for request in decisions_server.requests] == [["A receipt.", IMAGE]]


@needs_box_questions
@pytest.mark.parametrize(("field", "media"), [("audio", "data:audio/wav;base64,AAAA"), ("images", IMAGE_URL)])
def test_media_that_would_go_into_a_field_that_openrouter_does_not_have_are_refused(
    decisions_server: ScriptedOpenRouter, field: str, media: str
):
    with pytest.raises(litellm.UnsupportedParamsError, match=field):
        ask(decisions_server, **{field: [media]})
    assert not decisions_server.requests


@needs_box_questions
def test_boxes_are_asked_only_of_models_that_find_them(decisions_server: ScriptedOpenRouter):
    decisions_server.add(reply({"where": BOX}), path=PATH)
    assert ask(decisions_server, BOX_QUESTION, state=[IMAGE]).answers["where"].box.top == 0.1
    with pytest.raises(litellm.UnsupportedParamsError, match="box questions"):
        ask(decisions_server, BOX_QUESTION, state=[IMAGE], model="openrouter/liquid/d1")
    assert len(decisions_server.requests) == 1


@needs_systemone
def test_answer_without_a_confidence_is_lost_in_litellm(decisions_server: ScriptedOpenRouter):
    team = {name: value for name, value in ANSWERS["team"].items() if name != "confidence"}
    decisions_server.add(reply(ANSWERS | {"team": team}), path=PATH)
    with pytest.raises(openai.APIError, match="confidence"):
        ask(decisions_server)


@needs_systemone
def test_our_provider_is_not_asked_for_decisions():
    with pytest.raises(litellm.BadRequestError, match="Unknown Decisions provider 'lfm'"):
        litellm.systemone(model="lfm/d1.2", state="Twice!", questions=QUESTIONS)


@needs_systemone
@pytest.mark.parametrize(("provider", "path"), [("typesafe/d1", "/decisions"), ("hosted_vllm/local/demo", "/v1")])
def test_liquids_own_api_and_a_local_server_are_asked_through_other_providers(provider: str, path: str):
    with ScriptedOpenRouter(path=path) as server:
        where = "/systemone" if path == "/v1" else "/v1/systemone"
        server.add(reply(), path=where)
        assert ask(server, model=provider).answers["urgent"].noul == 0.93
        assert (server.requests[0].path, server.requests[0].body["model"]) == (where, provider.partition("/")[2])
