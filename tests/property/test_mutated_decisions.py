"""A decision reply that is spoiled in one place is whole answers, or one of our errors: never anything else."""

from __future__ import annotations

import math
from typing import Any

from lfm_adapter import LFMClient, errors
from lfm_adapter.langchain.decisions import _response
from lfm_adapter.testing import decisions, error
from lfm_adapter.types import BoxAnswer, ChoiceAnswer, DecisionReply, NoulAnswer, ScoreAnswer
from tests.support.mutants import Mutant, mutants, sample_of
from tests.support.played import Played

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
QUESTIONS: dict[str, Any] = {
    "noul": "Is it urgent?",
    "choice": {"type": "choice", "instructions": "Which?", "criteria": {"a": "first", "b": None}},
    "score": {"type": "score", "instructions": "How much?", "criteria": ["little", "some", "much"]},
    "box": {"type": "box", "instructions": "Where?"},
}
WHOLE: dict[str, Any] = {
    "noul": {"type": "noul", "noul": 0.97, "probabilities": {"yes": 0.97, "no": 0.03}, "confidence": 0.9},
    "choice": {"type": "choice", "choice": "a", "probabilities": {"a": 0.9, "b": 0.1}, "confidence": 0.8},
    "score": {"type": "score", "score": 1.2, "probabilities": {"0": 0.1, "1": 0.6, "2": 0.3}, "confidence": 0.4,
              "legend": {"0": "little", "1": "some", "2": "much"}},
    "box": {"type": "box", "box": {"top": 0.1, "left": 0.2, "bottom": 0.5, "right": 0.6}, "confidence": 0.7},
}  # fmt: skip
USAGE = {"input_tokens": 476, "output_tokens": 0, "cost": 9.52e-06, "input_tokens_details": {"cached_tokens": 4}}
REPLIES = (
    decisions(WHOLE, usage=USAGE),
    decisions({"noul": 1, "choice": {"a": 0.9, "b": 0.1}, "score": [0, 0.74, 0.26], "box": WHOLE["box"]}, id=None),
    error(422, "choice: at most 255 options", metadata={"provider_name": "Liquid"}),
    error(200, "Slow down", code=429),
)


def decide(mutant: Mutant) -> DecisionReply:
    played = Played(mutant.sample.status, mutant.sample.headers, mutant.body)
    client = LFMClient(model="liquid/d1.2", api_key="test-key", transport=played, max_retries=0)
    return client.decide(["See:", IMAGE], QUESTIONS)


def check(reply: DecisionReply) -> None:
    assert reply.answers.keys() >= QUESTIONS.keys()
    noul, choice, score, box = (reply.answers[id_] for id_ in QUESTIONS)
    assert isinstance(noul, NoulAnswer)
    assert 0 <= noul.noul <= 1
    assert isinstance(choice, ChoiceAnswer)
    assert math.isclose(sum(choice.probabilities.values()), 1, abs_tol=1e-5)
    assert [*choice.probabilities] == ["a", "b"]
    assert choice.probabilities[choice.choice] >= max(choice.probabilities.values()) - 0.02
    assert isinstance(score, ScoreAnswer)
    assert 0 <= score.score <= 2
    assert 0 <= choice.confidence <= 1
    assert 0 <= score.confidence <= 1
    assert [*score.legend] == [*score.probabilities] == [0, 1, 2]
    assert isinstance(box, BoxAnswer)
    assert 0 <= box.box.top <= box.box.bottom <= 1
    _response(reply)  # LangChain's classes take it
    reply.to_wire()


def test_spoiled_decisions_are_answers_or_errors_of_ours():
    counts = {"answers": 0, "errors": 0}
    for mutant in mutants(map(sample_of, range(len(REPLIES)), REPLIES)):
        try:
            reply = decide(mutant)
            assert mutant.sample.status == 200, "an error became an answer"
            check(reply)
            counts["answers"] += 1
        except errors.APIError:
            counts["errors"] += 1
        except BaseException as raised:
            raised.add_note(f"{mutant.sample}, spoiled at {mutant.path}: {mutant.body[:2_000]!r}")
            raise
    assert sum(counts.values()) >= 2_000
    assert counts["answers"] > 200
