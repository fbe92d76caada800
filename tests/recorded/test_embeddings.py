"""LFMEmbeddings and the clients against cassettes: what the vectors look like on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lfm_adapter import AsyncLFMClient, LFMClient, LFMEmbeddings, errors
from lfm_adapter.testing import embeddings, error

if TYPE_CHECKING:
    from tests.support.recording import Service

pytestmark = pytest.mark.vcr

PATH = "/embeddings"
TEXTS = ["Oslo is in Norway.", "Lyon is in France."]
TOO_LONG = "This model's maximum context length is 512 tokens. However, you requested 600 tokens."


@pytest.mark.scripted(embeddings([0.6, 0.8], [1, 0], prompt_tokens=14), path=PATH)
def test_documents(service: Service):
    model = LFMEmbeddings(base_url=service.base_url, api_key=service.api_key, app_title="My app")
    first, second = model.embed_documents(TEXTS)
    assert len(first) == len(second)
    assert {type(number) for number in first + second} == {float}


@pytest.mark.scripted(embeddings([0.6, 0.8], prompt_tokens=7), path=PATH)
async def test_query_async(service: Service):
    model = LFMEmbeddings(base_url=service.base_url, api_key=service.api_key)
    assert await model.aembed_query("Which city is Norwegian?")


@pytest.mark.scripted(embeddings("mpkZP83MTD8=", prompt_tokens=7), path=PATH, always=True)
def test_base64(service: Service):
    client = LFMClient(base_url=service.base_url, api_key=service.api_key)
    (vector,) = client.embed("Oslo is in Norway.", role="document").vectors
    assert vector == pytest.approx([0.6, 0.8])


@pytest.mark.scripted(error(400, TOO_LONG), path=PATH, always=True)
async def test_text_that_is_too_long(service: Service):
    client = AsyncLFMClient(base_url=service.base_url, api_key=service.api_key)
    with pytest.raises(errors.ContextWindowExceededError):
        await client.embed("日本語" * 300, role="document")  # no spaces: the lower bound of its tokens is 1


@pytest.mark.from_local_model(embeddings=True)
def test_local_model(service: Service):
    client = LFMClient(model="local/smollm2-135m-instruct", base_url=service.base_url, api_key=service.api_key)
    reply = client.embed("Oslo is in Norway.", role="document")
    assert (len(reply.vectors[0]), reply.model) == (576, "local/smollm2-135m-instruct")
    assert sum(number * number for number in reply.vectors[0]) == pytest.approx(1, abs=1e-5)
