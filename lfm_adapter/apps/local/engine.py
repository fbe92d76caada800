"""llama.cpp's server, in a process of its own because it may crash."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from lfm_adapter.apps.local.gguf import find_decision_type
from lfm_adapter.apps.local.process import read_settings
from lfm_adapter.errors import ConfigurationError

# Memory for prompts that llama.cpp keeps for later requests. Its default, 8192 MiB, fills a laptop's memory: the demo
# model takes 65 MiB for a prompt of 3,000 tokens (measured on 2026-11-23).
PROMPT_CACHE_MIB = 256

# Its encoder reads a question in one batch: https://huggingface.co/LiquidAI/d1-omni-600M-GGUF
ENCODER_DECISION_TYPE = "lfm2-d1-omni"


def main() -> None:
    """Read the settings from stdin, start the server, write its port to stdout, and run until stdin is closed."""
    settings = read_settings()
    report = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # llama.cpp writes to both
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    try:
        server = _start(settings)
    except ConfigurationError as error:
        answer: dict[str, Any] = {"error": error.message}
    else:
        answer = {"port": int(server.listening_address.rpartition(":")[2])}
    print(json.dumps(answer), file=report, flush=True)
    if "port" in answer:
        threading.Event().wait()


def _end_with_supervisor() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _start(settings: dict[str, Any]) -> Any:
    xllamacpp = _xllamacpp()
    params = xllamacpp.CommonParams()
    params.model.path = settings["gguf"]
    params.model_alias = {settings["model"]}
    params.n_parallel = settings["parallel"]
    params.n_ctx = settings["context_length"] * settings["parallel"]
    params.cpuparams.n_threads = settings["threads"] or (1 if settings["is_demo"] else max(1, _cpus() // 2))
    params.cpuparams_batch.n_threads = _cpus()
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.cors_origins = ""
    params.ui = False
    params.endpoint_metrics = True
    params.verbosity = 3 if settings["verbose"] else -1
    if settings["chat_template"] is not None:
        params.chat_template = settings["chat_template"]
    kind = find_decision_type(Path(settings["gguf"]))
    if settings["embeddings"] or kind == ENCODER_DECISION_TYPE:
        params.n_batch = params.n_ubatch = settings["context_length"]  # an input must fit one batch
    if settings["embeddings"]:
        params.embedding = True
        if settings["embeddings"] is not True:
            name = f"LLAMA_POOLING_TYPE_{settings['embeddings'].upper()}"
            params.pooling_type = getattr(xllamacpp.llama_pooling_type, name)
    if settings["is_demo"]:
        # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct#how-to-use, read 2026-11-23
        params.sampling.temp = 0.2
        params.sampling.top_p = 0.9
        params.sampling.penalty_repeat = 1.1  # without it, the model can repeat itself until its context is full
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        what = f"an architecture or a decision type ({kind!r})" if kind else "an architecture"
        raise ConfigurationError(
            f"llama.cpp cannot serve {settings['gguf']!r}: the file may be damaged, too large for the memory, or "
            f"of {what} unknown to xllamacpp {xllamacpp.__version__}, or its chat template is invalid. "
            "With `verbose=True` (`lfm local --verbose`) llama.cpp writes the reason to stderr."
        ) from error


def _xllamacpp() -> Any:
    # With threads that spin while they wait, one other busy process slowed the demo model from 68 to 4 tokens a second
    # (2 cores, measured on 2026-11-23).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        advice = f"llama.cpp cannot be loaded: {error}."
        if "libgomp" in str(error):
            advice = (
                "llama.cpp needs the OpenMP library libgomp. Run `apt-get install libgomp1` on Debian or Ubuntu, "
                "`dnf install libgomp` on Fedora."
            )
        raise ConfigurationError(advice) from error
    return xllamacpp


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
