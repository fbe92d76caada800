from __future__ import annotations

import re
from types import MappingProxyType

import pytest

from lfm_adapter import catalog
from lfm_adapter._decisions.questions import checked_questions
from lfm_adapter.errors import ConfigurationError

D1_2 = catalog.get("d1.2")
LEVELS = ["calm", "annoyed", "furious"]


def check(question, card=D1_2):
    return checked_questions({"q": question}, card)["q"]


def test_a_text_is_a_yes_or_no_question():
    assert check("Is it urgent?") == {"type": "noul", "instructions": "Is it urgent?"}


@pytest.mark.parametrize(
    "question",
    [
        {"type": "noul", "instructions": "Is it urgent?"},
        {"type": "noul", "instructions": {"task": "urgent?"}, "criteria": {"true": "a day or less"}},
        {"type": "choice", "instructions": "Who?", "criteria": {"billing": "money", "other": None}},
        {"type": "choice", "instructions": "Who?", "criteria": {str(n): None for n in range(255)}},
        {"type": "score", "instructions": "How angry?", "criteria": LEVELS},
        {"type": "score", "instructions": "How angry?", "criteria": [None] * 10},
        {"type": "box", "instructions": "Where is the cat?"},
    ],
    ids=lambda question: question["type"],
)
def test_a_valid_question_is_kept(question):
    assert check(question) == question
    assert check(MappingProxyType(question)) == question


def test_empty_criteria_are_left_out():
    asked = {"type": "noul", "instructions": "?", "criteria": {"true": None, "false": None}}
    assert check(asked) == {"type": "noul", "instructions": "?"}
    assert check({"type": "noul", "instructions": "?", "criteria": None}) == {"type": "noul", "instructions": "?"}


@pytest.mark.parametrize("questions", [{}, None, "Is it urgent?", ["Is it urgent?"]])
def test_rejects_anything_but_questions_by_id(questions):
    with pytest.raises(ConfigurationError, match="`questions` must be a dict with at least one question"):
        checked_questions(questions, D1_2)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        (7, "must be a text or an object, got int"),
        ("", "needs `instructions`"),
        ({"instructions": "?"}, "has the type None; it must be one of noul, choice, score, box"),
        ({"type": "nuol", "instructions": "?"}, "has the type 'nuol'"),
        ({"type": ["noul"], "instructions": "?"}, "has the type ['noul']"),
        ({"type": "noul"}, "needs `instructions`"),
        ({"type": "noul", "instructions": 7}, "needs `instructions`"),
        ({"type": "noul", "instructions": "?", "criteria": ["yes"]}, 'may have `criteria` with the keys "true"'),
        ({"type": "noul", "instructions": "?", "criteria": {"yes": "x"}}, 'may have `criteria` with the keys "true"'),
        ({"type": "noul", "instructions": "?", "weight": 2}, "has an unknown field 'weight'"),
        ({"type": "choice", "instructions": "?"}, "needs `criteria` with its options"),
        ({"type": "choice", "instructions": "?", "criteria": ["a", "b"]}, "needs `criteria` with its options"),
        ({"type": "choice", "instructions": "?", "criteria": {}}, "needs `criteria` with its options"),
        ({"type": "choice", "instructions": "?", "criteria": {1: "one"}}, "has the option 1"),
        ({"type": "choice", "instructions": "?", "criteria": {str(n): None for n in range(256)}}, "has 256 options"),
        (
            {"type": "score", "instructions": "?"},
            "needs `criteria` with 2 to 10 levels, the lowest first; got NoneType",
        ),
        (
            {"type": "score", "instructions": "?", "criteria": ["one"]},
            "needs `criteria` with 2 to 10 levels, the lowest first; got 1",
        ),
        (
            {"type": "score", "instructions": "?", "criteria": ["x"] * 11},
            "needs `criteria` with 2 to 10 levels, the lowest first; got 11",
        ),
        ({"type": "score", "instructions": "?", "criteria": "calm"}, "needs `criteria` with 2 to 10 levels"),
        ({"type": "box", "instructions": "?", "criteria": {}}, "has an unknown field 'criteria'"),
    ],
)
def test_rejects_a_malformed_question_and_names_it(question, problem):
    with pytest.raises(ConfigurationError, match=re.escape(f"The question 'q' {problem}")):
        check(question)


@pytest.mark.parametrize("id_", ["", 7, None])
def test_rejects_an_id_that_is_not_a_string(id_):
    with pytest.raises(ConfigurationError, match="The id of a question must be a string"):
        checked_questions({id_: "Is it urgent?"}, D1_2)


def test_rejects_a_type_that_the_model_does_not_answer():
    box = {"type": "box", "instructions": "Where?"}
    with pytest.raises(ConfigurationError, match=r"is a box question, which `liquid/d1\.1` does not answer"):
        check(box, catalog.get("d1.1"))
    assert check(box, catalog.get("a-model-of-my-server")) == box
