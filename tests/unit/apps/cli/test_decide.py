"""`lfm decide`: what it asks, what it prints, and what it refuses."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING

import pytest
from rich.text import Text
from typer.testing import CliRunner

from lfm_adapter.apps.cli import app
from lfm_adapter.apps.cli.bars import show_answers
from lfm_adapter.ledger import Ledger
from lfm_adapter.testing import completion, decisions, error, token_usage
from lfm_adapter.types import ChoiceAnswer

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from lfm_adapter.testing import ScriptedOpenRouter, ScriptedReply

MAIL = "I was charged twice. Please pay me back today."
PNG = b"\x89PNG\r\n\x1a\n"


def decide(*arguments: str, stdin: str = MAIL) -> Result:
    return CliRunner().invoke(app, ["decide", *arguments], input=stdin)


def answer(server: ScriptedOpenRouter, *replies: ScriptedReply) -> None:
    server.add(*replies, path="/alpha/decisions")


def asked(server: ScriptedOpenRouter) -> dict:
    return server.requests[-1].body


def test_yes_or_no_is_asked_about_what_is_piped_in(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": 0.93}))
    result = decide("Is", "this", "urgent?")
    assert (result.exit_code, result.stdout) == (0, "yes\t0.9300\nno\t0.0700\n")
    assert asked(openrouter)["model"] == "liquid/d1.2"
    assert asked(openrouter)["state"] == MAIL
    assert asked(openrouter)["questions"] == {"question": {"type": "noul", "instructions": "Is this urgent?"}}


def test_first_line_is_the_answer(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": 0.2}), decisions({"question": {"billing": 0.3, "shipping": 0.7}}))
    assert decide("Is this urgent?").stdout.startswith("no\t0.8000\n")
    assert decide("Who?", "--labels", "billing,shipping").stdout == "shipping\t0.7000\nbilling\t0.3000\n"


def test_first_line_is_the_choice_though_another_label_is_as_probable(openrouter: ScriptedOpenRouter):
    tie = {"type": "choice", "choice": "shipping", "probabilities": {"billing": 0.5, "shipping": 0.5}}
    answer(openrouter, decisions({"question": tie}))
    assert decide("Who?", "--labels", "billing,shipping").stdout == "shipping\t0.5000\nbilling\t0.5000\n"


def test_labels_are_the_options_of_a_choice(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": {"spam": 0.9, "not spam": 0.1}}))
    assert decide("-l", " spam, not spam,").exit_code == 0
    question = {
        "type": "choice",
        "instructions": "Which of these fits best?",
        "criteria": {"spam": None, "not spam": None},
    }
    assert asked(openrouter)["questions"] == {"question": question}


def test_scale_gives_a_score_and_the_probability_of_each_level(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": [0.1, 0.6, 0.3]}))
    result = decide("How angry?", "--scale", "calm,cross,furious")
    assert result.stdout == "score\t1.2000\ncalm\t0.1000\ncross\t0.6000\nfurious\t0.3000\n"
    assert asked(openrouter)["questions"]["question"]["criteria"] == ["calm", "cross", "furious"]


def test_answers_to_a_file_are_printed_with_the_names_of_the_questions(openrouter: ScriptedOpenRouter, tmp_path: Path):
    file = tmp_path / "questions.json"
    team = {"type": "choice", "instructions": "Who?", "criteria": {"billing": "payments", "other": None}}
    file.write_text(json.dumps({"urgent": "Is it urgent?", "team": team}))
    answer(openrouter, decisions({"urgent": 0.6, "team": {"billing": 0.8, "other": 0.2}}))
    result = decide("--questions", str(file))
    assert result.stdout.splitlines() == [
        "urgent\tyes\t0.6000",
        "urgent\tno\t0.4000",
        "team\tbilling\t0.8000",
        "team\tother\t0.2000",
    ]
    assert asked(openrouter)["questions"]["team"] == team


def test_json_is_the_whole_reply_with_its_cost(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": 0.93}, cost=7e-6))
    reply = json.loads(decide("Is this urgent?", "--json").stdout)
    assert reply["answers"] == {"question": {"type": "noul", "noul": 0.93}}
    assert (reply["cost"], reply["provider"], reply["calibrated"]) == (7e-6, "Liquid", True)


def test_cost_and_model_go_to_stderr_and_into_the_ledger(openrouter: ScriptedOpenRouter):
    answer(openrouter, decisions({"question": 0.93}, cost=7e-6, input_tokens=350))
    result = decide("Is this urgent?")
    assert "350 tokens · " in result.stderr
    assert "US$ 0.000007 · liquid/d1.2 · Liquid" in result.stderr
    ledger = Ledger()
    ledger.flush(60)
    (row,) = ledger.usage(["app", "source", "model"], since=0)
    assert (row.key, float(row.cost)) == (("lfm decide", "decide", "liquid/d1.2"), 7e-6)


def test_text_files_and_images_are_the_state(openrouter: ScriptedOpenRouter, tmp_path: Path):
    (tmp_path / "mail.txt").write_text("Twice!")
    (tmp_path / "receipt.png").write_bytes(PNG)
    (tmp_path / "b.md").write_text("Once!")
    decide("Paid?", "-f", str(tmp_path / "mail.txt"), stdin="")
    assert asked(openrouter)["state"] == "Twice!"
    decide("Paid?", "-f", str(tmp_path / "mail.txt"), "-f", str(tmp_path / "b.md"))
    assert asked(openrouter)["state"] == f"{MAIL}\n\nmail.txt:\n\nTwice!\n\nb.md:\n\nOnce!"
    decide("Paid?", "-f", str(tmp_path / "receipt.png"))
    text, image = asked(openrouter)["state"]
    assert (text, image["image_url"]["url"]) == (MAIL, "data:image/png;base64,iVBORw0KGgo=")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Ask something"),
        (["-"], "Ask something"),
        (["Who?", "--labels", "one"], "`--labels` needs 2 to 255 names, separated by commas; got 1"),
        (["Who?", "--labels", ",".join(map(str, range(300)))], "got 300"),
        (["Who?", "--labels", "a,b,a"], "`--labels` has a name twice"),
        (["How?", "--scale", ",".join(map(str, range(11)))], "`--scale` needs 2 to 10 names"),
        (["How?", "--scale", "a,b", "--labels", "a,b"], "one of `--labels` and `--scale`"),
        (["How?", "--questions", "file"], "leave out QUESTION"),
        (["How?", "--local", "--model", "d1"], "`--local` and `--gguf` choose the model"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_sent(
    openrouter: ScriptedOpenRouter, arguments: list[str], reason: str
):
    result = decide(*arguments)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())
    assert openrouter.requests == []


def test_nothing_to_decide_about_says_how_to_name_it(openrouter: ScriptedOpenRouter):
    result = decide("Is this urgent?", stdin=" \n")
    assert (result.exit_code, openrouter.requests) == (2, [])
    assert "nothing to decide about: pipe a text in, or name a file with `--file`" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must be a JSON object with questions"),
        ("{}", "must be a JSON object with questions"),
        ('{"a": {"type": "yes"}}', "The question 'a' has the type 'yes'"),
        ('{"a": {"type": "choice", "instructions": "Who?"}}', "The question 'a' needs `criteria`"),
    ],
)
def test_malformed_questions_are_one_line(openrouter: ScriptedOpenRouter, tmp_path: Path, content: str, reason: str):
    file = tmp_path / "questions.json"
    file.write_text(content)
    result = decide("--questions", str(file))
    assert (result.exit_code, len(result.stderr.splitlines()), openrouter.requests) == (1, 1, [])
    assert reason in result.stderr


def test_chat_model_answers_and_says_what_its_probabilities_are_worth(openrouter: ScriptedOpenRouter):
    top = [{"token": "Yes", "logprob": math.log(0.75)}, {"token": "No", "logprob": math.log(0.25)}]
    logprobs = {"content": [{"token": "Yes", "logprob": -0.3, "top_logprobs": top}]}
    openrouter.add(completion("Yes", choice={"logprobs": logprobs}, usage=token_usage(40, 1, cost=7e-6)))
    result = decide("Is this urgent?", "-m", "lfm-3-1.7b")
    assert result.stdout == "yes\t0.7500\nno\t0.2500\n"
    assert "40 tokens" in result.stderr
    assert "a chat model, whose probabilities say little about how often it is right" in result.stderr


def test_chat_model_without_log_probabilities_gives_the_label_alone(openrouter: ScriptedOpenRouter):
    openrouter.default = lambda request: completion('{"question": "other"}' if "other" in str(request.body) else "?")
    result = decide("Who?", "-l", "billing,other", "-m", "lfm-3-1.7b")
    assert result.stdout == "other\n"


def test_chat_with_a_decision_model_names_this_command(openrouter: ScriptedOpenRouter):
    result = CliRunner().invoke(app, ["chat", "-m", "d1.2", "Is this urgent?"])
    assert (result.exit_code, openrouter.requests) == (1, [])
    assert "Use `lfm decide`." in result.stderr


@pytest.mark.parametrize(("typed", "completes"), [("d1", True), ("lfm", False)])
def test_shell_completes_decision_models(typed: str, completes: bool):
    words = {"_LFM_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"lfm decide -m {typed}"}
    result = CliRunner().invoke(app, env=words, prog_name="lfm")
    assert ("d1.2" in result.stdout) is completes
    assert "lfm-3-1.7b" not in result.stdout


def test_without_a_key_no_demo_answers_by_itself():
    result = decide("Is this urgent?")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "lfm keys set" in result.stderr


def test_refusal_of_the_server_is_one_line(openrouter: ScriptedOpenRouter):
    answer(openrouter, error(402, "Insufficient credits"))
    result = decide("Is this urgent?")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)


def test_received_answers_are_shown_although_others_are_missing(openrouter: ScriptedOpenRouter, tmp_path: Path):
    file = tmp_path / "questions.json"
    file.write_text('{"urgent": "Is it urgent?", "angry": "Is it angry?"}')
    answer(openrouter, decisions({"urgent": 0.6}))
    result = decide("--questions", str(file))
    assert result.exit_code == 1
    assert "yes\t0.6000" in result.stdout
    assert "the answer to 'angry' is missing" in result.stderr


def test_label_with_line_breaks_is_printed_on_one_line(openrouter: ScriptedOpenRouter, tmp_path: Path):
    file = tmp_path / "questions.json"
    label = "two\nlines\tand a tab"
    criteria = {label: None, "other": None}
    file.write_text(json.dumps({"q": {"type": "choice", "instructions": "Which?", "criteria": criteria}}))
    answer(openrouter, decisions({"q": {label: 0.8, "other": 0.2}}))
    assert decide("--questions", str(file)).stdout == "two lines and a tab\t0.8000\nother\t0.2000\n"


@pytest.mark.parametrize("width", [20, 30, 44, 80, 200])
def test_each_bar_has_its_number_on_a_terminal_of_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    show_answers({"team": ChoiceAnswer("payments " * 8, {"payments " * 8: 1.0, "b": 0.0}, 1.0)})
    first, second, _ = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert (first.split()[-1], second.split()[-1]) == ("100%", "0%")
    assert len(first) <= width


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_terminal_shows_bars_and_no_control_characters(openrouter: ScriptedOpenRouter, tmp_path: Path):
    from tests.support.terminal import Terminal

    (tmp_path / "mail.txt").write_text(MAIL)
    file = tmp_path / "questions.json"
    labels = {"bill\x1b[31ming": None, "[red]": None} | {f"label {number}": None for number in range(28)}
    team = {"type": "choice", "instructions": "Who?", "criteria": labels}
    anger = {"type": "score", "instructions": "How?", "criteria": ["calm", "x" * 100]}
    file.write_text(json.dumps({"urgent": "Is it urgent?", "team": team, "anger": anger}))
    probabilities = dict.fromkeys(labels, 0.0) | {"bill\x1b[31ming": 0.75, "[red]": 0.25}
    answer(openrouter, decisions({"urgent": 0.5, "team": probabilities, "anger": [0.25, 0.75]}))
    with Terminal("decide", "--questions", str(file), "-f", str(tmp_path / "mail.txt")) as terminal:
        assert terminal.wait() == 0
    lines = [" ".join(line.split()) for line in terminal.shown.splitlines()]
    assert f"yes {'█' * 15} 50%" in lines
    assert any(line.startswith("bill[31ming █") and line.endswith(" 75%") for line in lines)
    assert any(line.startswith("[red] █") for line in lines)
    assert "and 10 less probable ones" in lines
    assert "score 0.75 from 0 to 1 · confidence 0.50" in lines
    assert all(len(line) <= 80 for line in lines)
