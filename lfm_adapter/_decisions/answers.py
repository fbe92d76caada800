"""Reads the answers of any server, computes missing fields, and reports invalid answers.

The formulas are those of llama.cpp and TypeSafe
(https://github.com/ggml-org/llama.cpp/blob/master/tools/server/server-decision.cpp, read 2026-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict, as_number, as_str
from lfm_adapter.types import Box, BoxAnswer, ChoiceAnswer, NoulAnswer, OtherAnswer, ScoreAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfm_adapter.types import Answer, JSONDict

# OpenRouter rounds probabilities to two decimals (https://effect.website: its OpenRouterDecisionModel rescales them).
_ROUNDING = 0.005
_TINY = 1e-6


class _Invalid(Exception):  # noqa: N818 # it is caught below and never seen
    """Says what is wrong with an answer."""


def read_answers(questions: Mapping[str, JSONDict], answers: object) -> tuple[dict[str, Answer], list[str]]:
    """Return the answers by id, and a description of each that is missing or does not fit its question.

    Invalid answers, and answers to questions that were not asked, are returned as `OtherAnswer`.
    """
    given = as_dict(answers)
    read: dict[str, Answer] = {}
    problems = []
    for id_, question in questions.items():
        answer = given.get(id_)
        try:
            read[id_] = _read(question, answer)
        except _Invalid as invalid:
            problems.append(f"the answer to {id_!r} {invalid}")
            if isinstance(answer, dict):
                read[id_] = _other(answer)
    for id_ in given.keys() - questions.keys():
        read[id_] = _other(as_dict(given[id_]))
    return read, problems


def choice_confidence(probabilities: Sequence[float]) -> float:
    """Return how far the most probable of some options is above chance.

    >>> round(choice_confidence([0.61, 0.3, 0.09]), 3)
    0.415
    """
    count = len(probabilities)
    return 1.0 if count == 1 else max(0.0, (max(probabilities) - 1 / count) / (1 - 1 / count))


def score_confidence(probabilities: Sequence[float]) -> float:
    """Return how close some levels are to the most probable one, from 0, as for a guess, to 1.

    >>> round(score_confidence([0.0, 0.74, 0.26]), 2)
    0.61
    """
    count = len(probabilities)
    mode = max(range(count), key=probabilities.__getitem__)
    distance = sum(abs(level - mode) * p for level, p in enumerate(probabilities))
    chance = sum(abs(level - (count - 1) / 2) for level in range(count)) / count
    return 1.0 if not chance else max(0.0, 1 - distance / chance)


def expected_level(probabilities: Sequence[float]) -> float:
    """Return the mean of the levels."""
    return sum(level * p for level, p in enumerate(probabilities))


def _read(question: JSONDict, answer: object) -> Answer:
    if not isinstance(answer, dict):
        raise _Invalid("is missing" if answer is None else "is not an object")
    kind = answer.get("type", question["type"])  # a server that leaves it out answers what was asked
    if kind != question["type"]:
        raise _Invalid(f"is a {str(kind)[:40]!r}, not a {question['type']!r}")
    read: Answer = _READERS[kind](question, answer)
    return read


def _other(answer: JSONDict) -> OtherAnswer:
    return OtherAnswer(as_str(answer.get("type")) or "", _extra(answer))


def _extra(answer: JSONDict, *known: str) -> JSONDict:
    return {name: value for name, value in answer.items() if name != "type" and name not in known}


def _noul(_: JSONDict, answer: JSONDict) -> NoulAnswer:
    return NoulAnswer(_within(answer.get("noul"), "noul"), extra=_extra(answer, "noul"))


def _choice(question: JSONDict, answer: JSONDict) -> ChoiceAnswer:
    probabilities = _distribution(answer.get("probabilities"), list(question["criteria"]))
    highest = max(probabilities.values())
    choice = answer.get("choice", max(probabilities, key=probabilities.__getitem__))
    if not isinstance(choice, str) or choice not in probabilities:
        raise _Invalid("chooses something that is not an option")
    if probabilities[choice] < highest - 2 * _ROUNDING - _TINY:
        raise _Invalid(f"chooses {choice[:40]!r}, although another option has a higher probability")
    confidence = answer.get("confidence")
    return ChoiceAnswer(
        choice,
        probabilities,
        choice_confidence([*probabilities.values()]) if confidence is None else _within(confidence, "confidence"),
        _extra(answer, "choice", "probabilities", "confidence"),
    )


def _score(question: JSONDict, answer: JSONDict) -> ScoreAnswer:
    levels = question["criteria"]
    by_name = _distribution(answer.get("probabilities"), [str(level) for level in range(len(levels))])
    probabilities = [*by_name.values()]
    score, confidence = answer.get("score"), answer.get("confidence")
    legend = as_dict(answer.get("legend"))
    return ScoreAnswer(
        expected_level(probabilities) if score is None else _within(score, "score", len(levels) - 1),
        dict(enumerate(probabilities)),
        {level: legend.get(str(level), text) for level, text in enumerate(levels)},
        score_confidence(probabilities) if confidence is None else _within(confidence, "confidence"),
        _extra(answer, "score", "probabilities", "legend", "confidence"),
    )


def _box(_: JSONDict, answer: JSONDict) -> BoxAnswer:
    edges = as_dict(answer.get("box"))
    top, left, bottom, right = (_within(edges.get(edge), edge) for edge in ("top", "left", "bottom", "right"))
    if top > bottom or left > right:
        raise _Invalid("is a box whose edges are in the wrong order")
    confidence = answer.get("confidence")
    return BoxAnswer(
        Box(top, left, bottom, right),
        None if confidence is None else _within(confidence, "confidence"),
        _extra(answer, "box", "confidence"),
    )


_READERS: dict[str, Any] = {"noul": _noul, "choice": _choice, "score": _score, "box": _box}


def _within(value: object, name: str, highest: float = 1.0) -> float:
    """Return a number from 0 to `highest`. One that is outside by a rounding error is moved inside."""
    number = None if isinstance(value, str) else as_number(value)
    if number is None or not -_TINY <= number <= highest + _TINY:
        raise _Invalid(f"has no `{name}` from 0 to {highest:g}")
    return min(max(float(number), 0.0), float(highest))


def _distribution(value: object, names: Sequence[str]) -> dict[str, float]:
    """Return the probabilities in the order of `names`, with the rounding error of their sum spread over all."""
    if not isinstance(value, Mapping) or not value:
        raise _Invalid("has no probabilities")
    if value.keys() - set(names):
        raise _Invalid("has probabilities of unknown options")
    found = {name: _within(value.get(name, 0.0), "probability") for name in names}
    missing = 1 - sum(found.values())
    if abs(missing) < _TINY:
        return found
    if abs(missing) > _ROUNDING * len(names) + _TINY:
        raise _Invalid(f"has probabilities with the sum {1 - missing:.3g}")
    spread = {name: max(0.0, p + missing / len(names)) for name, p in found.items()}
    total = sum(spread.values())
    return {name: p / total for name, p in spread.items()}
