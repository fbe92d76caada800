"""How many files of the package a reader meets who follows one call from the message to the socket and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import lfm_adapter
from lfm_adapter import ChatLFM
from lfm_adapter.testing import ScriptedOpenRouter, completion, stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

PACKAGE = Path(lfm_adapter.__file__).parent
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = ["I look.\n<|tool_call_start|>", "[weather(city='Ro", "me')]<|tool_call_end|>"]


def files_entered(call: Callable[[], object]) -> set[str]:
    """Return the files whose functions a call enters, without the scripted server's; what is loaded once is loaded."""
    entered: set[Path] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered.add(Path(frame.f_code.co_filename))

    call()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    ours = (file.relative_to(PACKAGE) for file in entered if file.is_relative_to(PACKAGE))
    return {str(file) for file in ours if file.parts[0] != "testing"}


def test_an_answer_takes_20_files_at_most(openrouter: ScriptedOpenRouter) -> None:
    openrouter.add(completion("Hello."), completion("Hello."))
    model = ChatLFM(model="liquid/lfm-3-1.7b")
    files = files_entered(lambda: model.invoke("Hi"))
    assert len(files) <= 20, sorted(files)
    assert {"langchain/chat_model.py", "_client/sync_client.py", "_transport/urllib3.py"} <= files


def test_a_streamed_call_by_prompt_takes_28_files_at_most(openrouter: ScriptedOpenRouter) -> None:
    openrouter.add(stream(CALL), stream(CALL))
    model = ChatLFM(model="liquid/lfm-3-1.7b", tool_calling="prompted").bind_tools([TOOL])
    files = files_entered(lambda: [*model.stream("The weather in Rome?")])
    assert len(files) <= 28, sorted(files)
    assert "_toolcalls/frames.py" in files
