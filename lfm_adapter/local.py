"""GGUF files served by llama.cpp on this machine: `lfm_adapter.apps.local` by its public name."""

from __future__ import annotations

from lfm_adapter.apps.local import DEMO_MODEL, LocalServer, demo_model, serve

__all__ = ["DEMO_MODEL", "LocalServer", "demo_model", "serve"]
