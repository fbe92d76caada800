"""Typed questions through the gateway: the same access, ledger, budgets, attribution and hang-up as chats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter import LFMClient
from lfm_adapter.apps.gateway.limits import parse_limits
from lfm_adapter.apps.gateway.models import CatalogModels
from lfm_adapter.ledger import Ledger
from lfm_adapter.testing import Break, completion, decisions, error
from tests.support.gateway_thread import KEY, GatewayThread

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

PATH = "/alpha/decisions"
PNG = "data:image/png;base64,iVBORw0KGgo="
TEAM = {"type": "choice", "instructions": "Who?", "criteria": {"billing": "payments", "other": None}}


@pytest.mark.parametrize("path", ["/v1/systemone", "/systemone", "/api/v1/systemone", "/api/alpha/decisions", PATH])
def test_questions_are_answered_at_the_addresses_of_all_clients(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, path: str
):
    openrouter.add(decisions({"urgent": 0.93}, cost=7e-6, input_tokens=350), path=PATH)
    answer = gateway.decide(path, model="liquid/d1.2")
    assert answer.status == 200
    assert answer.body["answers"] == {"urgent": {"type": "noul", "noul": 0.93}}
    assert answer.body["usage"] == {"input_tokens": 350, "output_tokens": 0, "cost": 7e-6}
    assert (answer.body["provider"], answer.headers["X-LFM-Model"]) == ("Liquid", "liquid/d1.2")
    assert answer.headers["X-Generation-Id"] == answer.body["id"]
    assert openrouter.requests[0].body["state"] == "It is on fire."


def test_what_openrouter_leaves_out_is_completed(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"team": {"billing": 0.8, "other": 0.2}, "level": [0.5, 0.5]}, cost=None), path=PATH)
    level = {"type": "score", "instructions": "How?", "criteria": ["calm", "cross"]}
    body = gateway.decide(model="d1.2", questions={"team": TEAM, "level": level}).body
    assert body["answers"]["team"]["confidence"] == pytest.approx(0.6)
    assert body["answers"]["level"]["legend"] == {"0": "calm", "1": "cross"}
    assert body["usage"]["cost"] == pytest.approx(147 * 2e-8)


def test_our_own_client_reaches_it(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}), path=PATH)
    client = LFMClient(base_url=gateway.base_url, api_key=KEY)
    assert client.decide("It is on fire.", {"urgent": "Urgent?"}).nouls["urgent"].yes


def test_default_is_a_decision_model(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}), path=PATH)
    assert gateway.decide().headers["X-LFM-Model"] == openrouter.requests[0].body["model"] == "liquid/d1.2"


def test_routing_and_trace_are_passed_on(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}), path=PATH)
    fields: dict[str, Any] = {"provider": {"data_collection": "deny"}, "session_id": "s-1", "user": "u-1"}
    assert gateway.decide(**fields, stream=True).status == 200
    sent = openrouter.requests[0].body
    assert {name: sent[name] for name in fields} == fields
    assert "stream" not in sent


def test_box_is_found_in_an_asset_that_the_state_names(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    box = {"type": "box", "box": {"top": 0.1, "left": 0.2, "bottom": 0.3, "right": 0.4}}
    openrouter.add(decisions({"where": box}), path=PATH)
    question = {"where": {"type": "box", "instructions": "Where is the total?"}}
    assets = {"receipt": {"type": "image", "format": "png", "data_base64": "iVBORw0KGgo="}}
    answer = gateway.decide(state=["receipt"], questions=question, assets=assets)
    assert answer.body["answers"]["where"]["box"] == box["box"]
    assert openrouter.requests[0].body["assets"] == assets


@pytest.mark.parametrize(
    "fields",
    [{"images": [PNG]}, {"images": [{"content_type": "image/png", "base64": "iVBORw0KGgo="}]}, {"files": [PNG]}],
)
def test_images_of_other_servers_clients_go_where_openrouter_reads_them(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, fields: dict[str, Any]
):
    openrouter.add(decisions({"urgent": 0.93}), path=PATH)
    assert gateway.decide(**fields).status == 200
    sent = openrouter.requests[0].body
    assert {"type": "image_url", "image_url": {"url": PNG}} in sent["state"]
    assert "It is on fire." in sent["state"]
    assert not {"images", "files"} & sent.keys()


@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        (
            {"model": "lfm-3-1.7b"},
            400,
            "lfm-3-1.7b is a chat model, not a decision model. Ask it at /v1/chat/completions.",
        ),
        ({"model": "typesafe/jev-1.13"}, 404, "The model 'typesafe/jev-1.13' does not exist here. Known: d1.2-ultra"),
        ({"model": 3}, 400, "`model` must be a string."),
        ({"state": None}, 400, "`state` must be a string"),
        ({"state": ""}, 400, "`state` is empty"),
        ({"questions": {}}, 400, "`questions` must be a dict with at least one question"),
        ({"questions": {"urgent": {"type": "yes"}}}, 400, "The question 'urgent' has the type 'yes'"),
        ({"images": [3]}, 400, "Each of `images` must be a data URL"),
    ],
)
def test_invalid_questions_are_refused_at_no_cost(
    gateway: GatewayThread, openrouter: ScriptedOpenRouter, fields: dict[str, Any], status: int, told: str
):
    answer = gateway.decide(**fields)
    assert (answer.status, openrouter.requests) == (status, [])
    assert told in answer.error["message"] or told.partition(" Known")[0] in answer.error["message"]


def test_chat_with_a_decision_model_says_where_to_ask_it(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    answer = gateway.chat("d1.2")
    assert (answer.status, answer.error["code"], openrouter.requests) == (400, "wrong_endpoint", [])
    assert answer.error["message"] == "d1.2 is a decision model, not a chat model. Ask it at /v1/systemone."


def test_key_is_asked_for(gateway: GatewayThread):
    assert gateway.request("POST", "/v1/systemone", {}, key="wrong").status == 401


def test_no_other_model_answers_in_its_place(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(*[error(502, "Down")] * 2, path=PATH)
    assert gateway.decide(model="d1.2").status == 502
    assert [request.body["model"] for request in openrouter.requests] == ["liquid/d1.2"] * 2


def test_second_attempt_may_succeed(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(error(503, "Busy"), decisions({"urgent": 0.93}), path=PATH)
    assert gateway.decide().status == 200


def test_decision_is_recorded_and_limited_by_its_budget(openrouter: ScriptedOpenRouter, tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    limits = parse_limits(["d1.2=0.5"], [], model_id=CatalogModels().model_id, ledger=ledger)
    openrouter.add(decisions({"urgent": 0.93}, cost=0.5, input_tokens=350), path=PATH)
    openrouter.add(completion())
    with GatewayThread(openrouter.base_url, ledger=ledger, limits=limits) as gateway:
        assert gateway.decide(headers={"X-Title": "Mantella"}).status == 200
        refused = gateway.decide()
        assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
        assert gateway.chat().status == 200
        metrics = gateway.request("GET", "/metrics").text
    first = min(ledger.calls(), key=lambda call: call.time)
    assert (first.app, first.source, first.model, first.status) == ("Mantella", "gateway", "liquid/d1.2", "ok")
    assert (first.prompt_tokens, float(first.cost or 0)) == (350, 0.5)
    assert 'gen_ai_operation_name="decide"' in metrics


def test_clients_app_is_credited(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}), path=PATH)
    gateway.decide(headers={"HTTP-Referer": "https://example.com", "X-Title": "Triage"})
    sent = openrouter.requests[0].headers
    assert (sent["http-referer"], sent["x-title"]) == ("https://example.com", "Triage")


def test_hang_up_ends_the_request_upstream(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}).broken(0, Break.SILENCE), path=PATH)
    body = {"state": "x", "questions": {"urgent": {"type": "noul", "instructions": "Urgent?"}}}
    with gateway.begin("POST", "/v1/systemone", body):
        openrouter.wait_for_requests(1)
    assert openrouter.requests[0].abandoned.wait(30)


def test_answer_that_takes_too_long_is_504(openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"urgent": 0.93}).broken(0, Break.SILENCE), path=PATH)
    with GatewayThread(openrouter.base_url, wait_s=0.2) as gateway:
        answer = gateway.decide()
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert "stream" not in answer.error["message"]


def test_answers_that_do_not_fit_are_502_with_the_reason(gateway: GatewayThread, openrouter: ScriptedOpenRouter):
    openrouter.add(decisions({"other": 0.5}), path=PATH)
    answer = gateway.decide()
    assert answer.status == 502
    assert "the answer to 'urgent' is missing" in answer.error["message"]


def test_decision_models_are_listed_where_they_are_asked_for(gateway: GatewayThread):
    def ids(query: str) -> set[str]:
        return {row["id"] for row in gateway.request("GET", f"/v1/models{query}").body["data"]}

    assert not any(name.startswith("d1") for name in ids(""))
    assert {"d1", "d1.2"} <= ids("?output_modalities=decisions")
    assert "lfm-3-1.7b" not in ids("?output_modalities=decisions")
    assert {"d1.2", "lfm-3-1.7b", "lfm-2.5-embedding-350m:free"} <= ids("?output_modalities=all")
    row = gateway.request("GET", "/v1/models/liquid/d1.2").body
    assert row["architecture"]["output_modalities"] == ["decisions"]
    assert row["pricing"]["prompt"] == "0.00000002"
