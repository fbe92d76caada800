"""The TLS context that every connection of the process shares."""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache
from pathlib import Path

from lfm_adapter.errors import ConfigurationError

# The first two in the order in which requests reads them; OpenSSL's own comes last.
_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

# Where distributions keep their bundle, for a Python that was built elsewhere and looks in another place
# (https://go.dev/src/crypto/x509/root_linux.go, 2026-11).
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@cache
def context() -> ssl.SSLContext:
    """Return the shared context. The first call reads the certificates, which takes 15 to 35 ms.

    The certificates are those that `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` or `SSL_CERT_DIR` names,
    else those of the operating system. After `context.cache_clear()`, the next call reads them again.
    """
    bundle = next((name for name in _BUNDLE_VARIABLES if os.environ.get(name)), "")
    named = {name: place for name in (bundle, "SSL_CERT_DIR") if (place := os.environ.get(name))}
    if not named and sys.platform in {"darwin", "win32"}:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        # On Linux truststore reads the same files as OpenSSL, but anew for every connection and under a lock: 17 ms
        # each, and growing (https://github.com/sethmlarson/truststore/issues/212).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for variable, place in named.items():
            _trust(context, variable, place)
        if not named:
            _trust_system(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def is_built() -> bool:
    """Return whether `context` answers at once."""
    return context.cache_info().currsize > 0


def _trust(context: ssl.SSLContext, variable: str, place: str) -> None:
    # Like requests, take a directory where a bundle is expected. `SSL_CERT_DIR` may list several, which OpenSSL splits.
    if variable == "SSL_CERT_DIR" or Path(place).is_dir():
        context.load_verify_locations(capath=place)
        return
    try:
        context.load_verify_locations(cafile=place)
    except OSError as error:
        raise ConfigurationError(
            f"Could not read certificates from {place!r} (`{variable}`). "
            "Set it to a PEM file, or unset it to use the certificates of the system."
        ) from error


def _trust_system(context: ssl.SSLContext) -> None:
    defaults = ssl.get_default_verify_paths()
    if defaults.cafile or (defaults.capath and any(Path(defaults.capath).glob("*.0"))):
        context.set_default_verify_paths()
        return
    bundle = next((path for path in _SYSTEM_BUNDLES if Path(path).is_file()), None)
    if bundle is not None:
        context.load_verify_locations(cafile=bundle)
