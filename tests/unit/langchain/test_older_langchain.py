"""What users of a langchain-core without decision models see."""

from __future__ import annotations

import subprocess
import sys

# Runs on every release of langchain-core: the module is hidden.
HIDE = "import sys; sys.modules['langchain_core.decisions'] = None\n"


def printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", HIDE + program], capture_output=True, check=True, text=True).stdout  # noqa: S603


def test_decisions_name_the_release_that_they_need():
    message = printed(
        "from lfm_adapter import LFMDecisions\ntry: LFMDecisions()\nexcept ImportError as error: print(error)"
    )
    assert message.startswith("`LFMDecisions` needs langchain-core 1.8 or newer; 1.")
    assert 'pip install -U "langchain-core>=1.8"' in message


def test_everything_else_works():
    names = printed(
        "from lfm_adapter import *\nfrom lfm_adapter.langchain import *\nimport inspect, lfm_adapter.langchain\n"
        "inspect.getmembers(lfm_adapter.langchain)\nprint(ChatLFM().model, LFMEmbeddings().model)"
    )
    assert names == "liquid/lfm-3b liquid/lfm-2.5-embedding-350m:free\n"
