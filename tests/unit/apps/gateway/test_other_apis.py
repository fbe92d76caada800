"""The smaller addresses of the gateway: completions, the key and its credit, metrics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from lfm_adapter.apps.gateway.limits import Limits
from lfm_adapter.ledger import Budget, Ledger
from lfm_adapter.testing import ScriptedOpenRouter, completion, error, stream, token_usage
from tests.support.gateway_thread import GatewayThread

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = {"model": "lfm-3-1.7b", "prompt": "Water is"}


class TestCompletions:
    def test_prompt_is_sent_as_a_user_message(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(completion(" wet."))
        answer = gateway.request("POST", "/v1/completions", PROMPT | {"max_tokens": 5})
        assert answer.body["object"] == "text_completion"
        assert answer.body["choices"][0]["text"] == " wet."
        assert openrouter.requests[0].body["messages"] == [{"role": "user", "content": "Water is"}]
        assert openrouter.requests[0].body["max_tokens"] == 5

    def test_stream(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        openrouter.add(stream([" we", "t."]))
        answer = gateway.request("POST", "/v1/completions", PROMPT | {"stream": True})
        assert "".join(event["choices"][0]["text"] for event in answer.events) == " wet."
        assert answer.events[-1]["choices"][0]["finish_reason"] == "stop"
        assert answer.events[-1]["usage"]["prompt_tokens"] == 9

    @pytest.mark.parametrize("wrong", [{"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"suffix": "x"}, {"echo": True}])
    def test_what_a_chat_model_cannot_do_is_refused(self, gateway: GatewayThread, wrong: dict[str, Any]):
        assert gateway.request("POST", "/v1/completions", PROMPT | wrong).status == 400


def test_key_and_credits_are_those_of_the_gateways_day(openrouter: ScriptedOpenRouter, tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.db")
    limits = Limits(Budget(2, per="day", name="gateway"), ledger=ledger)
    openrouter.add(completion(usage=token_usage(cost=0.5)))
    with GatewayThread(openrouter.base_url, ledger=ledger, limits=limits) as gateway:
        gateway.chat(max_tokens=5)
        key = gateway.request("GET", "/v1/key").body["data"]
        assert (key["limit"], key["usage"], key["limit_remaining"]) == (2, 0.5, 1.5)
        credits_ = gateway.request("GET", "/api/v1/credits").body["data"]
        assert credits_ == {"total_credits": 2, "total_usage": 0.5}


class TestMetrics:
    def test_metrics_have_the_names_of_genai(self, gateway: GatewayThread, openrouter: ScriptedOpenRouter):
        pytest.importorskip("prometheus_client", reason="needs the extra `gateway`")
        openrouter.add(stream(model="liquid/lfm-3-1.7b"), error(400, "No"))
        gateway.chat(stream=True, headers={"X-Title": "Mantella"})
        gateway.chat()
        lines = gateway.request("GET", "/metrics").text.splitlines()
        labels = (
            'gen_ai_operation_name="chat",gen_ai_provider_name="openrouter",gen_ai_request_model="liquid/lfm-3-1.7b",'
        )
        served = labels + 'gen_ai_response_model="liquid/lfm-3-1.7b"'
        duration = [line for line in lines if line.startswith("gen_ai_server_request_duration_seconds_count")]
        assert {line.rpartition(" ")[2] for line in duration} == {"1.0"}
        assert any('app="Mantella"' in line and 'error_type=""' in line for line in duration)
        assert any('error_type="bad_request"' in line for line in duration)
        assert any(
            line.startswith("gen_ai_server_time_to_first_token_seconds_count{") and served in line for line in lines
        )
        assert any(line.startswith("gen_ai_client_token_usage_sum{") and line.endswith(" 9.0") for line in lines)
        assert any(line.startswith("lfm_gateway_cost_usd_total{") and line.endswith(" 2.8e-07") for line in lines)

    def test_other_servers_are_told_from_openrouter(self):
        pytest.importorskip("prometheus_client", reason="needs the extra `gateway`")
        with ScriptedOpenRouter(completion(), path="/v1") as server, GatewayThread(server.base_url) as gateway:
            gateway.chat()
            assert 'gen_ai_provider_name="openai_compatible"' in gateway.request("GET", "/metrics").text

    def test_need_the_key(self, gateway: GatewayThread):
        assert gateway.request("GET", "/metrics", key="").status == 401

    def test_metrics_need_prometheus_client(self, openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with GatewayThread(openrouter.base_url) as gateway:
            answer = gateway.request("GET", "/metrics")
        assert answer.status == 501
        assert 'pip install "lfm-adapter[gateway]"' in answer.error["message"]
