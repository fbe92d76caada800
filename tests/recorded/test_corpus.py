"""Nothing that a recorded reply says is lost by the protocol, however the network cuts it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from lfm_adapter import errors
from tests.support import corpus
from tests.support.stream_reading import ASKED, cut_at, is_event_stream, joined, read_reply, read_stream

if TYPE_CHECKING:
    from lfm_adapter.types import Choice, Reply

if corpus.FOLDER is None:
    pytest.skip(corpus.WHY_NOT, allow_module_level=True)

RECORDINGS = corpus.load()
SUCCESSES = [recording for recording in RECORDINGS if recording.status == 200]
STREAMS = [recording for recording in SUCCESSES if recording.is_stream]
REFUSALS = [recording for recording in RECORDINGS if recording.status != 200]

# class, code, provider, retryable, retry_after, and words of the message
ERROR_FILES = {
    "chat-completion-error-200.documented.json": (
        errors.ServerError, "provider_unavailable", None, True, None, "Provider disconnected mid-stream",
    ),
    "chat-stream-midstream-error.documented.json": (
        errors.RateLimitError, "rate_limit_exceeded", "OpenAI", True, None, "Rate limit exceeded",
    ),
    "error-400-invalid-json.recorded.json": (
        errors.BadRequestError, None, None, False, None, "Input must have at least 1 token.",
    ),
    "error-400-invalid-model.recorded.json": (
        errors.ModelNotFoundError, None, None, False, None, "nonexistent/not-a-model:free is not a valid model ID",
    ),
    "error-400-missing-messages.recorded.json": (
        errors.BadRequestError, None, None, False, None, 'Input required: specify "prompt" or "messages"',
    ),
    "error-400-reasoning-mandatory.recorded.json": (
        errors.BadRequestError, None, None, False, None, "Reasoning is mandatory for this endpoint",
    ),
    "error-400-zod-validation.json": (
        errors.BadRequestError, None, None, False, None, "Invalid input: expected string, received undefined",
    ),
    "error-401.json": (errors.AuthenticationError, None, None, False, None, "OPENROUTER_API_KEY"),
    "error-402-chat-image-balance.recorded.json": (
        errors.PaymentRequiredError, None, None, False, None, "Raise or remove this API key's usage limit",
    ),
    "error-402-in-flight-budget.documented.json": (
        errors.PaymentRequiredError, None, None, True, None, "Retry after your in-flight requests settle",
    ),
    "error-404-data-policy.recorded.json": (
        errors.NoEndpointsError, None, None, False, None, "It failed at the step 'Filter by Data Policy'.",
    ),
    "error-404.json": (errors.NotFoundError, None, None, False, None, "Not Found"),
    "error-429-upstream-2.recorded.json": (
        errors.RateLimitError, "rate_limit_exceeded", "Liquid", True, 1.0, "temporarily rate-limited upstream",
    ),
    "error-429-upstream.recorded.json": (
        errors.RateLimitError, None, "Google AI Studio", True, None, "temporarily rate-limited upstream",
    ),
    "error-429.documented.json": (
        errors.RateLimitError, "rate_limit_exceeded", None, True, None, "Rate limit exceeded",
    ),
    "error-502-provider.documented.json": (
        errors.ServerError, "provider_unavailable", None, True, None, "Provider returned error",
    ),
}  # fmt: skip


def by_id(recordings):
    return pytest.mark.parametrize("recording", recordings, ids=[recording.id for recording in recordings])


def facts_of(reply: Reply) -> corpus.Expected:
    """Return what was read, to be compared with what is expected."""
    choice: Choice = reply.choices[0]
    assert reply.id is not None
    assert reply.model is not None
    return corpus.Expected(
        generation_id=reply.id,
        model=reply.model,
        text=reply.text,
        reasoning=reply.reasoning,
        reasoning_details=choice.reasoning_details,
        tool_calls=[(call.id, call.name, call.arguments) for call in reply.tool_calls],
        finish_reason=reply.finish_reason,
        native_finish_reason=choice.native_finish_reason,
        usage=reply.usage,
        cost=None if reply.usage is None else reply.usage.get("cost"),
        provider=reply.provider,
        refusal=choice.refusal,
        annotations=choice.annotations,
        citations=reply.extra.get("citations"),
        logprobs=choice.logprobs,
        system_fingerprint=reply.system_fingerprint,
        service_tier=reply.service_tier,
    )


def read(recording: corpus.Recording) -> Reply:
    if is_event_stream(recording.status, recording.headers):
        return read_stream([recording.body]).whole
    return read_reply(recording.status, recording.headers, recording.body)


@by_id(SUCCESSES)
def test_a_recorded_reply_is_read_without_a_loss(recording):
    assert facts_of(read(recording)) == corpus.expected(recording)


@by_id(STREAMS)
def test_a_recorded_stream_reads_the_same_byte_by_byte(recording):
    whole = read_stream([recording.body])
    bytewise = read_stream(recording.body[place : place + 1] for place in range(len(recording.body)))
    assert bytewise.whole == whole.whole
    assert bytewise.deltas == whole.deltas


@by_id(STREAMS)
def test_a_recorded_stream_reads_the_same_in_random_pieces(recording):
    whole = read_stream([recording.body]).whole
    for seed in range(5):
        chance = random.Random(seed)
        places = (chance.randrange(len(recording.body)) for _ in range(chance.choice([1, 10, 100])))
        assert read_stream(cut_at(recording.body, places)).whole == whole


@by_id(STREAMS)
def test_the_deltas_of_a_recorded_stream_join_to_its_reply(recording):
    reading = read_stream([recording.body])
    told, choice = joined(reading.deltas), reading.whole.choices[0]
    for name in ("text", "reasoning", "refusal", "tool_calls", "logprobs"):
        assert getattr(told, name) == getattr(choice, name), name


@by_id(STREAMS)
def test_a_recorded_stream_that_is_cut_off_is_never_taken_for_a_whole_one(recording):
    whole = read_stream([recording.body]).whole
    chance = random.Random(recording.id)
    for place in (chance.randrange(len(recording.body)) for _ in range(20)):
        reading = read_stream([recording.body[:place]])
        if reading.error is None:
            assert reading.whole == whole
        else:
            assert isinstance(reading.error, errors.StreamInterruptedError)
            assert reading.error.is_retryable
            if reading.deltas:
                assert reading.partial.text == joined(reading.deltas).text


@by_id(REFUSALS)
def test_a_recorded_refusal_is_the_error_of_its_status(recording):
    with pytest.raises(errors.APIError) as caught:
        read_reply(recording.status, recording.headers, recording.body)
    kinds = {400: errors.BadRequestError, 401: errors.AuthenticationError}
    assert isinstance(caught.value, kinds[recording.status])
    assert caught.value.status_code == recording.status
    assert not caught.value.is_retryable


def test_a_recorded_prompt_that_was_too_long_is_told_from_other_bad_requests():
    refusals = [recording for recording in REFUSALS if b"maximum context length" in recording.body]
    assert refusals
    for recording in refusals:
        with pytest.raises(errors.ContextWindowExceededError) as caught:
            read_reply(recording.status, recording.headers, recording.body)
        assert caught.value.context_length == 200_000


@by_id(corpus.errors())
def test_an_error_file_is_the_right_exception(recording):
    kind, code, provider, retryable, retry_after, words = ERROR_FILES[recording.id]
    if is_event_stream(recording.status, recording.headers):
        reading = read_stream([recording.body])
        error = reading.error
        assert reading.partial.text == "Partial "
    else:
        with pytest.raises(errors.APIError) as caught:
            read_reply(recording.status, recording.headers, recording.body)
        error = caught.value
    assert type(error) is kind
    assert (error.code, error.provider, error.is_retryable, error.retry_after) == (
        code, provider, retryable, retry_after,
    )  # fmt: skip
    assert words in error.message
    assert error.model == ASKED.model
    assert "user_" not in f"{error}{error!r}"


def test_the_corpus_is_there():
    assert len(SUCCESSES) > 100
    assert STREAMS
    assert {recording.id for recording in corpus.errors()} == set(ERROR_FILES)
