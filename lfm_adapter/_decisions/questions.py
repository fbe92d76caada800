"""Checks the questions of a call before a request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from lfm_adapter.types import JSONDict, ModelCard

# The highest limits of any server, those of OpenRouter and llama.cpp
# (https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md, read 2026-11-28). Others are stricter.
MAX_OPTIONS = 255
MAX_LEVELS = 10

_FIELDS = {"noul": {"criteria"}, "choice": {"criteria"}, "score": {"criteria"}, "box": set[str]()}


def checked_questions(questions: object, card: ModelCard) -> dict[str, JSONDict]:
    """Return the questions as JSON by id; a text alone is a yes-or-no question.

    Raises:
        ConfigurationError: There are none, or one is malformed, beyond a limit, or of a type that the model does not
            answer.
    """
    if not isinstance(questions, Mapping) or not questions:
        raise ConfigurationError(
            '`questions` must be a dict with at least one question, such as {"urgent": "Is this urgent?"}; got '
            f"{type(questions).__name__ if questions else questions!r}."
        )
    return {_id(id_): _checked(id_, question, card) for id_, question in questions.items()}


def _id(id_: object) -> str:
    if not isinstance(id_, str) or not id_:
        raise ConfigurationError(f"The id of a question must be a string, got {shown(id_)}.")
    return id_


def _checked(id_: str, question: object, card: ModelCard) -> JSONDict:
    if isinstance(question, str):
        question = {"type": "noul", "instructions": question}
    if not isinstance(question, Mapping):
        raise _error(id_, f"must be a text or an object, got {type(question).__name__}")
    kind = question.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise _error(id_, f"has the type {shown(kind)}; it must be one of {', '.join(_FIELDS)}")
    if card.question_types and kind not in card.question_types:
        known = ", ".join(sorted(card.question_types))
        raise _error(id_, f"is a {kind} question, which `{card.id}` does not answer. It answers {known}")
    if unknown := question.keys() - _FIELDS[kind] - {"type", "instructions"}:
        raise _error(id_, f"has an unknown field {min(map(str, unknown))!r}")
    instructions = question.get("instructions")
    if not instructions or not isinstance(instructions, str | Mapping | list | tuple):
        raise _error(id_, f"needs `instructions`, a text such as 'Is this urgent?', got {shown(instructions)}")
    checked: JSONDict = {"type": kind, "instructions": instructions}
    if kind != "box" and (criteria := _CRITERIA[kind](id_, question.get("criteria"))) is not None:
        checked["criteria"] = criteria
    return checked


def _noul(id_: str, criteria: Any) -> JSONDict | None:
    if criteria is None:
        return None
    if not isinstance(criteria, Mapping) or criteria.keys() - {"true", "false"}:
        raise _error(id_, 'may have `criteria` with the keys "true" and "false"')
    return {name: text for name, text in criteria.items() if text is not None} or None


def _choice(id_: str, criteria: Any) -> JSONDict:
    if not isinstance(criteria, Mapping) or not criteria:
        raise _error(
            id_, 'needs `criteria` with its options, such as {"billing": "payments and refunds", "other": None}'
        )
    if len(criteria) > MAX_OPTIONS:
        raise _error(id_, f"has {len(criteria)} options; at most {MAX_OPTIONS} are allowed")
    for option in criteria:
        if not isinstance(option, str) or not option:
            raise _error(id_, f"has the option {shown(option)}; an option's name must be a text")
    return dict(criteria)


def _score(id_: str, criteria: Any) -> list[Any]:
    if not isinstance(criteria, list | tuple) or not 2 <= len(criteria) <= MAX_LEVELS:
        given = f"{len(criteria)}" if isinstance(criteria, list | tuple) else type(criteria).__name__
        raise _error(id_, f"needs `criteria` with 2 to {MAX_LEVELS} levels, the lowest first; got {given}")
    return list(criteria)


_CRITERIA = {"noul": _noul, "choice": _choice, "score": _score}


def _error(id_: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"The question {id_!r} {problem}.")
