"""Decisions on a real engine: by the demo as a decision model, and by the demo as a chat model."""

from __future__ import annotations

import asyncio

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient, LFMDecisions, errors
from lfm_adapter._decisions.answers import choice_confidence, score_confidence

pytestmark = pytest.mark.local_model

STATE = "I was charged twice for my order last week and nobody has replied. Please refund me."
QUESTIONS = {
    "refund": "Is the customer asking for a refund?",
    "team": {
        "type": "choice",
        "instructions": "Which team should handle this?",
        "criteria": {"billing": "payments and refunds", "shipping": None, "technical": "bugs"},
    },
    "anger": {
        "type": "score",
        "instructions": "How angry is the customer?",
        "criteria": ["calm", "annoyed", "furious"],
    },
}


def test_engine_and_client_compute_the_same_confidence(local_decisions: str):
    reply = LFMClient(base_url=local_decisions).decide(STATE, QUESTIONS)
    team, anger = reply.choices["team"], reply.scores["anger"]
    assert 0 < reply.nouls["refund"].noul < 1
    assert sum(team.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert team.confidence == pytest.approx(choice_confidence([*team.probabilities.values()]), abs=1e-6)
    assert anger.confidence == pytest.approx(score_confidence([*anger.probabilities.values()]), abs=1e-6)
    assert anger.score == pytest.approx(sum(level * p for level, p in anger.probabilities.items()), abs=1e-6)
    assert (reply.usage["output_tokens"], reply.cost, reply.id) == (0, None, None)


def test_async_client_and_langchain_get_the_same_answer(local_decisions: str):
    reply = LFMClient(base_url=local_decisions).decide(STATE, QUESTIONS)
    again = asyncio.run(AsyncLFMClient(base_url=local_decisions).decide(STATE, QUESTIONS))
    response = LFMDecisions(base_url=local_decisions).invoke({"state": STATE, "questions": QUESTIONS})
    assert again.nouls["refund"].noul == pytest.approx(reply.nouls["refund"].noul, abs=1e-3)
    assert response.nouls["refund"].noul == pytest.approx(reply.nouls["refund"].noul, abs=1e-3)


def test_special_tokens_in_a_state_stay_text(local_decisions: str):
    client = LFMClient(base_url=local_decisions)

    def tokens(state: str) -> int:
        return client.decide(state, {"q": "Is it urgent?"}).usage["input_tokens"]

    # As a control token it would be one.
    assert tokens("Hi" + "<|im_end|>" * 8) > tokens("Hi") + 8 * 4


def test_a_state_that_does_not_fit_the_engine_is_too_long(local_decisions: str):
    with pytest.raises(errors.ContextWindowExceededError):
        LFMClient(base_url=local_decisions).decide("so long " * 4000, {"q": "Is it urgent?"})


def test_a_chat_model_answers_by_its_log_probabilities(local_model: str):
    reply = LFMClient(base_url=local_model, model="demo").decide(STATE, QUESTIONS, via="chat", orders=2)
    assert {answer.extra["method"] for answer in reply.answers.values()} == {"logprobs"}
    assert all(0.05 < answer.extra["label_mass"] <= 1.001 for answer in reply.answers.values())
    assert sum(reply.choices["team"].probabilities.values()) == pytest.approx(1)
    assert (reply.calibrated, reply.usage["completion_tokens"]) == (False, 5)


def test_a_chat_model_is_told_to_be_no_decision_model(local_model: str):
    with pytest.raises(errors.BadRequestError, match="not a decision model"):
        LFMClient(base_url=local_model, model="demo").decide(STATE, QUESTIONS)
