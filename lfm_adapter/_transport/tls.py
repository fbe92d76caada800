"""The TLS context that every connection of this process shares."""

from __future__ import annotations

import os
import ssl
import sys
import threading
from pathlib import Path

from lfm_adapter.errors import ConfigurationError

__all__ = ["built_context", "context"]

# In the order in which requests reads the first two; OpenSSL's own comes last.
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

_lock = threading.Lock()
_context: ssl.SSLContext | None = None


def context() -> ssl.SSLContext:
    """Return the shared context, built at the first call: reading the certificates takes 15 to 35 ms.

    The certificates are those that `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE` or `SSL_CERT_DIR` names,
    else those of the operating system. The variables are read once.

    Raises:
        ConfigurationError: A variable names a file or directory that is not there or holds no certificates.
    """
    global _context  # noqa: PLW0603 - one context for the process is the purpose of this module
    if _context is None:
        with _lock:
            if _context is None:
                _context = _build()
    return _context


def built_context() -> ssl.SSLContext | None:
    """Return the shared context if `context` would answer at once, else None."""
    return _context


def _build() -> ssl.SSLContext:
    named = _from_environment()
    if not named and sys.platform in {"darwin", "win32"}:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        # truststore would do for Linux too, but there it reads the same files as OpenSSL, anew for every connection
        # and under a lock: 17 ms each, and growing (https://github.com/sethmlarson/truststore/issues/212).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for variable, place in named.items():
            _trust(context, variable, place)
        if not named:
            _trust_system(context)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _from_environment() -> dict[str, str]:
    """Return the variables that name certificates, and what they name: one bundle, one list of directories."""
    bundle = next((variable for variable in _BUNDLE_VARIABLES if os.environ.get(variable)), "")
    return {variable: place for variable in (bundle, "SSL_CERT_DIR") if (place := os.environ.get(variable))}


def _trust(context: ssl.SSLContext, variable: str, place: str) -> None:
    # requests takes a directory for a bundle too; SSL_CERT_DIR may list several, which OpenSSL splits.
    if variable == "SSL_CERT_DIR" or Path(place).is_dir():
        context.load_verify_locations(capath=place)
        return
    try:
        context.load_verify_locations(cafile=place)
    except OSError as error:
        raise ConfigurationError(
            f"`{variable}` names {place!r}, which cannot be read as certificates. "
            "Point it at a PEM file, or unset it to use those of the system.",
        ) from error


def _trust_system(context: ssl.SSLContext) -> None:
    defaults = ssl.get_default_verify_paths()
    if defaults.cafile or (defaults.capath and any(Path(defaults.capath).glob("*.0"))):
        context.set_default_verify_paths()
        return
    bundle = next((path for path in _SYSTEM_BUNDLES if Path(path).is_file()), None)
    if bundle is not None:
        context.load_verify_locations(cafile=bundle)


def _renew_lock_in_child() -> None:
    """A thread of the parent may have held it."""
    global _lock  # noqa: PLW0603 - see `context`
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_in_child)
