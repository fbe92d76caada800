"""TLS certificates and proxies of both transports."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
import truststore

from lfm_adapter._transport import tls
from lfm_adapter._transport.proxy import local_route, resolve_proxy
from lfm_adapter._transport.urllib3 import close_pools
from lfm_adapter.errors import APIConnectionError, ConfigurationError
from tests.support.both_transports import KINDS, client_of
from tests.support.certificates import authority
from tests.support.loopback import REQUEST, Loopback, chunked, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.both_transports import Client
    from tests.support.certificates import Authority

HOST = "openrouter.test"  # no such host: it can be reached through a proxy only
PARTS = [b"one", b"two"]


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with client_of(request.param) as client:
        yield client


@pytest.fixture(name="authority")
def certificate_of_no_one() -> Authority:
    return authority()


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Build the TLS context from what the test sets."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    tls.context.cache_clear()
    close_pools()
    yield monkeypatch
    tls.context.cache_clear()
    close_pools()


class TestTls:
    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_ca_file_of_the_environment_is_trusted(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch, variable: str
    ) -> None:
        trust.setenv(variable, str(authority.certificate))
        with Loopback(chunked(*PARTS), tls=authority.server) as server:
            assert [client.fetch(server.url) for _ in range(2)] == [b"".join(PARTS)] * 2
        assert server.alpn == ["http/1.1"]

    def test_ca_directory_of_the_environment_is_trusted(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        command = ["openssl", "x509", "-in", str(authority.certificate), "-noout", "-subject_hash"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
        subject = done.stdout.strip()
        (tmp_path / f"{subject}.0").write_bytes(authority.certificate.read_bytes())
        with Loopback(reply(b"x"), tls=authority.server) as server:
            for variable in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
                trust.setenv(variable, str(tmp_path))
                assert client.fetch(server.url) == b"x"
                trust.delenv(variable)
                tls.context.cache_clear()

    @pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="the system's store is no file there")
    def test_system_bundle_is_found_where_openssl_does_not_look(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[attr-defined]
        trust.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
        trust.setattr(tls, "_SYSTEM_BUNDLES", ("/nowhere", str(authority.certificate)))
        with Loopback(reply(b"x"), tls=authority.server) as server:
            assert client.fetch(server.url) == b"x"

    @pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="the system's store is no file there")
    def test_no_certificate_is_trusted_if_the_system_has_no_bundle(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[attr-defined]
        trust.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
        trust.setattr(tls, "_SYSTEM_BUNDLES", ("/nowhere",))
        with Loopback(reply(), tls=authority.server) as server, pytest.raises(APIConnectionError, match="not trusted"):
            client.send(server.url)

    @pytest.mark.parametrize("platform", ["darwin", "win32"])
    def test_truststore_is_used_if_the_system_has_a_store(self, trust: pytest.MonkeyPatch, platform: str) -> None:
        with pytest.MonkeyPatch.context() as elsewhere:
            elsewhere.setattr(sys, "platform", platform)
            context = tls.context()
        assert isinstance(context, truststore.SSLContext)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

    def test_untrusted_certificate_is_refused(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        with Loopback(reply(), tls=authority.server) as server, pytest.raises(APIConnectionError) as caught:
            client.send(server.url)
        assert not caught.value.is_retryable
        assert "certificate of 127.0.0.1" in str(caught.value)
        assert "SSL_CERT_FILE" in str(caught.value)
        assert server.requests == []

    def test_certificate_of_another_host_is_refused(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        trust.setenv("SSL_CERT_FILE", str(authority.certificate))
        with Loopback(reply(), tls=authority.server) as server, pytest.raises(APIConnectionError, match="localhost"):
            client.send(server.url.replace("127.0.0.1", "localhost"))
        assert server.requests == []

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"])
    def test_unreadable_ca_file_is_an_error_that_names_its_variable(
        self, client: Client, trust: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_bytes(content)
        trust.setenv("SSL_CERT_FILE", str(file))
        with pytest.raises(ConfigurationError, match=r"not read certificates from '.*ca.pem' \(`SSL_CERT_FILE`\)"):
            client.send("https://127.0.0.1:9/")

    def test_closing_a_stream_closes_its_tls_connection_at_once(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        trust.setenv("SSL_CERT_FILE", str(authority.certificate))
        stay_silent = threading.Event()
        with Loopback([*chunked(*PARTS)[:-1], stay_silent], tls=authority.server) as server:
            answer = client.send(server.url)
            assert answer.read()
            connection = answer.socket
            answer.close()
            client.settle()
            assert connection.fileno() == -1
            stay_silent.set()

    def test_context_is_built_for_https_alone_and_shared(self, client: Client, trust: pytest.MonkeyPatch) -> None:
        with Loopback(reply()) as server:
            client.fetch(server.url)
        assert not tls.is_built()
        context = tls.context()
        assert context is tls.context()
        assert tls.is_built()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


class TestProxy:
    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    @pytest.mark.parametrize("scheme", ["", "http://"])
    def test_http_request_is_forwarded_by_the_proxy(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
    ) -> None:
        with Loopback(reply(b"hi")) as proxy:
            monkeypatch.setenv(variable, f"{scheme}me:p%40ss@127.0.0.1:{proxy.port}")
            assert [client.fetch(f"http://{HOST}/api?q=1") for _ in range(2)] == [b"hi", b"hi"]
        assert proxy.connections == 1
        for received in proxy.requests:
            assert received.lines[0] == f"POST http://{HOST}/api?q=1 HTTP/1.1".encode()
            assert f"Host: {HOST}".encode() in received.lines
            assert b"proxy-authorization: Basic bWU6cEBzcw==".lower() in [line.lower() for line in received.lines]

    def test_https_request_is_tunnelled_through_the_proxy(
        self, client: Client, authority: Authority, trust: pytest.MonkeyPatch
    ) -> None:
        trust.setenv("SSL_CERT_FILE", str(authority.certificate))
        tunnel = [b"HTTP/1.1 200 Connection established\r\n\r\n", authority.server, REQUEST, reply(b"hi")]
        with Loopback(tunnel, reply(b"again")) as proxy:
            trust.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
            assert [client.fetch(f"https://{HOST}/api") for _ in range(2)] == [b"hi", b"again"]
        connect, *requests = proxy.requests
        assert proxy.connections == 1
        assert connect.lines[0].startswith(f"CONNECT {HOST}:443 HTTP/1.".encode())
        assert b"proxy-authorization: basic bwu6cebzcw==" in connect.head.lower()
        assert b"sk-or" not in connect.head
        for received in requests:
            assert received.lines[0] == b"POST /api HTTP/1.1"
            assert b"proxy-authorization" not in received.head.lower()

    def test_proxy_may_have_an_https_url(self, client: Client, authority: Authority, trust: pytest.MonkeyPatch) -> None:
        trust.setenv("SSL_CERT_FILE", str(authority.certificate))
        with Loopback(reply(b"hi"), tls=authority.server) as proxy:
            trust.setenv("HTTP_PROXY", f"https://127.0.0.1:{proxy.port}")
            assert client.fetch(f"http://{HOST}/api") == b"hi"
        assert proxy.requests[0].lines[0] == f"POST http://{HOST}/api HTTP/1.1".encode()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "api.localhost", "[::1]", "127.1.2.3"])
    def test_loopback_is_never_proxied(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
        route = local_route(f"http://{host}:8080/v1")
        assert route is not None
        assert route.proxy is None

    @pytest.mark.parametrize(
        ("exceptions", "url", "through_proxy"),
        [
            ("openrouter.test", "https://openrouter.test/api", False),
            ("other.test, .test", "https://openrouter.test/api", False),
            ("*", "https://openrouter.test/api", False),
            ("openrouter.test:8443", "https://openrouter.test:8443/api", False),
            ("10.0.0.0/8", "http://10.1.2.3:8000/v1", False),
            ("other.test, 10.0.0.0/8", "http://10.1.2.3:8000/v1", False),
            ("10.0.0.0/8", "http://11.1.2.3:8000/v1", True),
            ("router.test", "https://openrouter.test/api", True),
            ("", "https://openrouter.test/api", True),
        ],
    )
    def test_no_proxy_excepts_hosts_domains_ports_and_networks(
        self, monkeypatch: pytest.MonkeyPatch, exceptions: str, url: str, *, through_proxy: bool
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
        monkeypatch.setenv("NO_PROXY", exceptions)
        assert (resolve_proxy(url).proxy == "http://proxy.test:3128") is through_proxy

    def test_proxy_may_change_between_requests(self, monkeypatch: pytest.MonkeyPatch) -> None:
        proxies = []
        for proxy in ("http://a.test:1", "http://b.test:2", ""):
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            proxies.append(resolve_proxy("https://openrouter.test").proxy)
        assert proxies == ["http://a.test:1", "http://b.test:2", None]

    def test_https_proxy_precedes_all_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", "socks5://other.test")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
        assert resolve_proxy("https://openrouter.test").proxy == "http://proxy.test:3128"

    @pytest.mark.parametrize(
        ("proxy", "says"),
        [("socks5h://me:hunter2@p.test", "SOCKS"), ("ftp://me:hunter2@p.test", "address"), ("http://p:x", "address")],
    )
    def test_unusable_proxy_is_an_error_without_its_password(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, proxy: str, says: str
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(ConfigurationError, match=f"(?s){says}.*`HTTPS_PROXY`") as caught:
            client.send("https://openrouter.test/api")
        assert "hunter2" not in str(caught.value)
