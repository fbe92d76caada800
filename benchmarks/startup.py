"""What an import costs: CPU in a new process, over that of Python itself, with and without compiled modules."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

__all__ = ["IMPORTS", "measure_imports"]

ROUNDS = 5
IMPORTS = {
    "nothing": "pass",
    "lfm_adapter": "import lfm_adapter",
    "langchain_core.language_models.chat_models": "import langchain_core.language_models.chat_models",
    "ChatLFM": "from lfm_adapter import ChatLFM",
    "LFMClient": "from lfm_adapter import LFMClient",
    "ChatOpenAI": "from langchain_openai import ChatOpenAI",
    "ChatOpenRouter": "from langchain_openrouter import ChatOpenRouter",
    "openai": "from openai import OpenAI",
    "litellm": "import litellm",
    "lfm_adapter.litellm, registered": "import litellm, lfm_adapter.litellm as lfm; lfm.register()",
}
_CODE = "{}\nimport resource\nused = resource.getrusage(resource.RUSAGE_SELF)\nprint(used.ru_utime + used.ru_stime)"


def measure_imports(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of CPU of each import: `compiled` and `uncompiled`."""
    took: dict[str, dict[str, list[float]]] = {name: {"compiled": [], "uncompiled": []} for name in IMPORTS}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(rounds + 1):
            for name, code in IMPORTS.items():
                compiled = _milliseconds(code, cache, writes=number == 0)
                if number:
                    took[name]["compiled"].append(compiled)
                if 0 < number <= 3:  # compiling LiteLLM takes seconds
                    took[name]["uncompiled"].append(_milliseconds(code, os.devnull, writes=False))
    return {name: {way: statistics.median(values) for way, values in ways.items()} for name, ways in took.items()}


def _milliseconds(code: str, cache: str, *, writes: bool) -> float:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    environment |= {"PYTHONPYCACHEPREFIX": cache, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    if not writes:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    ran = subprocess.run(
        [sys.executable, "-c", _CODE.format(code)], capture_output=True, text=True, check=True, env=environment
    )
    return float(ran.stdout.split()[-1]) * 1_000
