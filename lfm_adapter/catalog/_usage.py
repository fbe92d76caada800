"""What a request uses of a model: tokens of its context, checked before sending, and US$, computed afterwards.

Liquid never published the tokenizer of the first LFMs, and the later ones are megabytes to download. `estimate_tokens`
is therefore a lower bound: a prompt that it refuses cannot fit, while one that it accepts may still be refused by the
server. Pass a `token_counter` to `apply_context_limit` for an exact check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lfm_adapter._json import as_dict
from lfm_adapter._masking import shown
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError
from lfm_adapter.types import Cost, TokenLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfm_adapter.types import ModelCard
    from lfm_adapter.types._request import TokenCounter

_ZERO = Decimal(0)

# Larger amounts of one request are mistakes of the server: they would break every sum that they enter.
_MAX_COST = Decimal(1_000_000)
_MAX_TOKENS = 1_000_000_000_000

# The names of other APIs (decisions, OpenAI's Responses) for what chat completions call otherwise.
_CHAT_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}

_STRETCH = re.compile(r"[^\W_][^ \n]{0,127}")

# For contexts up to this size, OpenRouter shortens prompts itself:
# https://openrouter.ai/docs/guides/features/message-transforms, read 2026-11-23.
_SHORTENED_CONTEXT = 8_192


def estimate_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return a lower bound on the prompt tokens of wire messages. It never exceeds the true count.

    Each stretch of up to 128 characters counts as one token: it begins with a letter or digit, which no tokenizer
    drops, and contains no space or line feed. Two stretches never share a token, because tokenizers (byte-level BPE,
    and SentencePiece's `split_by_whitespace`) split text there before they merge, and because no token is longer than
    128 bytes: LFM2's longest is 23 (LFM2.5-350M, read 2026-11-23; LFM2.5-8B-A1B splits alike,
    https://github.com/ggml-org/llama.cpp/pull/23826). Those of LFM-3B and LFM3 are not public. Tokens of several words
    (https://arxiv.org/abs/2503.13423) would break the bound; no LFM is known to have them.

    Excluded, because a chat template may drop it: reasoning before `</think>` in the assistant's messages (LFM2.5's
    templates do: https://huggingface.co/LiquidAI/LFM2.5-2.6B), text beside tool calls, the calls themselves, names,
    images and other parts, tools and the template's own markers.

    Args:
        messages: Messages as they go over the wire. Malformed ones count as 0.

    Returns:
        Tokens; about three quarters of the true count for English prose, far less for scripts without spaces.

    >>> estimate_tokens([{"role": "user", "content": "What is the capital of France?"}])
    6
    """
    # `subn` counts the matches without keeping them, which is a third faster than `findall`.
    return sum(_STRETCH.subn("", text)[1] for text in _texts(messages))


def apply_context_limit(
    messages: Sequence[Mapping[str, Any]],
    max_tokens: int | None,
    card: ModelCard,
    *,
    model: str,
    token_counter: TokenCounter | None = None,
    check_context: bool = True,
    max_output_tokens: int | None = None,
) -> TokenLimits:
    """Check that a prompt leaves room for an answer, and reduce `max_tokens` to what the model can give.

    Args:
        messages: Messages as they go over the wire.
        max_tokens: The requested maximum, or None for the server's default.
        card: The model. No prompt is refused if its context is unknown or at most 8,192 tokens: there OpenRouter
            shortens the prompt (https://openrouter.ai/docs/guides/features/message-transforms).
        model: The model's name as the user gave it, for the error message.
        token_counter: Counts the tokens of `messages` exactly, in place of the lower bound.
        check_context: False if the server may make a long prompt fit: the request has the plugin
            "context-compression", the older `transforms`, or fallback `models`. Then only the limit on answers applies.
        max_output_tokens: The limit on answers as reported by the server.

    Returns:
        The counted tokens, and the `max_tokens` to send: at least 1, at most the model's `max_output_tokens` and what
        the counted tokens leave of the context.

    Raises:
        ContextWindowExceededError: The prompt alone fills the context.
        ConfigurationError: `max_tokens` or the counter's result is not a valid number of tokens.
    """
    if max_tokens is not None and (not _is_count(max_tokens) or max_tokens < 1):
        raise ConfigurationError(f"`max_tokens` must be an integer >= 1, got {shown(max_tokens)}.")
    if max_tokens is not None and max_tokens >= 2**63:
        raise ConfigurationError("`max_tokens` must be less than 2^63.")
    limit = _lesser(_lesser(max_tokens, card.max_output_tokens), max_output_tokens)
    context = card.context_length
    if context is None or context <= _SHORTENED_CONTEXT or not check_context:
        return _limits(None, max_tokens, limit)
    if token_counter is not None:
        tokens = _counted(token_counter, messages)
    # A cheap bound on the estimate first: a stretch and its space take at least two characters.
    elif sum(len(text) // 2 + 1 for text in _texts(messages)) + (limit or 1) <= context:
        return _limits(None, max_tokens, limit)
    else:
        tokens = estimate_tokens(messages)
    if tokens >= context:
        count = f"{'' if token_counter else 'at least '}{tokens:,}"
        raise _too_long(
            f"The prompt has {count} tokens, but the context of `{model}` is {context:,} tokens for prompt and answer "
            "together. Shorten the messages, choose a model with a longer context, or let OpenRouter shorten the "
            'prompt with `plugins=[{"id": "context-compression"}]`.',
            tokens,
            context,
            model,
        )
    return _limits(tokens, max_tokens, _lesser(limit, context - tokens))


def check_text_lengths(
    texts: Sequence[str],
    card: ModelCard,
    *,
    model: str,
    token_counter: TokenCounter | None = None,
) -> None:
    """Check that each text fits the context of an embedding model, if that is known.

    Args:
        texts: The texts as they go over the wire, with their prefix.
        card: The model.
        model: The model's name as the user gave it, for the error message.
        token_counter: Counts the tokens of a text, as a message, in place of the lower bound of `estimate_tokens`.

    Raises:
        ContextWindowExceededError: A text is too long.
        ConfigurationError: The counter's result is not a number of tokens.
    """
    for number, text in enumerate(texts):
        tokens, count = _length(text, card, token_counter)
        if card.context_length is not None and tokens > card.context_length:
            raise _too_long(
                f"`texts[{number}]` has {count} tokens, its prefix included, but `{model}` takes at most "
                f"{card.context_length:,}. Split it into shorter texts.",
                tokens,
                card.context_length,
                model,
            )


def check_state_length(text: str, card: ModelCard, *, model: str, token_counter: TokenCounter | None) -> None:
    """Check that the state of a decision fits the model's context together with a question."""
    tokens, count = _length(text, card, token_counter)
    if card.context_length is not None and tokens >= card.context_length:
        raise _too_long(
            f"The state has {count} tokens, but `{model}` takes at most {card.context_length:,} with the question. "
            "Shorten the state.",
            tokens,
            card.context_length,
            model,
        )


def _length(text: str, card: ModelCard, token_counter: TokenCounter | None) -> tuple[int, str]:
    """Return the tokens of a text, as a number and in words; 0 for one that surely fits the context."""
    context = card.context_length
    if context is None or (token_counter is None and len(text) // 2 < context):  # see `apply_context_limit`
        return 0, ""
    messages = [{"role": "user", "content": text}]
    if token_counter is not None:
        tokens = _counted(token_counter, messages)
        return tokens, f"{tokens:,}"
    tokens = estimate_tokens(messages)
    return tokens, f"at least {tokens:,}"


def _too_long(message: str, tokens: int, context: int, model: str) -> ContextWindowExceededError:
    return ContextWindowExceededError(
        message,
        estimated_tokens=tokens,
        context_length=context,
        model=model,
        code="context_length_exceeded",
        status_code=400,
    )


def _counted(token_counter: TokenCounter, messages: Sequence[Mapping[str, Any]]) -> int:
    tokens = token_counter(messages)
    if not _is_count(tokens):
        raise ConfigurationError(f"`token_counter` must return an integer >= 0, got {shown(tokens)}.")
    return tokens


def _limits(tokens: int | None, asked: int | None, given: int | None) -> TokenLimits:
    return TokenLimits(estimated_tokens=tokens, max_tokens=given, clamped_from=None if given == asked else asked)


def _lesser(asked: int | None, limit: int | None) -> int | None:
    return asked if asked is None or limit is None else min(asked, limit)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(messages: Sequence[object]) -> Iterator[str]:
    """Yield the text of each message that certainly reaches the model."""
    for message in messages:
        if not isinstance(message, Mapping):
            continue
        text = _text(message.get("content"))
        if message.get("role") == "assistant":
            text = "" if message.get("tool_calls") else text.rpartition("</think>")[2]
        yield text


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list | tuple) else []
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    # A template may put anything, or nothing, between two parts.
    return "".join(text for text in texts if isinstance(text, str))


def chat_usage(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a `usage` object of any API with the names that chat completions have.

    >>> chat_usage({"input_tokens": 476, "cost": 0.00001})
    {'prompt_tokens': 476, 'cost': 1e-05}
    """
    if usage.keys().isdisjoint(_CHAT_NAMES):
        return usage
    return {_CHAT_NAMES.get(name, name): value for name, value in usage.items()}


def compute_cost(usage: Mapping[str, Any], card: ModelCard) -> Cost | None:
    """Return the cost of a request.

    The `cost` that OpenRouter reports takes precedence
    (https://openrouter.ai/docs/cookbook/administration/usage-accounting). It becomes a Decimal through its shortest
    repr, so that 0.1 is `Decimal("0.1")`, not its 55 binary digits.

    Otherwise tokens are multiplied by the card's prices: those read from a cache by `input_cache_read`, those written
    to one by `input_cache_write` (by `prompt` if unknown), the rest of the prompt by `prompt`, and the answer
    with its reasoning by `completion`. The price per `request` is added to the total. A free model costs 0.

    Args:
        usage: The `usage` object of a reply. Any field may be missing, null or of the wrong type.
        card: The model that answered.

    Returns:
        The cost, never negative, or None if neither the reply nor the catalogue has it.

    >>> from lfm_adapter.catalog import get
    >>> compute_cost({"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.00003}, get("lfm-3b")).total
    Decimal('0.00003')
    >>> compute_cost({"prompt_tokens": 1000, "completion_tokens": 500}, get("lfm-3b")).total
    Decimal('0.00003000')
    """
    reported = _amount(usage.get("cost"))
    if reported is not None:
        return Cost(total=reported, prompt=None, completion=None, source="openrouter")
    if card.is_free:
        return Cost(total=_ZERO, prompt=_ZERO, completion=_ZERO, source="catalog")
    prices = card.pricing
    prompt_tokens, completion_tokens = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if prices.prompt is None or prices.completion is None or prompt_tokens is None or completion_tokens is None:
        return None
    details = as_dict(usage.get("prompt_tokens_details"))
    read = min(_count(details.get("cached_tokens")) or 0, prompt_tokens)
    written = min(_count(details.get("cache_write_tokens")) or 0, prompt_tokens - read)
    prompt = (
        (prompt_tokens - read - written) * prices.prompt
        + read * (prices.prompt if prices.input_cache_read is None else prices.input_cache_read)
        + written * (prices.prompt if prices.input_cache_write is None else prices.input_cache_write)
    )
    completion = completion_tokens * prices.completion
    return Cost(
        total=prompt + completion + (prices.request or _ZERO), prompt=prompt, completion=completion, source="catalog"
    )


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return amount if amount.is_finite() and 0 <= amount <= _MAX_COST else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS else None
