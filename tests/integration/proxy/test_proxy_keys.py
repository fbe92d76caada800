"""A team behind LiteLLM's Proxy without Postgres: a key for each person, with models and limits of their own."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from lfm_adapter.apps.proxy.keys import add_key
from lfm_adapter.testing import ScriptedOpenRouter, completion, stream, token_usage
from tests.support.litellm_proxy import INSTALLED, NOT_INSTALLED, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfm_adapter.testing import RecordedRequest, ScriptedReply

pytestmark = pytest.mark.skipif(not INSTALLED, reason=NOT_INSTALLED)


def respond(request: RecordedRequest) -> ScriptedReply:
    """OpenRouter, which charges half a dollar for each answer."""
    usage = token_usage(9, 5, cost=0.5)
    return stream("Hello!", usage=usage) if request.body.get("stream") else completion("Hello!", usage=usage)


class Team:
    """A file of keys, and the keys."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.keys = {name: add_key(file, name) for name in ("ada", "bob", "cyd", "dee")}
        self.change("bob", models=["lfm-3-1.7b:free"])
        self.change("cyd", rpm=2)
        self.change("dee", daily_budget_usd=1)

    def change(self, name: str, **limits: object) -> None:
        content = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        next(person for person in content["people"] if person["name"] == name).update(limits)
        self.file.write_text(yaml.safe_dump(content), encoding="utf-8")

    def remove(self, name: str) -> None:
        content = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        content["people"] = [person for person in content["people"] if person["name"] != name]
        self.file.write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture(scope="module")
def openrouter() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(default=respond, path="/api/v1") as server:
        yield server


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team(tmp_path_factory.mktemp("team") / "keys.yaml")


@pytest.fixture(scope="module")
def proxy(openrouter: ScriptedOpenRouter, team: Team, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    options = ("--keys", str(team.file), "--budget-usd", "1000")
    with Proxy(openrouter.base_url, tmp_path_factory.mktemp("proxy"), options) as proxy:
        yield proxy


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_persons_key_works_and_others_do_not(proxy: Proxy, team: Team, path: str):
    asks = {"path": path, "model": "lfm-3-1.7b", "max_tokens": 50}
    assert proxy.ask(team.keys["ada"], **asks)[0] == 200
    assert proxy.ask(proxy.key, **asks)[0] == 200
    for wrong in ("", "sk-made-up", "é", "x" * 5_000):
        assert proxy.ask(wrong.encode().decode("latin-1"), **asks)[0] == 401


def test_person_may_ask_only_for_models_of_the_entry(proxy: Proxy, team: Team, openrouter: ScriptedOpenRouter):
    key = team.keys["bob"]
    assert proxy.ask(key, model="lfm-3-1.7b:free")[0] == 200
    assert proxy.ask(key, model="liquid/lfm-3-1.7b:free")[0] == 200
    openrouter.requests.clear()
    free, paid = "lfm-3-1.7b:free", "liquid/lfm-3-1.7b"
    for fields in (
        {"model": "lfm-3-1.7b"},
        {"model": paid},
        {"model": free, "fallbacks": ["lfm-3-1.7b"], "disable_fallbacks": False},
        {"model": free, "models": [paid]},
        {"model": free, "extra_body": {"model": paid}},
        {"model": free, "extra_body": {"models": [paid]}},
        {"model": free, "extra_body": {"extra_body": {"model": paid}}},
    ):
        status, text, _ = proxy.ask(key, **fields)
        assert status == 403
        assert "bob may not use" in text
    assert openrouter.requests == []
    listed = json.loads(proxy.request("GET", "/v1/models", key=key)[1])["data"]
    assert [model["id"] for model in listed] == [free]


def test_no_key_reaches_another_model_through_extra_body(proxy: Proxy, team: Team, openrouter: ScriptedOpenRouter):
    openrouter.requests.clear()
    for key in (team.keys["ada"], proxy.key):
        for extra in ({"model": "acme/large"}, {"extra_body": {"model": "acme/large"}}):
            assert proxy.ask(key, model="lfm-3-1.7b", extra_body=extra)[0] == 400
    assert openrouter.requests == []


def test_text_completions_count_by_what_was_charged(proxy: Proxy, team: Team):
    asked = json.dumps({"model": "lfm-3-1.7b", "prompt": "Hi", "max_tokens": 50}).encode()
    told = proxy.log().count("US$ 0.500000")
    assert proxy.answer("POST", "/v1/completions", asked, key=team.keys["ada"])[0] == 200
    deadline = time.monotonic() + 20
    while proxy.log().count("US$ 0.500000") == told:  # it is logged behind the answer
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_persons_requests_a_minute_are_limited(proxy: Proxy, team: Team):
    replies = [proxy.ask(team.keys["cyd"], model="lfm-3-1.7b") for _ in range(5)]  # two minutes allow four
    status, _, headers = next(reply for reply in replies if reply[0] != 200)
    assert status == 429
    assert 0 < int(headers["retry-after"]) <= 60
    assert proxy.ask(team.keys["ada"], model="lfm-3-1.7b")[0] == 200


@pytest.mark.parametrize("streamed", [False, True])
def test_persons_budget_counts_what_openrouter_charged(proxy: Proxy, team: Team, streamed: bool):
    team.change("dee", daily_budget_usd=3 if streamed else 1)  # the first half has spent 1 to 2
    replies = [proxy.ask(team.keys["dee"], model="lfm-3-1.7b", stream=streamed) for _ in range(20)]
    statuses = [status for status, _, _ in replies]
    assert statuses[0] == 200
    status, text, headers = replies[-1]
    assert status == 429
    assert "dee has spent US$" in text
    assert 0 < int(headers["retry-after"]) <= 24 * 60 * 60
    assert proxy.ask(team.keys["ada"], model="lfm-3-1.7b")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics/"), ("GET", "/model/info"), ("GET", "/health"), ("GET", "/config/yaml"), ("GET", "/v1/files"),
        ("POST", "/key/generate"), ("POST", "/model/new"), ("POST", "/config/update"), ("POST", "/cache/flushall"),
        ("POST", "/v1/chat/completions/../../../key/generate"), ("POST", "/openrouter/v1/chat/completions"),
    ],
)  # fmt: skip
def test_only_the_master_key_opens_more_than_the_apis(proxy: Proxy, team: Team, method: str, path: str):
    body = b"{}" if method == "POST" else None
    assert proxy.request(method, path, body, key=team.keys["ada"])[0] in {401, 403, 404}


def test_names_are_in_metrics_and_log(proxy: Proxy, team: Team):
    proxy.ask(team.keys["ada"], model="lfm-3-1.7b")
    status, metrics = proxy.request("GET", "/metrics/")
    assert status == 200
    spent = [
        line for line in metrics.splitlines() if line.startswith("litellm_spend_metric_total{") and '"ada"' in line
    ]
    assert spent
    assert "ada asked lfm-3-1.7b: 14 tokens, US$ 0.500000" in proxy.log()
    assert not any(key in metrics + proxy.log() for key in team.keys.values())


def test_removed_key_no_longer_works_and_a_broken_file_opens_nothing(openrouter: ScriptedOpenRouter, tmp_path: Path):
    own = Team(tmp_path / "keys.yaml")
    with Proxy(openrouter.base_url, tmp_path, ("--keys", str(own.file), "--budget-usd", "1000")) as proxy:
        assert proxy.ask(own.keys["ada"], model="lfm-3-1.7b")[0] == 200
        own.remove("ada")
        assert proxy.ask(own.keys["ada"], model="lfm-3-1.7b")[0] == 401
        assert proxy.ask(own.keys["cyd"], model="lfm-3-1.7b")[0] == 200
        own.file.write_text("people: 5", encoding="utf-8")
        assert proxy.ask(own.keys["cyd"], model="lfm-3-1.7b")[0] == 503
        assert proxy.ask(proxy.key, model="lfm-3-1.7b")[0] == 200
