"""What cannot be collected on the oldest langchain-core that is supported."""

from __future__ import annotations

from importlib.util import find_spec

# Decisions need langchain-core 1.8.
collect_ignore = [] if find_spec("langchain_core.decisions") else ["test_decisions.py"]
