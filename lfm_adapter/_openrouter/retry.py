"""Whether and when a failed request may be sent again. Decides only; whoever asks does the sleeping.

The waits follow https://openrouter.ai/docs/api-reference/limits and what the `openai` SDK made the custom: a server's
own wait is kept to up to 120 s, above which trying again is the caller's business; otherwise they grow from half a
second to 8, less up to a quarter by chance, so that many clients do not come back at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfm_adapter.errors import APIError

__all__ = ["MAX_WAIT_S", "wait_s"]

MAX_WAIT_S = 120.0
_FIRST_WAIT_S = 0.5
_LAST_WAIT_S = 8.0


def wait_s(error: APIError, *, retries_done: int, max_retries: int, remaining_s: float, chance: float) -> float | None:
    """Return the seconds to wait before the next try, or None when there must be none.

    Args:
        error: What the last try ended in.
        retries_done: Tries after the first so far.
        max_retries: How many are allowed; 0 means none.
        remaining_s: Seconds until the caller's deadline; `math.inf` without one.
        chance: A random number from 0 to 1.

    >>> from lfm_adapter.errors import AuthenticationError, RateLimitError
    >>> wait_s(RateLimitError("slow down", retry_after=3), retries_done=0, max_retries=2, remaining_s=60, chance=0.5)
    3.0
    >>> wait_s(AuthenticationError("who are you"), retries_done=0, max_retries=2, remaining_s=60, chance=0.5) is None
    True
    """
    if not error.is_retryable or error.partial is not None or retries_done >= max_retries:
        return None
    if error.retry_after:  # a wait of 0, or until a time that has passed here, would bring all clients back at once
        wait = float(error.retry_after)
        if wait > MAX_WAIT_S:
            return None
    else:
        wait = min(_FIRST_WAIT_S * 2 ** min(retries_done, 10), _LAST_WAIT_S) * (1 - 0.25 * chance)
    return wait if wait < remaining_s else None
