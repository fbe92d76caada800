from __future__ import annotations

import json
import re
import shutil
import socket
import textwrap
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
import urllib3
import vcr
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pytest_recording.plugin import get_default_cassette_name
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request

from lfm_adapter.testing import ScriptedReply, completion, error, events, json_reply, stream, token_usage
from lfm_adapter.testing._reply import compact_json, html
from lfm_adapter.testing._wire import PADDING, midstream_error
from tests.support.cassette_format import ORIGIN, VCR_SETTINGS, CassetteFiles, from_text, same_attribution, to_text
from tests.support.recording import PROVENANCE

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parents[1]
CASSETTES = TESTS.parent / "cassettes"
FROM = "scripted server (lfm_adapter.testing), 2026-11-23"
ASK = {"model": "liquid/lfm-3b", "messages": [{"role": "user", "content": "Zürich?\nIn one line."}]}


def interaction(reply, *, request_headers=None, body=ASK):
    headers = {"Content-Type": "application/json", **(request_headers or {})}
    request = Request("POST", f"{ORIGIN}/chat/completions", compact_json(body), headers)
    response = {
        "status": {"code": reply.status, "message": ""},
        "headers": {name: [value] for name, value in reply.headers.items()},
        "body": {"string": reply.body},
    }
    return request, response


def written(reply, **kwargs):
    request, response = interaction(reply, **kwargs)
    return to_text(FROM, [request], [response])


def replayed(reply):
    return from_text(written(reply)).responses[0]["body"]["string"]


def test_a_cassette_reads_like_this():
    reply = completion("Sonne,\nund Wind.", padding=PADDING, usage=token_usage(7, 2, cost=2e-08))
    text = written(reply, request_headers={"Authorization": "Bearer test-key", "User-Agent": "lfm-adapter/0.1.0"})
    assert text.startswith(
        """\
recorded_from: scripted server (lfm_adapter.testing), 2026-11-23
interactions:
- request:
    method: POST
    uri: https://openrouter.ai/api/v1/chat/completions
    headers:
      content-type: application/json
      user-agent: lfm-adapter
    json:
      model: liquid/lfm-3b
      messages:
      - role: user
        content: |-
          Zürich?
          In one line.
  response:
    status: 200
    headers:
      content-type: application/json
      x-generation-id: gen-1790000000-ScriptedReply0000001
    padding: "\\n         \\n"
    json:
      id: gen-1790000000-ScriptedReply0000001
      object: chat.completion
"""
    )
    assert "cost: 2.0e-08\n" in text


def test_a_stream_is_one_event_a_line():
    text = written(stream(["It's ", "☀"], comments=1))
    listed = text[text.index("    sse:\n") :].splitlines()[1:]
    assert listed[0] == "    - ': OPENROUTER PROCESSING'"
    assert listed[1].startswith('    - \'data: {"id":"gen-')
    assert '"content":"☀"' in listed[2]
    assert listed[-1] == "    - 'data: [DONE]'"
    cut = written(events({"a": 1}, b'data: {"b', done=False))
    assert cut.endswith("    sse:\n    - 'data: {\"a\":1}'\n    sse_rest: 'data: {\"b'\n")


@pytest.mark.parametrize(
    "reply",
    [
        stream(["a", "\u2028", "\x85", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")], comments=2),
        stream(["cut"]).broken(2),
        events({"a": 1}, b"event: x\ndata: 1\ndata: 2\n\n", b"\n\n\n: c\r\n\r\ndata: half"),
        midstream_error(["Par"], 429, "slow down"),
        html(502),
        json_reply("a bare string\n"),
        ScriptedReply(200, {"Content-Type": "application/json"}, [b'{"a": "\\ud83d", "a": 2}\n']),
        ScriptedReply(200, {"Content-Type": "application/json"}, [b'{"cut": ']),
        ScriptedReply(200, {"Content-Type": "text/plain"}, [b"\xff\x00\xfe"]),
        ScriptedReply(204, {}, []),
    ],
)
def test_other_bodies_come_back_byte_for_byte(reply):
    assert replayed(reply) == reply.body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.integers(min_value=0, max_value=3))
def test_json_comes_back_with_the_same_values_in_the_same_order(value, paddings):
    reply = json_reply(value, padding=PADDING * paddings)
    body = replayed(reply)
    assert json.dumps(json.loads(body)) == json.dumps(json.loads(reply.body))
    assert body[: 11 * paddings] == reply.body[: 11 * paddings]


@given(st.text(st.characters(codec="utf-8")))
def test_any_stream_comes_back_byte_for_byte(text):
    reply = ScriptedReply(200, {"Content-Type": "text/event-stream"}, [text.encode()])
    assert replayed(reply) == reply.body


@pytest.mark.parametrize("number", ["2e-08", "0.00000002", "2E-8", "1e400", "0.1234567890123456789", "-0.0", "1e22"])
def test_numbers_keep_their_value(number):
    body = f'{{"cost":{number}}}'.encode()
    read = replayed(ScriptedReply(200, {"Content-Type": "application/json"}, [body]))
    assert json.loads(read, parse_float=Decimal) == {"cost": Decimal(number)}


def test_headers_get_in_by_name_alone():
    reply = error(
        429,
        "slow down",
        headers={"Retry-After": "1", "X-RateLimit-Reset": "1790000000000", "Set-Cookie": "a=b", "CF-Ray": "1"},
    )
    sent = {"Authorization": "Bearer test-key", "HTTP-Referer": "https://example.com", "X-Title": "T", "Cookie": "a=b"}
    (content,) = yaml.safe_load(written(reply, request_headers=sent))["interactions"]
    assert set(content["request"]["headers"]) == {"content-type", "http-referer", "x-title"}
    assert set(content["response"]["headers"]) == {
        "content-type",
        "retry-after",
        "x-generation-id",
        "x-ratelimit-reset",
    }


@pytest.mark.parametrize(
    "secret",
    [
        "sk-or-v1-0123456789abcdef",
        "Bearer abc.def-123",
        "user_2wT5abcdefghijklmnopqrst123",
        "org_2wT5abcdefghijklmnopqrs",
    ],
)
@pytest.mark.parametrize("build", [completion, stream, lambda text: error(400, text), lambda text: html(502, text)])
def test_secrets_in_bodies_are_masked(secret, build):
    text = written(build(f"key {secret} end"))
    assert secret not in text
    assert "key [redacted] end" in text


@pytest.mark.parametrize("make", [json.dumps, lambda value: json.dumps(json.dumps(value)), compact_json])
def test_account_ids_are_masked_by_the_name_of_their_field(make):
    value = make({"user_id": "someone", "organization_id": "some firm", "id": "gen-1", "x": "user_preferences"})
    body = value if isinstance(value, bytes) else value.encode()
    text = written(ScriptedReply(400, {"Content-Type": "application/json"}, [body]))
    assert "someone" not in text
    assert "some firm" not in text
    assert "gen-1" in text
    assert "user_preferences" in text


def test_secrets_in_requests_are_masked_and_still_match(tmp_path, server, pool):
    server.default = lambda _: completion()
    with recorder(tmp_path, "once"):
        post(pool, server.base_url, body=b'{"user": "user_2wT5abcdefghijklmnopqrst123"}')
    assert "user_2wT5" not in (tmp_path / "c.yaml").read_text("utf-8")
    with recorder(tmp_path, "none") as played:
        post(pool, ORIGIN, body=b'{"user": "user_2wT5abcdefghijklmnopqrst123"}')
    assert played.all_played


def test_a_cassette_without_its_origin_is_not_played(tmp_path):
    (tmp_path / "c.yaml").write_text("interactions: []\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not say where it was recorded"), recorder(tmp_path, "none"):
        pass


@pytest.fixture
def pool():
    with urllib3.PoolManager(retries=False, timeout=20) as pool:
        yield pool


def recorder(folder, mode):
    library = vcr.VCR(record_mode=mode, cassette_library_dir=str(folder), **VCR_SETTINGS)
    library.register_matcher("attribution", same_attribution)
    library.register_persister(CassetteFiles(FROM))
    return library.use_cassette("c.yaml")


def post(pool, base_url, body=None):
    reply = pool.request(
        "POST",
        f"{base_url}/chat/completions",
        body=body or compact_json(ASK),
        headers={"Content-Type": "application/json", "Authorization": "Bearer test-key"},
        preload_content=False,
    )
    content = b"".join(reply.stream(100))
    reply.close()
    return reply.status, reply.headers.get("retry-after"), content


async def apost(session, base_url):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer test-key"}
    async with session.post(f"{base_url}/chat/completions", data=compact_json(ASK), headers=headers) as reply:
        content = b"".join([part async for part in reply.content.iter_any()])
        return reply.status, reply.headers.get("retry-after"), content


# The same request each time: what is played must follow the order of the recording.
SCRIPT = [
    error(429, "slow down", headers={"Retry-After": "1"}),
    completion("first", padding=PADDING * 3),
    stream(["sec", "ond é"], comments=2),
    midstream_error(["Par"], 502, "gone"),
    html(524),
]
EXPECTED = [(reply.status, reply.headers.get("Retry-After"), reply.body) for reply in SCRIPT]


def test_urllib3_replays_what_it_recorded_in_order_and_without_the_server(tmp_path, server, pool):
    server.add(*SCRIPT)
    with recorder(tmp_path, "once"):
        assert [post(pool, server.base_url) for _ in SCRIPT] == EXPECTED
    with recorder(tmp_path, "none") as played:
        assert [post(pool, ORIGIN) for _ in SCRIPT] == EXPECTED
        assert played.all_played
        with pytest.raises(CannotOverwriteExistingCassetteException):
            post(pool, ORIGIN)
    assert len(server.requests) == len(SCRIPT)


async def test_aiohttp_replays_what_it_recorded_in_order_and_without_the_server(tmp_path, server):
    server.add(*SCRIPT)
    async with aiohttp.ClientSession() as session:
        with recorder(tmp_path, "once"):
            assert [await apost(session, server.base_url) for _ in SCRIPT] == EXPECTED
        with recorder(tmp_path, "none") as played:
            assert [await apost(session, ORIGIN) for _ in SCRIPT] == EXPECTED
            assert played.all_played
            with pytest.raises(CannotOverwriteExistingCassetteException):
                await apost(session, ORIGIN)
    assert len(server.requests) == len(SCRIPT)


async def test_what_one_library_recorded_the_other_replays(tmp_path, server, pool):
    server.add(*SCRIPT)
    with recorder(tmp_path, "once"):
        for _ in SCRIPT:
            post(pool, server.base_url)
        pool.request("GET", f"{server.base_url}/models")
    async with aiohttp.ClientSession() as session:
        with recorder(tmp_path, "none") as played:
            assert [await apost(session, ORIGIN) for _ in SCRIPT] == EXPECTED
            async with session.get(f"{ORIGIN}/models") as reply:
                assert len((await reply.json())["data"]) > 1
        assert played.all_played


def test_a_request_without_a_body_is_found_again(tmp_path, server, pool):
    with recorder(tmp_path, "once"):
        pool.request("GET", f"{server.base_url}/models")
    with recorder(tmp_path, "none"):
        assert pool.request("GET", f"{ORIGIN}/models").status == 200


def test_a_request_with_another_body_is_not_answered(tmp_path, server, pool):
    server.add(completion())
    with recorder(tmp_path, "once"):
        post(pool, server.base_url)
    with recorder(tmp_path, "none"), pytest.raises(CannotOverwriteExistingCassetteException):
        post(pool, ORIGIN, body=compact_json(ASK | {"temperature": 0}))


INNER_TEST = """
import pytest
from lfm_adapter.types import HTTPRequest
from lfm_adapter._transport.urllib3 import Urllib3Transport
from lfm_adapter.testing import completion, error


@pytest.mark.vcr
@pytest.mark.scripted(error(429, "slow down"), completion("Hi."))
def test_asks(service):
    headers = {{"Content-Type": "application/json", "Authorization": "Bearer " + service.api_key}}
    request = HTTPRequest("POST", service.base_url + "/chat/completions", headers, b"{{}}", 5)
    statuses = []
    for _ in range({asks}):
        reply = Urllib3Transport().send(request)
        statuses.append(reply.status_code)
        reply.close()
    assert statuses == [429, 200][:{asks}]
"""


@pytest.fixture
def inner(pytester, monkeypatch):
    """Runs a test module under a copy of this project's conftest, so that its cassettes lie apart."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # one second less
    folder = pytester.mkdir("inner")
    shutil.copy(TESTS / "conftest.py", folder)
    pytester.makeini(f"[pytest]\npythonpath = {TESTS.parent}\n")

    def run(source, *args):
        (folder / "test_inner.py").write_text(source, encoding="utf-8")
        return pytester.runpytest_subprocess("-p", "pytest_recording.plugin", "--import-mode=importlib", *args, "inner")

    return run


def test_a_test_records_from_its_script_and_replays_without_it(pytester, inner):
    inner(INNER_TEST.format(asks=2), "--record-mode=rewrite").assert_outcomes(passed=1)
    text = (pytester.path / "cassettes" / "inner" / "test_asks.yaml").read_text("utf-8")
    assert re.match(r"recorded_from: scripted server \(lfm_adapter\.testing\), \d{4}-\d\d-\d\d\n", text)
    assert text.count(f"uri: {ORIGIN}/chat/completions\n") == 2
    inner(INNER_TEST.format(asks=2)).assert_outcomes(passed=1)


def test_with_a_key_openrouter_answers_unless_the_script_always_does(inner, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "the user's own")
    source = """
        import pytest

        @pytest.mark.vcr
        @pytest.mark.parametrize("key", [
            pytest.param("the user's own", marks=pytest.mark.scripted),
            pytest.param("test-key", marks=pytest.mark.scripted(always=True)),
        ], ids=["own", "made up"])
        def test_a(service, key):
            assert service.api_key == key
            assert "own" not in repr(service)
    """
    inner(textwrap.dedent(source), "--record-mode=once").assert_outcomes(passed=2)


def test_a_recorded_reply_that_is_not_asked_for_is_an_error(inner):
    inner(INNER_TEST.format(asks=2), "--record-mode=rewrite").assert_outcomes(passed=1)
    outcome = inner(INNER_TEST.format(asks=1))
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*only 1 of 2 recorded interactions were played*"])


@pytest.mark.parametrize(
    ("source", "mode", "message"),
    [
        (INNER_TEST.format(asks=2), "new_episodes", "*recorded as a whole: use --record-mode=rewrite*"),
        (INNER_TEST.format(asks=1), "rewrite", "*1 scripted replies were not requested*"),
    ],
    ids=["added_to", "not_asked_for"],
)
def test_a_recording_that_would_not_be_true_is_refused(inner, source, mode, message):
    outcome = inner(source, f"--record-mode={mode}")
    assert outcome.parseoutcomes()["errors"] == 1
    outcome.stdout.fnmatch_lines([message])


def test_a_test_that_nothing_can_answer_is_refused(inner):
    source = "import pytest\n@pytest.mark.vcr\ndef test_a(service): pass\ndef test_b(service): pass"
    outcome = inner(source, "--record-mode=once")
    assert outcome.parseoutcomes()["errors"] == 2
    outcome.stdout.fnmatch_lines(["*Nothing can answer*test_a*"])
    outcome.stdout.fnmatch_lines(["*fixture is for tests that are marked `vcr`*"])


def test_no_test_reaches_beyond_this_machine():
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"Network is disabled for host '192\.0\.2\.1'"):
        outside.connect(("192.0.2.1", 80))


def test_no_test_sees_the_settings_of_this_machine(inner, monkeypatch):
    for name in ("OPENROUTER_API_KEY", "LFM_MODEL", "https_proxy", "LANGSMITH_TRACING"):
        monkeypatch.setenv(name, "set")
    inner("import os\ndef test_clean(): assert 'set' not in os.environ.values()").assert_outcomes(passed=1)


def stored():
    return sorted(CASSETTES.rglob("*.yaml"))


def named(paths):
    return sorted(path.relative_to(CASSETTES).as_posix() for path in paths)


def test_every_file_among_the_cassettes_is_one():
    others = {path for path in CASSETTES.rglob("*") if path.is_file()} - set(stored())
    assert not others


def test_every_cassette_can_be_read_and_says_where_it_was_recorded():
    for path in stored():
        cassette = from_text(path.read_text("utf-8"))
        assert PROVENANCE.fullmatch(cassette.recorded_from), path.name
        assert cassette.requests, path.name


def test_no_cassette_holds_a_key_or_an_account():
    secret = re.compile(r"sk-or-|Bearer |\b(user|org)_[A-Za-z0-9]*\d[A-Za-z0-9]*\b|(?i:set-cookie|authorization):")
    found = {path.name: match for path in stored() if (match := secret.search(path.read_text("utf-8")))}
    assert not found


def test_every_cassette_has_its_test_and_every_recorded_test_its_cassette(collected_tests, pytestconfig):
    if any("::" in arg for arg in pytestconfig.args):
        pytest.skip("this run has not looked at whole modules")
    recorded = {_cassette_of(item) for item in collected_tests if item.get_closest_marker("vcr")}
    assert named(recorded - set(stored())) == [], "record them: pytest --record-mode=rewrite"
    modules = {path: path.stem.removeprefix("test_") for path in TESTS.rglob("test_*.py")}
    collected = {item.path for item in collected_tests}
    elsewhere = {name for path, name in modules.items() if path not in collected}
    orphans = [path for path in stored() if path not in recorded and path.parent.name not in elsewhere]
    assert named(orphans) == [], "their tests are gone: delete them"


def _cassette_of(item):
    named = item.get_closest_marker("default_cassette")
    name = named.args[0] if named else get_default_cassette_name(item.cls, item.name)
    return CASSETTES / item.path.stem.removeprefix("test_") / f"{name}.yaml"
