"""A certificate that no one trusts by itself, for servers on 127.0.0.1 that speak TLS."""

from __future__ import annotations

import atexit
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

__all__ = ["Authority", "authority"]


@dataclass(frozen=True)
class Authority:
    """A certificate for 127.0.0.1 and openrouter.test.

    Attributes:
        certificate: Its file.
        server: The context of a server that has it.
    """

    certificate: Path
    server: ssl.SSLContext


@cache
def authority() -> Authority:
    """Return the certificate of this run; skips the test where there is no `openssl` to make it."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with the `openssl` command")
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=IP:127.0.0.1,DNS:openrouter.test"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    arguments = [*command.split(), "-keyout", str(key), "-out", str(certificate), "-addext", names]
    subprocess.run(arguments, check=True, capture_output=True)  # noqa: S603 - our own words
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.set_alpn_protocols(["h2", "http/1.1"])
    return Authority(certificate, server)
