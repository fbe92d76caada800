"""The picture of a terminal in README: what the commands print, here and now. `make picture` draws it."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console

PICTURE = Path(__file__).parents[2] / "docs" / "terminal.svg"
COMMANDS = ['lfm chat --local "Explain in one sentence what water is."', "lfm models --kind chat"]
COLUMNS = 88


def draw() -> str:
    """Run the commands and return what they print as a picture, in SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in COMMANDS:
        printed = subprocess.run(  # noqa: S603 # our own commands
            [Path(sys.executable).with_name("lfm"), *shlex.split(command)[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"COLUMNS": str(COLUMNS)},
            text=True,
            check=True,
        ).stdout
        console.print(f"$ {command}", style="bold", markup=False, highlight=False)
        console.print(printed, markup=False, highlight=False)
    picture = console.export_svg(title="lfm", unique_id="lfm")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # they load from elsewhere


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
