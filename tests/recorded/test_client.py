"""LFMClient's other endpoints, from cassettes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient

if TYPE_CHECKING:
    from tests.support.recording import Service

pytestmark = [pytest.mark.vcr, pytest.mark.scripted()]


def test_models(service: Service):
    models = LFMClient(base_url=service.base_url).list_models()
    assert any(model["id"].startswith("liquid/") for model in models)


async def test_endpoints_async(service: Service):
    model = await AsyncLFMClient(base_url=service.base_url).list_endpoints("liquid/lfm-2.5-2.6b:free")
    assert model["endpoints"][0]["provider_name"] == "Liquid"


def test_key(service: Service):
    key = LFMClient(base_url=service.base_url, api_key=service.api_key).key_info()
    assert "limit_remaining" in key


def test_refresh(service: Service):
    cards = {card.id: card for card in LFMClient(base_url=service.base_url).refresh_catalog()}
    assert cards["liquid/lfm-3b"].status == "retired"
    assert any(card.endpoints for card in cards.values())
