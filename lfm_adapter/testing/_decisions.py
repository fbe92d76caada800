"""Responses to `POST /alpha/decisions` and `/systemone`: given answers, or equal probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lfm_adapter.testing._reply import REQUESTED_MODEL, ScriptedReply, json_reply
from lfm_adapter.testing._wire import GENERATION_ID

Shorthand = float | Sequence[float] | Mapping[str, Any]


def decisions(
    answers: Mapping[str, Shorthand],
    *,
    input_tokens: int = 147,
    cost: float | None = 2.94e-06,
    headers: Mapping[str, str] | None = None,
    **top_level: Any,
) -> ScriptedReply:
    """Return answers by the questions' ids: `server.add(decisions({"urgent": 0.97}), path="/alpha/decisions")`.

    Confidences and legends are left out, as OpenRouter may do.

    Args:
        answers: For each question, the probability of yes, or the probabilities of a choice (an object) or of a score
            (a list). An object with a `type` is sent unchanged.
        input_tokens: Tokens of the request.
        cost: US$.
        headers: Headers to add or replace.
        **top_level: Keys to add to the body or to replace in it: `id=None`, `usage={}`.
    """
    body = {
        "id": GENERATION_ID,
        "model": REQUESTED_MODEL,
        "provider": "Liquid",
        "answers": {id_: _answer(answer) for id_, answer in answers.items()},
        "usage": {"input_tokens": input_tokens, "output_tokens": 0, "cost": cost},
    }
    return json_reply(body | top_level, headers=headers)


def undecided(questions: Mapping[str, Any]) -> ScriptedReply:
    """Answer each question with equal probabilities."""
    return decisions({id_: _undecided(question) for id_, question in questions.items()})


def _answer(answer: Shorthand) -> Mapping[str, Any]:
    if isinstance(answer, int | float):
        return {"type": "noul", "noul": answer}
    if isinstance(answer, Mapping):
        if "type" in answer:
            return answer
        return {"type": "choice", "choice": max(answer, key=answer.__getitem__), "probabilities": answer}
    score = sum(level * p for level, p in enumerate(answer))
    return {"type": "score", "score": score, "probabilities": {str(level): p for level, p in enumerate(answer)}}


def _undecided(question: Mapping[str, Any]) -> Shorthand:
    criteria = question.get("criteria") or {}
    match question["type"]:
        case "noul":
            return 0.5
        case "choice":
            return dict.fromkeys(criteria, 1 / len(criteria))
        case "score":
            return [1 / len(criteria)] * len(criteria)
    return {"type": "box", "box": {"top": 0.0, "left": 0.0, "bottom": 1.0, "right": 1.0}}
