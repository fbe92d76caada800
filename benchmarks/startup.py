"""What an import costs: CPU in a new process, once what is said to be there already is, with and without bytecode."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

__all__ = ["IMPORTS", "measure_imports"]

ROUNDS = 7
LANGCHAIN = "langchain_core.language_models.chat_models"

# What comes after LangChain is measured in one process with it. The difference of two processes would not tell: one
# frame more or less below LangChain's 830 modules moves their import by up to 100 ms, see `worker.DEPTHS`.
IMPORTS = {
    "lfm_adapter": ("", "import lfm_adapter"),
    LANGCHAIN: ("", f"import {LANGCHAIN}"),
    "ChatLFM, after LangChain's": (f"import {LANGCHAIN}", "from lfm_adapter import ChatLFM"),
    "ChatOpenAI, after LangChain's": (f"import {LANGCHAIN}", "from langchain_openai import ChatOpenAI"),
    "ChatOpenRouter, after LangChain's": (f"import {LANGCHAIN}", "from langchain_openrouter import ChatOpenRouter"),
    "LFMClient": ("", "from lfm_adapter import LFMClient"),
    "openai": ("", "from openai import OpenAI"),
    "litellm": ("", "import litellm"),
    "lfm_adapter.litellm, registered, after LiteLLM": (
        "import litellm",
        "import lfm_adapter.litellm as lfm; lfm.register()",
    ),
}
"""By the name in the tables: what is imported before, and what is measured."""

_CODE = "{}\nfrom time import process_time\nbefore = process_time()\n{}\nprint(process_time() - before)"


def measure_imports(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of CPU of each import: `compiled` and `uncompiled`."""
    took: dict[str, dict[str, list[float]]] = {name: {"compiled": [], "uncompiled": []} for name in IMPORTS}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(rounds + 1):
            for name, (before, code) in IMPORTS.items():
                script = _CODE.format(before, code)
                compiled = _milliseconds(script, cache, writes=number == 0)
                if number:
                    took[name]["compiled"].append(compiled)
                if 0 < number <= 3:  # compiling LiteLLM takes seconds
                    took[name]["uncompiled"].append(_milliseconds(script, os.devnull, writes=False))
    return {name: {way: statistics.median(values) for way, values in ways.items()} for name, ways in took.items()}


def _milliseconds(script: str, cache: str, *, writes: bool) -> float:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    environment |= {"PYTHONPYCACHEPREFIX": cache, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    if not writes:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    return float(ran.stdout.split()[-1]) * 1_000
