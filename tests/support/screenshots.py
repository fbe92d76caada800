"""Pictures of the command in a terminal, for the docs. `make screenshots` draws them.

It runs in tmux, and the pictures show the screen that tmux holds. A scripted OpenRouter answers, but in "local"
the demo model on this machine.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lfm_adapter.testing import ScriptedOpenRouter, decisions, stream, token_usage

IMAGES = Path(__file__).parents[2] / "docs" / "images"
COLUMNS, ROWS = 80, 30
SESSION = "lfm-screenshots"
TIMEOUT_S = 15.0

ANSWER = """\
Water is **H₂O**: two atoms of hydrogen and one of oxygen. It covers some 71 % of the Earth's surface.

| State | Below | Above |
| --- | --- | --- |
| ice | 0 °C | |
| liquid | 100 °C | 0 °C |

```python
def is_liquid(celsius):
    return 0 < celsius < 100
```
"""
DECISIONS = (0.97, {"billing": 0.93, "shipping": 0.05, "other": 0.02}, [0.06, 0.71, 0.23])
REASONING = "The user wants a short overview. A table of the states may help."

# For each picture: what is typed, and what is shown when it has been answered.
SCENES = {
    "chat": [("lfm chat -m lfm-3-1.7b What is water", "tokens/s")],
    "conversation": [
        ("lfm chat -m lfm-3-1.7b", "Ctrl-D leaves."),
        ("What is water?", "tokens/s"),
        ("/usage", "1 answer"),
        ("/help", "Ctrl-D"),
    ],
    "decide": [
        ('echo "Charged twice! Pay me back today." > mail.txt', "$"),
        ("lfm decide Must somebody answer today < mail.txt", "97%"),
        ("lfm decide Who should answer -l billing,shipping,other < mail.txt", "confidence"),
        ("lfm decide How angry is it --scale calm,annoyed,furious < mail.txt", "score"),
    ],
    "local": [
        ("lfm chat --local Explain in one sentence what water is", "no cost"),
        ("lfm models --kind chat", "lfm-40b "),
    ],
    "models": [("lfm models", "lfm-40b "), ("lfm models lfm-3c", "Did you mean")],
    "doctor": [("lfm doctor", "model:")],
}


def draw(scene: str, server: ScriptedOpenRouter) -> str:
    """Play a scene and return its last screen as SVG."""
    pieces = [ANSWER[start : start + 9] for start in range(0, len(ANSWER), 9)]
    reply = stream(pieces, reasoning=[REASONING], usage=token_usage(11, 96, cost=0.0000201))
    server.add(replace(reply, parts=[part for sent in reply.parts for part in (sent, 0.01)]))
    answers = [decisions({"question": answer}, cost=1.12e-6, input_tokens=56) for answer in DECISIONS]
    server.add(*answers, path="/alpha/decisions")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:  # the shell may still write its history
        settings = {
            "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "PS1": "$ ", "TERM": "xterm-256color",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OPENROUTER_BASE_URL": server.base_url,
            "OPENROUTER_API_KEY": "sk-or-v1-made-up-for-pictures",
        }  # fmt: skip
        shell = shlex.join(["env", *(f"{name}={value}" for name, value in settings.items()), "bash", "--norc"])
        _tmux("new-session", "-c", home, "-d", "-s", SESSION, "-x", str(COLUMNS), "-y", str(ROWS), shell)
        try:
            for typed, shown in SCENES[scene]:
                time.sleep(0.5)
                _tmux("send-keys", "-t", SESSION, "-l", typed)
                _tmux("send-keys", "-t", SESSION, "Enter")
                _wait_for(shown)
            time.sleep(0.5)
            screen = _tmux("capture-pane", "-p", "-e", "-t", SESSION).rstrip()
        finally:
            _tmux("kill-session", "-t", SESSION)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.replace(server.base_url, "https://openrouter.ai/api/v1")))
    picture = console.export_svg(title=SCENES[scene][0][0].split(" -")[0], unique_id=f"lfm-{scene}")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # they load from elsewhere


def _tmux(*arguments: str) -> str:
    command = ["tmux", "-f", os.devnull, "-L", SESSION, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 # our own session


def _wait_for(text: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while text not in _tmux("capture-pane", "-p", "-t", SESSION, "-S", "-100"):
        if time.monotonic() > deadline:
            shown = _tmux("capture-pane", "-p", "-t", SESSION)
            raise TimeoutError(f"{text!r} was not shown, but:\n{shown}")
        time.sleep(0.1)


if __name__ == "__main__":
    for name in sys.argv[1:] or SCENES:
        with ScriptedOpenRouter() as scripted:
            (IMAGES / f"{name}.svg").write_text(draw(name, scripted), encoding="utf-8")
