from __future__ import annotations

import json
import math

import pytest

from lfm_adapter import Attribution, __version__
from lfm_adapter._openrouter.address import OPENROUTER_URL, base_url_of, is_loopback
from lfm_adapter._openrouter.request import body_of, encode, headers_of
from lfm_adapter.errors import ConfigurationError

KEY = "sk-or-v1-0123456789abcdef"
NOBODY = Attribution()
HELLO = [{"role": "user", "content": "Hello"}]


class TestAttribution:
    def test_attribution_headers_credit_the_app(self):
        app = Attribution("https://example.org", "Example", ("cli-agent", "roleplay"))
        assert app.headers() == {
            "HTTP-Referer": "https://example.org",
            "X-OpenRouter-Title": "Example",
            "X-Title": "Example",
            "X-OpenRouter-Categories": "cli-agent,roleplay",
        }

    def test_attribution_is_off_by_default(self):
        assert Attribution.from_env().headers() == {}
        assert not {"HTTP-Referer", "X-Title"} & headers_of(KEY, NOBODY, {}, body=True).keys()

    def test_attribution_from_env_fills_missing_arguments(self, monkeypatch):
        monkeypatch.setenv("OPENROUTER_APP_URL", "https://example.org")
        monkeypatch.setenv("OPENROUTER_APP_TITLE", "Example")
        monkeypatch.setenv("OPENROUTER_APP_CATEGORIES", " cli-agent, roleplay ,")
        assert Attribution.from_env() == Attribution("https://example.org", "Example", ("cli-agent", "roleplay"))
        assert Attribution.from_env("https://example.com", "Other", []) == Attribution(
            "https://example.com", "Other", ()
        )
        assert Attribution.from_env(url="", title="").headers() == {"X-OpenRouter-Categories": "cli-agent,roleplay"}

    def test_attribution_from_env_ignores_empty_variables(self, monkeypatch):
        for name in ("URL", "TITLE", "CATEGORIES"):
            monkeypatch.setenv(f"OPENROUTER_APP_{name}", "")
        assert Attribution.from_env() == NOBODY

    @pytest.mark.parametrize("categories", [("a", "b", "c"), ("Cli-Agent",), ("cli agent",), ("cli_agent",), ("-a",),
                                            ("a-",), ("",), ("x" * 31,), ("a,b",)])  # fmt: skip
    def test_attribution_refuses_invalid_categories(self, categories):
        with pytest.raises(ConfigurationError, match="categor"):
            Attribution(categories=categories)

    def test_attribution_takes_a_list_of_categories(self):
        app = Attribution("https://example.org", categories=["cli-agent", "roleplay"])
        assert app.headers()["X-OpenRouter-Categories"] == "cli-agent,roleplay"
        assert hash(app) == hash(Attribution("https://example.org", categories=("cli-agent", "roleplay")))

    @pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Evil: 1", "a\x00b", "a\x7f"])
    def test_attribution_refuses_line_breaks(self, value):
        for app in ({"url": value}, {"title": value}):
            with pytest.raises(ConfigurationError, match="without line breaks"):
                Attribution(**app)


class TestHeaders:
    def test_headers_of_a_plain_request(self):
        assert headers_of(KEY, NOBODY, {}, body=True) == {
            "User-Agent": f"lfm-adapter/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {KEY}",
        }

    def test_headers_of_a_stream_accept_events(self):
        assert headers_of(KEY, NOBODY, {}, body=True, stream=True)["Accept"] == "text/event-stream"

    def test_headers_without_a_body_have_no_content_type(self):
        assert "Content-Type" not in headers_of(KEY, NOBODY, {}, body=False)

    @pytest.mark.parametrize("key", [None, "", " ", "\n"])
    def test_headers_without_a_key_have_no_authorization(self, key):
        assert "Authorization" not in headers_of(key, NOBODY, {}, body=True)

    def test_headers_have_the_key_without_surrounding_space(self):
        assert headers_of(f" {KEY}\n", NOBODY, {}, body=True)["Authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize("key", ["sk or", "sk-or\nX-Evil: 1", "sk-ör", "sk\x00or", "“sk-or”"])
    def test_malformed_key_is_refused_without_showing_it(self, key):
        with pytest.raises(ConfigurationError, match="copied correctly") as caught:
            headers_of(key, NOBODY, {}, body=True)
        assert key not in str(caught.value)

    def test_headers_of_the_caller_win_whatever_their_case(self):
        headers = headers_of(
            KEY,
            Attribution("https://example.org"),
            {"user-agent": "mine", "HTTP-REFERER": "x", "X-New": "1"},
            body=True,
        )
        assert [headers[name] for name in ("user-agent", "HTTP-REFERER", "X-New")] == ["mine", "x", "1"]
        assert not {"User-Agent", "HTTP-Referer"} & headers.keys()
        assert headers["Authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize(
        "more",
        [
            {"X-A": "a\nb"},
            {"X-A": "a\x00b"},
            {"X-A": "\ud800"},
            {"X-A": 7},
            {"X-A": None},
            {"X A": "a"},
            {"X-Ä": "a"},
            {"": "a"},
            {"X-A:": "a"},
        ],
    )
    def test_malformed_headers_of_the_caller_are_refused(self, more):
        with pytest.raises(ConfigurationError, match="header"):
            headers_of(KEY, NOBODY, more, body=True)

    def test_malformed_header_value_is_refused_without_showing_it(self):
        with pytest.raises(ConfigurationError, match="'Authorization' must be a string without line breaks") as caught:
            headers_of(None, NOBODY, {"Authorization": "Bearer sk-or-secret\n"}, body=True)
        assert "secret" not in repr(caught.value)


class TestBaseURL:
    @pytest.mark.parametrize(
        ("url", "ready"),
        [
            (OPENROUTER_URL, OPENROUTER_URL),
            ("https://openrouter.ai/api/v1/", OPENROUTER_URL),
            (" https://openrouter.ai/api/v1/chat/completions\n", OPENROUTER_URL),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
            ("https://GATEWAY.example:8443/v1", "https://gateway.example:8443/v1"),
            ("http://0x7f.1:8080/v1", "http://127.0.0.1:8080/v1"),
            ("http://010.0.0.1/v1", "http://8.0.0.1/v1"),
            ("http://2130706433/v1", "http://127.0.0.1/v1"),
            ("http://127.0.0.1./v1", "http://127.0.0.1/v1"),
            ("http://[::ffff:127.0.0.1]/v1", "http://127.0.0.1/v1"),
            ("http://[0:0:0:0:0:0:0:1]/v1", "http://[::1]/v1"),
            ("https://xn--mnchen-3ya.example./v1", "https://xn--mnchen-3ya.example./v1"),
        ],
    )
    def test_base_url_is_ready_for_a_path(self, url, ready):
        assert base_url_of(url) == ready

    @pytest.mark.parametrize(
        "url",
        [
            "", "openrouter.ai/api/v1", "ftp://openrouter.ai", "https://", "file:///etc/passwd", "https://[::1/v1",
            "https://openrouter.ai:abc/v1", "https://openrouter.ai:99999/v1", "https://openrouter.ai/v1\r\nX-Evil: 1",
            "https://openrouter.ai/v1 HTTP/1.1", "https://open\trouter.ai/v1", "https://openrouter.ai/\x00v1",
            "https://a..b/v1", "https://.example/v1", "https://example../v1", f"https://{'a' * 64}.example/v1",
            f"https://{'a.' * 127}b/v1", "https://evil\u3002com/v1", "https://evil\uff0ecom/v1", "https://evil\uff61com/v1",
            "https://m\u00fcnchen.example/v1", "https://\uff11\uff12\uff17.0.0.1/v1", "https://%65vil.com/v1",
            "https://1.2.3.4.5/v1", "https://example.256/v1", "https://256.1.1.1/v1", "https://09.1.1.1/v1",
            "https://evil.com\\.example/v1", "https://-a.example/v1", "https://[::1::]/v1",
        ],
    )  # fmt: skip
    def test_invalid_base_url_is_refused(self, url):
        with pytest.raises(ConfigurationError, match="`base_url` must be an http or https URL"):
            base_url_of(url)

    @pytest.mark.parametrize("url", ["https://me:secret@example.org/v1", "https://secret@example.org/v1"])
    def test_base_url_with_credentials_is_refused(self, url):
        with pytest.raises(ConfigurationError, match="user name or password") as caught:
            base_url_of(url)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["https://example.org/v1?key=secret", "https://example.org/v1#secret"])
    def test_base_url_with_query_or_fragment_is_refused(self, url):
        with pytest.raises(ConfigurationError, match="query or fragment") as caught:
            base_url_of(url)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "url", ["ftp://me:secret@example.org", "https://me:sec/ret@example.org", "ftp://x/#secret", "ftp://x?k=secret"]
    )
    def test_invalid_base_url_error_shows_no_secret(self, url):
        with pytest.raises(ConfigurationError) as caught:
            base_url_of(url)
        assert "ret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://127.8.8.8/v1", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://LOCALHOST.:8080", True),
        ("http://model.localhost/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://0.0.0.0/v1", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("https://openrouter.ai/api/v1", False),
        ("", False),
    ],
)
def test_is_loopback_recognizes_this_machine(url, here):
    assert is_loopback(url) is here


class TestBody:
    def test_body_has_model_messages_and_parameters(self):
        assert body_of("liquid/x", HELLO, {"max_tokens": 9, "provider": {"zdr": True}, "news": "x"}) == {
            "model": "liquid/x", "messages": HELLO, "max_tokens": 9, "provider": {"zdr": True}, "news": "x",
        }  # fmt: skip

    def test_body_leaves_out_none_and_empty_values(self):
        nothing = {"stop": None, "tools": [], "models": (), "provider": {}, "top_p": None}
        assert body_of("liquid/x", HELLO, nothing) == {"model": "liquid/x", "messages": HELLO}

    def test_body_keeps_zero_and_false(self):
        little = {"temperature": 0, "seed": 0, "stream": False, "user": ""}
        assert body_of("liquid/x", HELLO, little) == {"model": "liquid/x", "messages": HELLO, **little}

    def test_body_of_does_not_modify_its_arguments(self):
        messages, parameters = [*HELLO], {"stop": None}
        body_of("liquid/x", messages, parameters)["messages"].append("x")
        assert (messages, parameters) == (HELLO, {"stop": None})

    def test_body_needs_a_message(self):
        with pytest.raises(ConfigurationError, match="`messages` is empty"):
            body_of("liquid/x", [], {})


class TestEncoding:
    def test_encoding_is_compact_utf8(self):
        data = encode(body_of("liquid/x", [{"role": "user", "content": "Grüße \u2028 😀"}], {"stop": ("a",)}))
        assert data == (
            '{"model":"liquid/x","messages":[{"role":"user","content":"Grüße \u2028 😀"}],"stop":["a"]}'.encode()
        )
        assert json.loads(data)["messages"][0]["content"] == "Grüße \u2028 😀"

    def test_encoding_is_deterministic(self):
        assert encode({"b": 1, "a": 2}) == encode({"b": 1, "a": 2}) == b'{"b":1,"a":2}'

    @pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, b"bytes"])
    def test_encoding_refuses_values_without_json_form(self, value):
        with pytest.raises(ConfigurationError, match="cannot be encoded as JSON"):
            encode({"a": value})

    def test_encoding_refuses_an_integer_of_thousands_of_digits_in_own_words(self):
        with pytest.raises(ConfigurationError, match="JSON: an integer has thousands of digits"):
            encode({"a": 10**5_000})

    def test_encoding_refuses_unpaired_surrogates(self):
        with pytest.raises(ConfigurationError, match="surrogate"):
            encode({"a": "\ud83d"})

    def test_encoding_refuses_recursive_values(self):
        loop: list[object] = []
        loop.append(loop)
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        for value in (loop, deep):
            with pytest.raises(ConfigurationError, match="cannot be encoded as JSON"):
                encode({"a": value})
