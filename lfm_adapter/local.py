"""GGUF files served by llama.cpp on this machine."""

from __future__ import annotations

from lfm_adapter.apps.local import DEMO_DECISION_MODEL, DEMO_MODEL, LocalServer, demo_model, serve

__all__ = ["DEMO_DECISION_MODEL", "DEMO_MODEL", "LocalServer", "demo_model", "serve"]
