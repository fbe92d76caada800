"""Log records on stderr: one short line each, and none that waits for a client to read it."""

from __future__ import annotations

import logging
import os
import select
import sys
import traceback
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["log_short_lines"]

_MAX_LINE_CHARS = 500


class ShortLines(logging.Handler):
    """Writes the first words of each record, without a traceback.

    Many clients never read stderr. A line is dropped if it could make the server wait for them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        line = f"{record.levelname}: {' '.join(record.getMessage().split())}"[:_MAX_LINE_CHARS]
        if record.exc_info and record.exc_info[0]:  # without its message, which may hold what a user wrote
            frames = traceback.extract_tb(record.exc_info[2])
            line += f" ({record.exc_info[0].__name__}{f' at {frames[-1].filename}:{frames[-1].lineno}' * bool(frames)})"
        try:
            if sys.platform == "win32" or select.select([], [2], [], 0)[1]:
                os.write(2, line.encode("utf-8", "replace") + b"\n")
        except (OSError, ValueError):  # stderr is closed
            pass


def log_short_lines(with_option_names: Callable[[str], str]) -> None:
    """Log warnings and errors in this way, those of `warnings` included.

    Args:
        with_option_names: Words a warning for users of the command.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[ShortLines()], force=True)
    logger = logging.getLogger("py.warnings")
    warnings.showwarning = lambda message, *_args, **_kwargs: logger.warning("%s", with_option_names(str(message)))
