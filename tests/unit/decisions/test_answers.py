from __future__ import annotations

import pytest

from lfm_adapter._decisions.answers import choice_confidence, read_answers, score_confidence
from lfm_adapter.types import Box, BoxAnswer, ChoiceAnswer, NoulAnswer, OtherAnswer, ScoreAnswer

NOUL = {"type": "noul", "instructions": "?"}
CHOICE = {
    "type": "choice",
    "instructions": "?",
    "criteria": {"billing": "money", "shipping": None, "technical": "bugs"},
}
SCORE = {"type": "score", "instructions": "?", "criteria": ["calm", "annoyed", "furious"]}
BOX = {"type": "box", "instructions": "?"}
EDGES = {"top": 0.1, "left": 0.2, "bottom": 0.5, "right": 0.6}


def read(question, answer):
    answers, problems = read_answers({"q": question}, {"q": answer})
    assert problems == []
    return answers["q"]


def problem(question, answer):
    answers, problems = read_answers({"q": question}, {"q": answer})
    assert len(problems) == 1
    if isinstance(answer, dict):
        assert isinstance(answers["q"], OtherAnswer)
    return problems[0]


class TestFormulas:
    @pytest.mark.parametrize(
        ("count", "highest", "confidence"), [(3, 0.61, 0.42), (4, 0.40, 0.20), (5, 0.74, 0.67), (3, 0.84, 0.76)]
    )
    def test_confidence_of_a_choice_is_that_of_published_answers(self, count, highest, confidence):
        others = [(1 - highest) / (count - 1)] * (count - 1)
        assert choice_confidence([highest, *others]) == pytest.approx(confidence, abs=0.01)

    @pytest.mark.parametrize(
        ("levels", "confidence"),
        [
            ([0.95, 0.05], 0.90),
            ([0, 0.57, 0.43], 0.35),
            ([0, 0.74, 0.26], 0.61),
            ([0, 0.91, 0.09], 0.87),
            ([0, 0.48, 0.52, 0], 0.52),
            ([0, 0, 0.86, 0.14, 0], 0.89),
        ],
    )
    def test_confidence_of_a_score_is_that_of_published_answers(self, levels, confidence):
        assert score_confidence(levels) == pytest.approx(confidence, abs=0.011)

    def test_formulas_are_those_of_llama_cpp(self):
        choice = {"billing": 0.016033118082529007, "shipping": 0.8821281639858111, "technical": 0.1018387179316599}
        assert choice_confidence([*choice.values()]) == pytest.approx(0.8231922459787164, abs=1e-12)
        levels = [0.04227181837764614, 0.9226205913480096, 0.035107590274344326]
        answer = read(SCORE, {"type": "score", "probabilities": {str(n): p for n, p in enumerate(levels)}})
        assert answer.score == pytest.approx(0.9928357718966982, abs=1e-12)
        assert answer.confidence == pytest.approx(0.8839308870220143, abs=1e-12)

    def test_a_single_option_is_certain_and_a_guess_is_not(self):
        assert choice_confidence([1.0]) == 1
        assert choice_confidence([0.25] * 4) == 0
        assert score_confidence([0.5, 0, 0.5]) == 0


class TestAnswers:
    @pytest.mark.parametrize(("noul", "yes"), [(0.97, True), (0, False), (1, True), (0.5, True), (0.49, False)])
    def test_noul_has_a_probability_and_a_verdict(self, noul, yes):
        assert read(NOUL, {"type": "noul", "noul": noul}) == NoulAnswer(noul, yes=yes)

    def test_values_from_the_server_are_kept(self):
        probabilities = {"billing": 0.9, "shipping": 0.1, "technical": 0.0}
        answer = {"type": "choice", "choice": "billing", "probabilities": probabilities, "confidence": 0.7}
        assert read(CHOICE, answer) == ChoiceAnswer("billing", probabilities, 0.7)
        answer = {"type": "score", "score": 1.2, "probabilities": {"0": 0.1, "1": 0.6, "2": 0.3}, "confidence": 0.5,
                "legend": {"0": "a", "1": "b", "2": "c"}}  # fmt: skip
        assert read(SCORE, answer) == ScoreAnswer(1.2, {0: 0.1, 1: 0.6, 2: 0.3}, {0: "a", 1: "b", 2: "c"}, 0.5)

    def test_missing_values_are_computed(self):
        answer = read(CHOICE, {"type": "choice", "probabilities": {"billing": 0.1, "shipping": 0.8, "technical": 0.1}})
        assert (answer.choice, answer.confidence) == ("shipping", pytest.approx(0.7))
        answer = read(SCORE, {"type": "score", "probabilities": {"0": 0, "1": 0.74, "2": 0.26}})
        assert answer.score == pytest.approx(1.26)
        assert answer.legend == {0: "calm", 1: "annoyed", 2: "furious"}
        assert answer.confidence == pytest.approx(0.61)

    @pytest.mark.parametrize(
        "probabilities",
        [
            {"billing": 0.33, "shipping": 0.33, "technical": 0.33},
            {"billing": 0.67, "shipping": 0.17, "technical": 0.17},
            {"billing": 0.99, "shipping": 0.02, "technical": 0.0},
            {"billing": 1.0},  # an option without a probability has none
        ],
    )
    def test_rounded_probabilities_sum_to_one(self, probabilities):
        answer = read(CHOICE, {"type": "choice", "choice": "billing", "probabilities": probabilities})
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert all(abs(answer.probabilities[name] - p) <= 0.011 for name, p in probabilities.items())
        assert [*answer.probabilities] == [*CHOICE["criteria"]]

    def test_probabilities_that_were_all_rounded_to_zero_are_equal(self):
        many = {"type": "choice", "instructions": "?", "criteria": {str(n): None for n in range(255)}}
        probabilities = {"0": 0.5} | {str(n): 0.0 for n in range(1, 255)}
        answer = read(many, {"type": "choice", "choice": "0", "probabilities": probabilities})
        assert answer.probabilities["0"] == pytest.approx(0.5, abs=0.005)
        assert answer.probabilities["7"] == pytest.approx(0.5 / 254, abs=1e-4)

    def test_exact_probabilities_are_left_as_they_are(self):
        probabilities = {"billing": 0.1, "shipping": 0.2, "technical": 0.7000000000000001}
        assert read(CHOICE, {"type": "choice", "probabilities": probabilities}).probabilities == probabilities

    def test_a_box_has_edges_and_perhaps_a_confidence(self):
        assert read(BOX, {"type": "box", "box": EDGES}) == BoxAnswer(Box(0.1, 0.2, 0.5, 0.6))
        assert read(BOX, {"type": "box", "box": EDGES, "confidence": 0.7}).confidence == 0.7

    def test_further_fields_of_an_answer_are_kept(self):
        answer = read(NOUL, {"type": "noul", "noul": 0.9, "confidence": 0.8, "probabilities": {"yes": 0.9, "no": 0.1}})
        assert answer.extra == {"confidence": 0.8, "probabilities": {"yes": 0.9, "no": 0.1}}

    def test_an_answer_without_a_type_is_of_the_type_asked_for(self):
        assert read(NOUL, {"noul": 0.9}).noul == 0.9

    def test_answers_of_unknown_types_survive(self):
        answers, problems = read_answers({"q": NOUL}, {"q": {"noul": 1}, "more": {"type": "span", "start": 3}})
        assert (problems, answers["more"]) == ([], OtherAnswer("span", {"start": 3}))


class TestProblems:
    @pytest.mark.parametrize(
        ("question", "answer", "found"),
        [
            (NOUL, None, "is missing"),
            (NOUL, 0.9, "is not an object"),
            (NOUL, {"type": "refusal", "reason": "x"}, "is a 'refusal', not a 'noul'"),
            (NOUL, {"type": "choice", "choice": "x"}, "is a 'choice', not a 'noul'"),
            (NOUL, {"type": "noul"}, "has no `noul` from 0 to 1"),
            (NOUL, {"type": "noul", "noul": 1.2}, "has no `noul` from 0 to 1"),
            (NOUL, {"type": "noul", "noul": "0.9"}, "has no `noul` from 0 to 1"),
            (NOUL, {"type": "noul", "noul": True}, "has no `noul` from 0 to 1"),
            (CHOICE, {"type": "choice", "choice": "billing"}, "has no probabilities"),
            (CHOICE, {"type": "choice", "probabilities": {"billing": 0.5}}, "has probabilities with the sum 0.5"),
            (
                CHOICE,
                {"type": "choice", "probabilities": {"other": 1.0}},
                "has probabilities of unknown options",
            ),
            (
                CHOICE,
                {"type": "choice", "choice": "other", "probabilities": {"billing": 1.0}},
                "chooses something that is not an option",
            ),
            (
                CHOICE,
                {"type": "choice", "choice": "shipping", "probabilities": {"billing": 1.0}},
                "another option has a higher probability",
            ),
            (CHOICE, {"type": "choice", "probabilities": {"billing": 1.0}, "confidence": 7}, "has no `confidence`"),
            (SCORE, {"type": "score", "score": 1.0}, "has no probabilities"),
            (SCORE, {"type": "score", "score": 2.5, "probabilities": {"2": 1.0}}, "has no `score` from 0 to 2"),
            (SCORE, {"type": "score", "probabilities": {"3": 1.0}}, "has probabilities of unknown options"),
            (BOX, {"type": "box", "box": {**EDGES, "top": 0.9}}, "edges are in the wrong order"),
            (BOX, {"type": "box", "box": {**EDGES, "left": 20}}, "has no `left` from 0 to 1"),
            (BOX, {"type": "box"}, "has no `top` from 0 to 1"),
        ],
    )
    def test_answer_that_does_not_fit_is_described(self, question, answer, found):
        description = problem(question, answer)
        assert description.startswith("the answer to 'q' ")
        assert found in description

    def test_rounding_errors_are_accepted(self):
        assert read(NOUL, {"type": "noul", "noul": 1.0000001}).noul == 1
