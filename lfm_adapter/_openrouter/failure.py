"""Turns every failure that OpenRouter reports into one exception of `lfm_adapter.errors`.

The same code reads an HTTP error, an error in the body of a 200, in a choice and in an event of a stream, so that a
failure always has the same class. The forms are those of https://openrouter.ai/docs/api-reference/errors, of
recordings, and of local servers (llama.cpp, vLLM, Ollama).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from lfm_adapter import errors
from lfm_adapter._json import as_dict, as_number, as_str
from lfm_adapter._masking import mask
from lfm_adapter._openrouter.context_errors import is_context_overflow, token_counts
from lfm_adapter._openrouter.error_text import describe_body, error_message, join_sentences
from lfm_adapter._openrouter.surrogates import parse_whole
from lfm_adapter.catalog import get, models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfm_adapter.types import JSONDict, ModelCard, Reply

# 520 to 523, 525 and 530 come from Cloudflare, which did not reach OpenRouter or got no valid answer from it:
# https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/
RETRYABLE_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 529, 530})

_BY_STATUS: dict[int, type[errors.APIError]] = {
    401: errors.AuthenticationError,
    402: errors.PaymentRequiredError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.APITimeoutError,
    429: errors.RateLimitError,
    504: errors.APITimeoutError,
    524: errors.APITimeoutError,
}

# The status for an `error_type` or `availability.code` without one: https://openrouter.ai/docs/api-reference/errors
_STATUS_BY_CODE = {
    code: status
    for status, codes in {
        400: "invalid_request invalid_request_error invalid_prompt content_policy_violation refusal string_too_long "
             "context_length_exceeded max_tokens_exceeded token_limit_exceeded invalid_image image_too_large "
             "image_too_small unsupported_image_format image_download_failed model_not_found wrong_endpoint",
        401: "authentication authentication_error",
        402: "payment_required",
        403: "permission_denied region_restricted",
        404: "not_found not_found_error image_not_found no_endpoints model_deprecated model_unavailable_upstream "
             "privacy_restricted constraint_filtered free_variant_ended",
        412: "precondition_failed",
        413: "payload_too_large",
        422: "unprocessable",
        429: "rate_limit_exceeded capacity_exhausted",
        500: "server server_error unmapped",
        502: "provider_unavailable",
        503: "provider_overloaded temporarily_unavailable unavailable_error",
        504: "timeout",
    }.items()
    for code in codes.split()
}  # fmt: skip

# The status that the words of an error mean which names neither a status nor a known code. Other words mean none.
_STATUS_BY_WORDS = {
    status: re.compile(f"(?i){words}")
    for status, words in {
        402: r"insufficient[ _](?:credit|quota|balance|funds)",
        401: r"(?:invalid|incorrect|wrong|missing|no)[ _](?:api[ _]?)?key|unauthori[sz]ed",
        429: r"rate[ _-]?limit|too[ _]many[ _]requests|throttl",
        504: r"timed[ _-]?out|gateway time-?out",
        503: r"overload|unavailable|at capacity|\bbusy\b|(?:again|retry)(?: later| in [0-9a]| shortly| soon)",
        500: r"(?:internal|unexpected)[ _]?(?:server[ _]?)?error",
    }.items()
}

_STATUS_KEYS = ("code", "http_status", "status", "status_code", "statusCode", "error_code")

# A server that is asked for too much may call it its own failure (500, 502), and a stream has no status.
_OVERFLOW_STATUSES = {400, 413, 422, 500, 502, None}

_UNKNOWN_MODEL = re.compile(r"(?i)is not a valid model|no endpoints found for ")
# The words of vLLM, Ollama and LM Studio, whose models the catalogue does not know.
_UNKNOWN_TO_SERVER = re.compile(r"(?i)model .{0,200}(?:not found|does not exist)|no such model")
_NO_ENDPOINTS = re.compile(r"(?i)no (?:endpoints|providers|allowed providers) (?:found|available|are available)")
_UNKNOWN_MODEL_CODES = {"model_not_found", "model_deprecated", "free_variant_ended", "no_endpoints"}
_FILTERED_CODES = {"constraint_filtered", "privacy_restricted", "region_restricted"}
_DAILY = re.compile(r"(?i)per[- ]day|daily")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The facts about a request that explain its failure.

    Attributes:
        model: The requested model, or None if the request concerns no model.
        now_epoch_s: Unix time in seconds, to compute waits from reset times.
        key: The key that was sent, to be masked in what the server says.
    """

    model: str | None
    now_epoch_s: float
    key: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class _ErrorFacts:
    status: int | None
    code: str | None
    message: str
    metadata: JSONDict
    availability: JSONDict
    headers: Mapping[str, str]


def from_body(status: int, headers: Mapping[str, str], body: bytes, context: RequestContext) -> errors.APIError:
    """Return the exception for a response with an HTTP status that is not a success.

    The body is JSON of several forms, a proxy's HTML page, or nothing. Only its message is quoted.
    """
    if 300 <= status < 400:
        return errors.ResponseError(
            f"The server redirects (HTTP {status}). Redirects are not followed, because the key must not go to another "
            "host. Set `base_url` to the new address of the service.",
            status_code=status,
            model=context.model,
        )
    body = mask(body, context.key)
    parsed = parse_whole(body.removeprefix(b"data:").strip())  # some send an error as the event of a stream
    data = as_dict(parsed)
    error: object = describe_body(body, status) if parsed is None else parsed
    if data:
        error = data["error"] if isinstance(data.get("error"), dict) else data
    return from_error(error, context, status_code=status, headers=headers, generation_id=as_str(data.get("id")))


def from_error(
    error: object,
    context: RequestContext,
    *,
    status_code: int | None = None,
    headers: Mapping[str, str] | None = None,
    generation_id: str | None = None,
    provider: str | None = None,
    partial: Reply | None = None,
) -> errors.APIError:
    """Return the exception for an error object, or for a text in place of one."""
    # Before anything is cut or masked by its form: what would be left of the key could not be found.
    sent: list[Any] = mask([error, provider, generation_id, dict(headers or {})], context.key)
    error, provider, generation_id, known_headers = sent
    facts = _facts(error, status_code, known_headers)
    common: dict[str, Any] = {
        "status_code": facts.status,
        "code": facts.code,
        "model": context.model,
        "provider": as_str(facts.metadata.get("provider_name")) or provider,
        "generation_id": generation_id or as_str(facts.headers.get("x-generation-id")),
        "retry_after": _retry_after_s(facts, context.now_epoch_s),
        "is_retryable": _is_retryable(facts),
        "metadata": facts.metadata,
        "partial": partial,
    }
    if facts.status in _OVERFLOW_STATUSES and is_context_overflow(facts.code, facts.message):
        counts = token_counts(facts.message)
        limit, prompt = as_number(as_dict(error).get("n_ctx")), as_number(as_dict(error).get("n_prompt_tokens"))
        return errors.ContextWindowExceededError(
            facts.message,
            prompt_tokens=counts.prompt if prompt is None else int(prompt),
            requested_tokens=counts.total if prompt is None else int(prompt),
            context_length=counts.limit if limit is None else int(limit),
            **common | {"is_retryable": False, "status_code": facts.status or 400},
        )
    if facts.status in (400, 404, None) and context.model:
        missing = _model_error(facts, context.model, common)
        if missing is not None:
            return missing
    cls = errors.APIError if facts.status is None else _BY_STATUS.get(facts.status)
    if cls is None:
        cls = errors.BadRequestError if 400 <= (facts.status or 0) < 500 else errors.ServerError
    advice = ""
    if facts.status == 401:
        advice = "Check the API key: `api_key`, or the `OPENROUTER_API_KEY` environment variable."
    elif facts.status == 404 and context.model:
        advice = "Check `base_url`, which usually ends in /v1."
    return cls(join_sentences(facts.message, advice), **common)


def _facts(error: object, http_status: int | None, headers: Mapping[str, str]) -> _ErrorFacts:
    is_status = as_number(error) is not None  # instead of words
    fields = error if isinstance(error, dict) else {"code" if is_status else "message": error}
    metadata, availability = as_dict(fields.get("metadata")), as_dict(fields.get("availability"))
    names = (
        availability.get("code"), metadata.get("error_type"), fields.get("error_type"), fields.get("code"),
        fields.get("type"), metadata.get("provider_code"), metadata.get("provider_error_code"),
    )  # fmt: skip
    code = next((name for name in names if isinstance(name, str) and name and as_number(name) is None), None)
    numbers = [as_number(fields.get(name)) for name in _STATUS_KEYS]
    status = next((int(number) for number in numbers if number is not None and 400 <= number < 600), http_status)
    if status is None or status < 400:
        status = _STATUS_BY_CODE.get(code or "")
    message = error_message(fields, metadata, availability)
    if not message:
        message = f"The server returned HTTP {status} without a message." if status else "The request failed."
    if status is None and not is_context_overflow(code, message):
        said = f"{code} {message}"
        status = next((status for status, words in _STATUS_BY_WORDS.items() if words.search(said)), None)
    return _ErrorFacts(status, code, message, metadata, availability, headers)


def _is_retryable(facts: _ErrorFacts) -> bool:
    reported = facts.availability.get("retryable")
    if isinstance(reported, bool):
        return reported
    if facts.status == 402:
        reason = facts.metadata.get("reason")
        in_flight = facts.metadata.get("limit_source") == "openrouter_in_flight_budget"
        return reason == "in_flight_budget_exhausted" or (in_flight and reason is None)
    if facts.status == 429 and _DAILY.search(facts.message):
        return False
    return facts.status in RETRYABLE_STATUSES


def _retry_after_s(facts: _ErrorFacts, now_epoch_s: float) -> float | None:
    """Return the wait in the response, from the most reliable source: its own header first, the reset time last."""
    inner = {str(name).lower(): value for name, value in as_dict(facts.metadata.get("headers")).items()}
    milliseconds = as_number(facts.headers.get("retry-after-ms"))
    waits = (
        None if milliseconds is None else milliseconds / 1000,
        _seconds(facts.headers.get("retry-after"), now_epoch_s),
        as_number(facts.availability.get("retry_after")),
        as_number(facts.metadata.get("retry_after_seconds")),
        _seconds(inner.get("retry-after"), now_epoch_s),
    )
    for wait in waits:
        if wait is not None:
            return max(0.0, float(wait))
    reset_ms = as_number(inner.get("x-ratelimit-reset") or facts.headers.get("x-ratelimit-reset"))
    return None if reset_ms is None else max(0.0, reset_ms / 1000 - now_epoch_s)


def _seconds(value: object, now_epoch_s: float) -> float | None:
    """Return the seconds in a `Retry-After` header, which has a number or a date."""
    number = as_number(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        return parsedate_to_datetime(value).timestamp() - now_epoch_s
    except (ValueError, OverflowError):
        return None


def _model_error(facts: _ErrorFacts, model: str, common: dict[str, Any]) -> errors.NotFoundError | None:
    """Return the error if the model is unknown or retired, or has no endpoints for the request."""
    if facts.code in _FILTERED_CODES:
        return errors.NoEndpointsError(facts.message, **common)
    if facts.code not in _UNKNOWN_MODEL_CODES and not _UNKNOWN_MODEL.search(facts.message):
        if _UNKNOWN_TO_SERVER.search(facts.message):
            advice = "Pass a `model` that this server has; `list_models()` of the client lists them."
            return errors.ModelNotFoundError(join_sentences(facts.message, advice), **common)
        return errors.NoEndpointsError(facts.message, **common) if _NO_ENDPOINTS.search(facts.message) else None
    card = get(model)
    if card.status == "retired":
        return errors.ModelRetiredError(_retired(card, facts.message), successors=card.successors, **common)
    live = ", ".join(other.id for other in models() if other.status == "live" and other.kind == "chat")
    advice = f"Liquid models known to be served: {live}." if model.startswith("liquid/") else ""
    return errors.ModelNotFoundError(join_sentences(facts.message, advice), **common)


def _retired(card: ModelCard, message: str) -> str:
    when = "" if card.retired_between is None else " (removed between {} and {})".format(*card.retired_between)
    use = others = ""
    if card.successors:
        use = f'Use `model="{card.successors[0]}"` instead, or pass `when_retired="successor"`.'
        others = f"Also available: {', '.join(card.successors[1:])}." if card.successors[1:] else ""
    return join_sentences(f"OpenRouter no longer serves `{card.id}`{when}.", use, others, f"Its message: {message}")
