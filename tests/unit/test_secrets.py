"""What is secret stays so when it is given to a single call, or comes with whitespace."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import urllib.parse
from base64 import b32encode, b64encode
from html import escape as html_escape
from typing import TYPE_CHECKING, Any

import pytest
import requests
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from langchain_core.tracers.langchain import LangChainTracer, wait_for_all_tracers
from langsmith import Client

from lfm_adapter import ChatLFM, LFMClient, errors
from lfm_adapter._openrouter.failure import RequestContext, from_body, from_error
from lfm_adapter.testing import completion, error, stream
from lfm_adapter.testing._reply import html
from lfm_adapter.testing._wire import midstream_error
from tests.faults.asking import EMBEDDING, OURS, asking
from tests.support.chat_ways import ALL_WAYS, ask, chat
from tests.support.leaks import SECRET, Leaks, told_by
from tests.support.loopback import CUT, RESET, UNTIL_CLOSED, Loopback, chunked, reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfm_adapter.testing import ScriptedOpenRouter

KEY = "a-key-of-no-usual-form"
EVENT_STREAM = b"Content-Type: text/event-stream"
ACCOUNT = "user_2abcDEF345ghiJKL"
ECHO = f"No: {KEY} of {ACCOUNT}"
ANSWERS: dict[str, Any] = {
    "answer": lambda streamed: stream(["Hi"], user_id=ACCOUNT) if streamed else completion("Hi", user_id=ACCOUNT),
    "refusal": lambda _: error(401, ECHO, metadata={"provider_name": ECHO, "raw": ECHO}, user_id=ACCOUNT),
    "error in 200": lambda _: error(200, ECHO, code=403, metadata={"reasons": [ECHO]}),
    "error in the middle": lambda _: midstream_error(["Hi"], 502, ECHO, metadata={"provider_name": ECHO}),
    "a page": lambda _: html(502, ECHO),
    "cut off": lambda streamed: (stream if streamed else completion)(["Hi"] if streamed else "Hi").broken(1),
}


class RecordedSession(requests.Session):
    """LangSmith, in place of the network: keeps what it is sent."""

    def __init__(self, sent: list[Any]) -> None:
        super().__init__()
        self._sent = sent

    def request(self, *arguments: Any, **details: Any) -> requests.Response:  # type: ignore[override]
        self._sent.append((arguments, {name: value for name, value in details.items() if name != "headers"}))
        response = requests.Response()
        response.status_code = 200
        response._content = b"{}"
        return response


class Recorder(BaseCallbackHandler):
    """Keeps all that LangChain tells its callbacks of a call, which is what tracers record."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
        self.told.append((serialized, messages, more))


def test_callbacks_get_neither_the_key_nor_the_headers_of_a_call(server: ScriptedOpenRouter):
    server.add(completion())
    recorder = Recorder()
    llm = ChatLFM(model="liquid/lfm-3-1.7b", base_url=server.base_url)
    llm.invoke(
        "Hi", config={"callbacks": [recorder]}, api_key=KEY, default_headers={"X-Secret": "hidden-value"}, top_k=5
    )
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["x-secret"] == "hidden-value"
    assert KEY not in repr(recorder.told)
    assert "hidden-value" not in repr(recorder.told)
    assert "top_k" in repr(recorder.told)


def test_key_that_a_server_repeats_is_masked_though_it_came_with_a_line_break(server: ScriptedOpenRouter):
    server.add(error(401, f"Bad key {KEY} given"))
    with pytest.raises(errors.AuthenticationError) as raised:
        LFMClient(base_url=server.base_url, api_key=f"{KEY}\n").chat("Hi")
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("place", ["provider_name", "error_type"])
def test_key_that_a_server_repeats_is_masked_in_the_facts_of_an_error_too(server: ScriptedOpenRouter, place: str):
    server.add(error(401, "No", metadata={place: f"x {KEY}"}, id=f"gen-{KEY}"))
    with pytest.raises(errors.AuthenticationError) as raised:
        LFMClient(base_url=server.base_url, api_key=KEY).chat("Hi")
    assert KEY not in repr(vars(raised.value))
    assert "[redacted]" in repr(vars(raised.value))


@pytest.mark.parametrize("way", ALL_WAYS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_result_of_a_call_shows_a_key_or_an_account(server: ScriptedOpenRouter, answer: str, way: str):
    server.default = lambda request: ANSWERS[answer](bool(request.body.get("stream")))
    runs: list[Any] = []
    tracer = LangChainTracer(client=Client(session=RecordedSession(runs), api_key="no-key", auto_batch_tracing=False))
    llm = chat(server, api_key=KEY, default_headers={"X-Secret": "hidden-value"})
    told: list[Any] = [repr(llm), dumps(llm), repr(llm.lc_attributes), llm._get_ls_params()]
    try:
        message = ask(llm, way, config={"callbacks": [tracer]})
        told += [repr(message), dumps(message), pickle.dumps(message), message.model_dump()]
    except errors.APIError as failure:
        told += [*told_by(failure), *traceback.format_exception(failure), pickle.dumps(failure)]
    wait_for_all_tracers()
    assert runs, "LangSmith was told of no run"
    for text in map(repr, (*told, *runs)):
        assert not any(secret in text for secret in (KEY, "hidden-value", ACCOUNT)), text


def test_leak_watch_sees_what_comes_out():
    leaks = Leaks()
    leaks.emit(logging.makeLogRecord({"msg": "sent %s", "args": (KEY,)}))
    assert [KEY in found for found in leaks.found] == [True]
    outer, inner = ValueError("outer"), ValueError(f"of {ACCOUNT}")
    outer.__cause__ = inner
    assert any(SECRET.search(text) for text in told_by(outer))
    assert not SECRET.search("the test-keyboard of user_42")


KEYS = [
    KEY,
    "sk-abcdefgh12345678.SECRETpartBehindTheDot",
    "team-user_0123456789abcdef-SECRETpart",
    "part-one,part;two'three\"four",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "päss/wörd+with=signs",
]


def written(key: str) -> dict[str, tuple[str, str]]:
    """The ways in which a server may repeat a key: what stands before it, and how it is written."""
    named = {user: f"{user}{key}{'.' * (user != '')}".encode() for user in USERS}
    forms = {f"base64 behind {user!r}": ("Basic ", b64encode(text).decode()) for user, text in named.items()}
    forms |= {
        f"base64 twice behind {user!r}": ("", b64encode(b64encode(text)).decode()) for user, text in named.items()
    }
    forms |= {f"base32 behind {user!r}": ("", b32encode(text).decode()) for user, text in named.items()}
    return forms | {
        "backwards": ("", key[::-1]),
        "plain": ("", key),
        "behind Bearer": ("Bearer ", key),
        "glued": ("x", f"{key}x"),
        "at the cut": ("." * 970, key),
        "at the first cut": ("." * 3_980, key),
        "in a URL": ("https://a.example/?key=", urllib.parse.quote(key, safe="")),
        "in JSON": ('{"key": ', json.dumps(key)),
        "in hexadecimal": ("", key.encode().hex()),
        "in HTML": ("<p>", html_escape(key)),
        "in capitals": ("", key.upper()),
        "without its end": ("", key[:-3]),
        "without its start": ("…", key[3:]),
        "in the middle": ("…", f"{key[3:-3]}…"),
    }


USERS = ("", ":", "me:", "you:")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", written(""))
def test_key_is_masked_whole_in_whatever_form_a_server_repeats_it(form: str, key: str):
    before, secret = written(key)[form]
    told = before + secret
    metadata = {"provider_name": told, "error_type": told, "raw": f"upstream says: {told}"}
    context = RequestContext("liquid/lfm-3-1.7b", 0, key)
    failures = [
        from_error({"message": told, "metadata": metadata}, context, status_code=400, provider=told),
        from_error(told, context, headers={"x-generation-id": told}),
        from_body(502, {}, f"<html><title>{'.' * 40}{told}</title></html>".encode(), context),
    ]
    pieces = {secret[at : at + 6] for at in range(4, len(secret) - 10)}
    assert not [piece for piece in pieces for failure in failures if piece in repr(vars(failure))], failures


def test_metadata_of_thousands_of_values_are_cut_and_masked():
    sent = {"raw": [f"{number} {KEY}" for number in range(5_000)], "more": {str(n): n for n in range(5_000)}}
    error = from_error({"message": "No", "metadata": sent}, RequestContext("m", 0, KEY), status_code=400)
    error.mask_secret(KEY)
    assert error.metadata["raw"][0] == "0 [redacted]"
    assert 900 < len(error.metadata["raw"]) < 1_000
    assert KEY not in repr(error.metadata)


def test_no_pickle_of_a_reply_or_an_error_holds_a_key(server: ScriptedOpenRouter):
    server.add(completion(user_id=ACCOUNT), error(400, f"{KEY} of {ACCOUNT}", user_id=ACCOUNT))
    client = LFMClient(base_url=server.base_url, api_key=KEY)
    told = [pickle.dumps(client.chat("Hi"))]
    with pytest.raises(errors.BadRequestError) as raised:
        client.chat("Hi")
    told.append(pickle.dumps(raised.value))
    assert not [text for text in told if KEY.encode() in text or ACCOUNT.encode() in text]


BROKEN: dict[str, list[Any]] = {
    "reset": [RESET],
    "no HTTP": [b"SSH-2.0\r\n\r\n", CUT],
    "silent": [UNTIL_CLOSED],
    "reset in the body": [*chunked(b": OPENROUTER PROCESSING\n\n", headers=[EVENT_STREAM])[:-1], RESET],
    "silent in the body": [*chunked(b": OPENROUTER PROCESSING\n\n", headers=[EVENT_STREAM])[:-1], UNTIL_CLOSED],
    "compressed": [reply(b"x", b"Content-Encoding: gzip")],
    "refused with the key": [
        reply(b'{"error": {"code": 401, "message": "No ' + KEY.encode() + b'"}}', status=b"401 No")
    ],
}


def variables(error: BaseException) -> Iterator[tuple[str, str]]:
    """Each variable in the frames of an exception and of all it came from, as rich and Sentry show them."""
    seen = [error]
    for one in seen:
        for frame in traceback.TracebackException.from_exception(one, capture_locals=True).stack:
            if "/tests/" not in frame.filename:
                yield from (
                    (f"{frame.filename}:{frame.lineno} {name}", text) for name, text in (frame.locals or {}).items()
                )
        seen += [link for link in (one.__cause__, one.__context__) if link is not None and link not in seen]


@pytest.mark.parametrize("way", [*OURS, *EMBEDDING])
@pytest.mark.parametrize("broken", BROKEN)
def test_no_frame_of_an_error_holds_the_headers(broken: str, way: str):
    with (
        Loopback(BROKEN[broken]) as server,
        asking(
            way, server.url, api_key=KEY, max_retries=0, timeout=0.2, default_headers={"X-S": "hidden-value"}
        ) as ask,
    ):
        error = ask().error
        assert isinstance(error, errors.APIError)
        told = [name for name, text in variables(error) if KEY in text or "hidden-value" in text]
    assert not told


def test_variables_of_a_client_whose_settings_are_refused_can_be_shown():
    with pytest.raises(errors.ConfigurationError) as raised:
        LFMClient(timeout=0)
    assert any("LFMClient(model=" in text for _, text in variables(raised.value))


def test_key_of_the_environment_does_not_go_to_this_machine_even_with_tls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    for kind in (ChatLFM, LFMClient):
        asker = kind(base_url="https://127.0.0.1:8443/v1")
        settings = asker._settings() if isinstance(asker, ChatLFM) else asker._settings
        assert settings.key() is None
