"""The clients and LFMDecisions against cassettes: what decisions look like on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain_core.decisions import Choice, Noul, Score
from langchain_core.messages import HumanMessage

from lfm_adapter import AsyncLFMClient, LFMClient, LFMDecisions, errors
from lfm_adapter.testing import decisions, error

if TYPE_CHECKING:
    from tests.support.recording import Service

pytestmark = pytest.mark.vcr

ALPHA, SYSTEMONE = "/alpha/decisions", "/systemone"
MAIL = "I was charged twice for my order, and nobody answers. Please refund me."
QUESTIONS = {
    "refund": "Is the customer asking for a refund?",
    "team": {"type": "choice", "instructions": "Which team?", "criteria": {"billing": "payments", "other": None}},
    "anger": {
        "type": "score",
        "instructions": "How angry is the customer?",
        "criteria": ["calm", "annoyed", "furious"],
    },
}
ANSWERS = {"refund": 0.97, "team": {"billing": 0.9, "other": 0.1}, "anger": [0.1, 0.6, 0.3]}


@pytest.mark.scripted(decisions(ANSWERS, model="liquid/d1.2-20261120"), path=ALPHA)
def test_decisions(service: Service):
    client = LFMClient(base_url=service.base_url, api_key=service.api_key)
    reply = client.decide(MAIL, QUESTIONS)
    assert reply.nouls["refund"].noul > 0.5
    assert reply.choices["team"].choice == "billing"
    assert sum(reply.scores["anger"].probabilities.values()) == pytest.approx(1)
    assert reply.model.startswith("liquid/d1.2")
    assert reply.cost.source == "openrouter"


@pytest.mark.scripted(decisions(ANSWERS), path=SYSTEMONE)
async def test_other_route_async(service: Service):
    client = AsyncLFMClient(base_url=service.base_url, api_key=service.api_key)
    reply = await client.decide(MAIL, QUESTIONS, route="systemone")
    assert reply.nouls["refund"].yes


@pytest.mark.scripted(decisions(ANSWERS), path=ALPHA)
def test_langchain(service: Service):
    model = LFMDecisions(base_url=service.base_url, api_key=service.api_key, app_title="My app")
    questions = {
        "refund": Noul(instructions="Is the customer asking for a refund?"),
        "team": Choice(instructions="Which team?", criteria={"billing": "payments", "other": None}),
        "anger": Score(instructions="How angry is the customer?", criteria=["calm", "annoyed", "furious"]),
    }
    response = model.invoke({"state": HumanMessage(MAIL), "questions": questions})
    assert response.nouls["refund"].noul > 0.5
    assert response.usage["input_tokens"] > 0
    assert response.cost is not None


@pytest.mark.scripted(decisions({**ANSWERS, "team": {"type": "refusal"}}), path=ALPHA, always=True)
async def test_answer_that_does_not_fit(service: Service):
    client = AsyncLFMClient(base_url=service.base_url, api_key=service.api_key)
    with pytest.raises(errors.InvalidDecisionError) as caught:
        await client.decide(MAIL, QUESTIONS)
    assert caught.value.reply.nouls["refund"].noul == 0.97


@pytest.mark.scripted(error(413, "request too large"), path=ALPHA, always=True)
def test_request_that_is_too_large(service: Service):
    client = LFMClient(base_url=service.base_url, api_key=service.api_key)
    with pytest.raises(errors.ContextWindowExceededError):
        client.decide(MAIL, QUESTIONS)


@pytest.mark.from_local_model(decisions=True)
def test_local_model(service: Service):
    client = LFMClient(model="local/demo-decisions", base_url=service.base_url, api_key=service.api_key)
    reply = client.decide(MAIL, QUESTIONS, route="systemone")
    assert (reply.model, reply.usage["output_tokens"]) == ("local/demo-decisions", 0)
    assert sum(reply.choices["team"].probabilities.values()) == pytest.approx(1)
