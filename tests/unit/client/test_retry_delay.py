from __future__ import annotations

import math
from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfm_adapter import errors
from lfm_adapter._client.calls import MAX_RETRY_DELAY_S, retry_delay
from lfm_adapter.types import Choice, Reply

FAILED = errors.ServerError("Provider returned error", status_code=502)


def wait(error=FAILED, *, retries_done=0, max_retries=2, remaining_s=math.inf, jitter=0.0):
    return retry_delay(
        error, retries_done=retries_done, max_retries=max_retries, remaining_s=remaining_s, jitter=jitter
    )  # fmt: skip


class TestWhether:
    def test_retries_as_often_as_allowed(self):
        for allowed in range(4):
            tries = takewhile(lambda done: wait(retries_done=done, max_retries=allowed) is not None, count())  # noqa: B023 # used up in this round
            assert len(list(tries)) == allowed

    def test_only_what_is_retryable(self):
        assert wait(errors.RateLimitError("x")) is not None
        assert wait(errors.RateLimitError("x", is_retryable=False)) is None
        assert wait(errors.AuthenticationError("x")) is None
        assert wait(errors.AuthenticationError("x", is_retryable=True)) is not None

    def test_never_once_content_has_come(self):
        partial = Reply(choices=[Choice(text="Par")])
        assert wait(errors.StreamInterruptedError("x", partial=partial)) is None
        assert wait(errors.StreamInterruptedError("x")) is not None

    def test_never_past_the_deadline(self):
        assert wait(remaining_s=0.5) is None
        assert wait(remaining_s=0.51) == 0.5
        assert wait(errors.RateLimitError("x", retry_after=30), remaining_s=30) is None
        assert wait(errors.RateLimitError("x", retry_after=30), remaining_s=31) == 30
        assert wait(remaining_s=-1) is None


class TestHowLong:
    def test_twice_as_long_each_time_up_to_a_bound(self):
        waits = [wait(retries_done=done, max_retries=2_000) for done in (0, 1, 2, 3, 4, 5, 6, 1_999)]
        assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8]

    def test_up_to_a_quarter_less_by_jitter(self):
        assert wait(jitter=0.5) == 0.4375
        assert wait(jitter=1.0) == 0.375

    @pytest.mark.parametrize("told_s", [0.1, 1, 2.5, 30, MAX_RETRY_DELAY_S])
    def test_delay_is_that_of_the_server(self, told_s):
        assert wait(errors.RateLimitError("x", retry_after=told_s), retries_done=1, jitter=0.7) == told_s

    def test_no_retry_if_the_server_asks_for_too_long_a_delay(self):
        assert wait(errors.RateLimitError("x", retry_after=MAX_RETRY_DELAY_S + 1)) is None

    def test_delay_is_positive_if_the_servers_time_has_passed(self):
        assert wait(errors.RateLimitError("x", retry_after=0.0)) == 0.5

    @given(st.integers(0, 10**6), st.floats(0, 1), st.none() | st.floats(0, 10**6))
    def test_never_shorter_than_asked_nor_longer_than_bearable(self, done, jitter, told_s):
        found = wait(
            errors.RateLimitError("x", retry_after=told_s), retries_done=done, max_retries=done + 1, jitter=jitter
        )
        if found is None:
            assert told_s is not None
            assert told_s > MAX_RETRY_DELAY_S
        else:
            assert (told_s or 0.375) <= found <= (told_s or 8)
