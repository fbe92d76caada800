"""Logs to stderr: one short line for each record, without blocking if nobody reads it."""

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

_MAX_LINE_CHARS = 500


class ShortLines(logging.Handler):
    """Writes the beginning of each record, without its traceback.

    Many clients never read stderr. A line is dropped if writing it would block.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        line = f"{record.levelname}: {' '.join(record.getMessage().split())}"[:_MAX_LINE_CHARS]
        if record.exc_info and record.exc_info[0]:  # without its message, which may contain a user's text
            frames = traceback.extract_tb(record.exc_info[2])
            line += f" ({record.exc_info[0].__name__}{f' at {frames[-1].filename}:{frames[-1].lineno}' * bool(frames)})"
        try:
            if sys.platform == "win32" or select.select([], [2], [], 0)[1]:
                os.write(2, line.encode("utf-8", "replace") + b"\n")
        except (OSError, ValueError):  # stderr is closed
            pass


def log_short_lines(with_option_names: Callable[[str], str]) -> None:
    """Log warnings and errors as short lines, including those of `warnings`.

    Args:
        with_option_names: Replaces the names of arguments in a warning by the command's options.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[ShortLines()], force=True)
    logger = logging.getLogger("py.warnings")
    warnings.showwarning = lambda message, *_args, **_kwargs: logger.warning("%s", with_option_names(str(message)))
