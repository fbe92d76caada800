"""The models that the gateway lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter.apps.gateway.models import LocalModel

if TYPE_CHECKING:
    from tests.support.gateway_thread import GatewayThread


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/"])
def test_every_row_has_what_apps_need(gateway: GatewayThread, path: str):
    """LibreChat takes contexts and prices only if every row has them."""
    rows = gateway.request("GET", path).body["data"]
    assert {"lfm-3b", "lfm-3-1.7b", "lfm-3-1.7b:free", "lfm-2.5-2.6b:free"} <= {row["id"] for row in rows}
    for row in rows:
        assert isinstance(row["context_length"], int)
        assert isinstance(row["pricing"]["prompt"], str)
        assert isinstance(row["pricing"]["completion"], str)
        assert row["name"]
        assert "tools" in row["supported_parameters"]


@pytest.mark.parametrize("name", ["lfm-3b", "liquid/lfm-3b"])
def test_one_model_is_found_by_each_of_its_names(gateway: GatewayThread, name: str):
    row = gateway.request("GET", f"/v1/models/{name}").body
    assert (row["id"], row["context_length"], row["pricing"]["prompt"]) == (name, 32768, "0.00000002")


def test_unknown_model_is_404(gateway: GatewayThread):
    assert gateway.request("GET", "/v1/models/nope").status == 404


def test_model_info_leaves_room_for_the_prompt(gateway: GatewayThread):
    """Roo Code asks for all the output tokens that it is told of."""
    for row in gateway.request("GET", "/v1/model/info").body["data"]:
        info = row["model_info"]
        assert 0 < info["max_output_tokens"] <= info["max_input_tokens"] // 4


def test_posting_to_the_base_url_says_what_it_is(gateway: GatewayThread):
    answer = gateway.request("POST", "/v1", {})
    assert answer.status == 404
    assert f"{gateway.base_url}/chat/completions" in answer.error["message"]


def test_model_on_this_machine_answers_to_every_name():
    models = LocalModel("local/my-lfm", 8192, 512)
    assert models.route("lfm-3b").models == models.route("liquid/lfm-3-1.7b:free").models == ("local/my-lfm",)
    assert [row["id"] for row in models.listing()] == ["local/my-lfm"]
    assert models.listing()[0]["pricing"]["prompt"] == "0"
    assert models.listing("embeddings") == []
