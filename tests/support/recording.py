"""What answers while a cassette is recorded, and what does when it is played.

    pytest tests/recorded --record-mode=rewrite

records from OpenRouter when `OPENROUTER_API_KEY` is set, and otherwise from what the test's marker names. A test that
is marked `vcr` asks for the `service` fixture and passes its `base_url` and `api_key` to the code under test: the
same test records and replays. The code under test always sees OpenRouter's own address, since some of what it sends
depends on it; while something else answers, the transports carry its requests there.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import pytest

from lfm_adapter._transport.aiohttp import AiohttpTransport
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.testing import ScriptedOpenRouter
from tests.support.cassette_format import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfm_adapter.types import HTTPRequest

__all__ = ["MARKERS", "PROVENANCE", "Service", "provenance_of", "recording_service", "replayed_service"]

MARKERS = (
    (
        "scripted(*replies, path='/chat/completions', responder=None, always=False): what answers while a cassette is "
        "recorded and `OPENROUTER_API_KEY` is not set; `always`: also when it is, for what OpenRouter does not do when "
        "asked"
    ),
    "from_local_model(embeddings=False, decisions=False): the embedded model answers while a cassette is recorded",
)

PROVENANCE = re.compile(
    r"(OpenRouter"
    r"|local model SmolLM2-135M-Instruct, llama\.cpp \(xllamacpp [\d.]+\)"
    r"|scripted server \(lfm_adapter\.testing\)"
    r"), \d{4}-\d{2}-\d{2}"
)

# Read before the tests clear the environment.
_REAL_KEY = os.environ.get("OPENROUTER_API_KEY")


class Source(Enum):
    """What may answer while a cassette is recorded."""

    OPENROUTER = auto()
    LOCAL_MODEL = auto()
    SCRIPT = auto()


@dataclass(frozen=True)
class Service:
    """Where a test sends its requests.

    Attributes:
        base_url: To be given to the client.
        api_key: To be given to the client.
    """

    base_url: str
    api_key: str = field(repr=False)


replayed_service = Service(ORIGIN, "test-key")


def provenance_of(node: pytest.Item) -> str:
    """The first line of the cassette that `node` records today."""
    match _source_of(node):
        case Source.OPENROUTER:
            source = "OpenRouter"
        case Source.LOCAL_MODEL:
            llama_cpp = f"llama.cpp (xllamacpp {importlib.metadata.version('xllamacpp')})"
            source = f"local model SmolLM2-135M-Instruct, {llama_cpp}"
        case Source.SCRIPT:
            source = "scripted server (lfm_adapter.testing)"
    return f"{source}, {dt.datetime.now(dt.UTC).date()}"


@contextmanager
def recording_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Run what answers while the test of `request` is recorded."""
    source = _source_of(request.node)
    if source is Source.OPENROUTER:
        assert _REAL_KEY
        yield Service(ORIGIN, _REAL_KEY)
    elif source is Source.LOCAL_MODEL:
        kinds = request.node.get_closest_marker("from_local_model").kwargs
        fixture = next((f"local_{kind}" for kind in kinds if kinds[kind]), "local_model")
        with _carried_to(request.getfixturevalue(fixture)):
            yield replayed_service
    else:
        script = request.node.get_closest_marker("scripted")
        responder = script.kwargs.get("responder")
        with ScriptedOpenRouter(default=responder) as server, _carried_to(server.base_url):
            server.add(*script.args, path=script.kwargs.get("path", "/chat/completions"))
            yield replayed_service
            assert server.unplayed == 0, f"{server.unplayed} scripted replies were not requested"


@contextmanager
def _carried_to(base_url: str) -> Iterator[None]:
    """Let requests to OpenRouter go to `base_url`."""
    with ExitStack() as patches:
        for transport in (Urllib3Transport, AiohttpTransport):
            patches.enter_context(patch.object(transport, "send", _carrying(transport.send, base_url)))
        send = httpx.HTTPTransport.handle_request  # LiteLLM's own provider sends with httpx
        patches.enter_context(patch.object(httpx.HTTPTransport, "handle_request", _carrying_httpx(send, base_url)))
        yield


def _carrying(send: Callable[[Any, HTTPRequest], Any], base_url: str) -> Callable[[Any, HTTPRequest], Any]:
    api, played = (url.removesuffix("/v1") for url in (ORIGIN, base_url))  # decisions are beside it, at /alpha

    def carry(transport: object, request: HTTPRequest) -> Any:
        return send(transport, replace(request, url=request.url.replace(api, played, 1)))

    return carry


def _carrying_httpx(send: Callable[[Any, httpx.Request], Any], base_url: str) -> Callable[[Any, httpx.Request], Any]:
    def carry(transport: object, request: httpx.Request) -> Any:
        request.url = httpx.URL(str(request.url).replace(ORIGIN, base_url, 1))
        return send(transport, request)

    return carry


def _source_of(node: pytest.Item) -> Source:
    script = node.get_closest_marker("scripted")
    if node.get_closest_marker("from_local_model"):
        return Source.LOCAL_MODEL
    if _REAL_KEY and not (script and script.kwargs.get("always")):
        return Source.OPENROUTER
    if script:
        return Source.SCRIPT
    raise pytest.UsageError(
        f"Nothing can answer while `{node.name}` is recorded. "
        "Set `OPENROUTER_API_KEY`, or mark the test `scripted` or `from_local_model`."
    )
