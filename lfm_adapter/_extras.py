"""The parts of this package that need more than the rest, and how to install them."""

from __future__ import annotations

EXTRAS = {
    "gateway": ("leather", "the dashboard and metrics of `lfm gateway`"),
    "litellm": ("litellm", "models named lfm/... in LiteLLM, and `lfm run`"),
    "llm": ("llm", "Liquid's models in Simon Willison's `llm`"),
    "local": ("xllamacpp", "models on this machine: `lfm local`, `lfm chat --local`"),
    "mcp": ("mcp", "`lfm mcp`"),
    "otel": ("opentelemetry-api", "spans of each call, for OpenTelemetry"),
    "proxy": ("prisma", "LiteLLM's Proxy, for `lfm proxy-config`"),
}
"""The extras of pyproject.toml: for each a package that it brings, and what it is for."""


def how_to_install(*extras: str) -> str:
    """Return the command that brings some of the extras of pyproject.toml.

    >>> how_to_install("local", "mcp")
    'pip install "lfm-adapter[local,mcp]"'
    """
    return f'pip install "lfm-adapter[{",".join(extras)}]"'
