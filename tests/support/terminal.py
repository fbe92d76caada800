"""A program in a pseudo-terminal: keys go in, and what is shown comes out without escape sequences."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

CTRL_C, CTRL_D, TAB, UP = "\x03", "\x04", "\t", "\x1b[A"

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Terminal:
    """`lfm` with its arguments, in a terminal of 80 columns.

    Attributes:
        shown: What was shown so far.
        raw: The same with its escape sequences.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", "from lfm_adapter.apps.cli import app; app(prog_name='lfm')", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})},
            start_new_session=True,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - Ctrl-C goes to the program in whose terminal it is typed
        )
        os.close(slave)
        self.shown = self.raw = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str, seconds: float = 60) -> str:
        """Wait for a text after what was waited for before, and return what came up to its end."""
        deadline = time.monotonic() + seconds
        while (found := self.shown.find(text, self._seen)) < 0:
            assert self._read(deadline), f"{text!r} was not shown, but:\n{self.shown[self._seen :]}"
        start, self._seen = self._seen, found + len(text)
        return self.shown[start : self._seen]

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end of the program, and return its status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self._process.wait(seconds)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            read = os.read(self._master, 65536)
        except OSError:  # the program has ended
            return False
        text = read.decode(errors="replace")
        self.raw += text
        self.shown += _ESCAPES.sub("", text)
        return bool(read)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
