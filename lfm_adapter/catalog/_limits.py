"""Whether a prompt fits a model, before it is sent.

Liquid never published the tokenizer of the first LFMs, and the later ones are megabytes to fetch, so no tokens are
counted here. `estimate_tokens` is a lower bound instead: what it refuses cannot fit, what it lets through may still be
refused by the server. Pass a `token_counter` to `apply_context_limit` for an exact check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError
from lfm_adapter.types import TokenLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lfm_adapter.types import ModelCard

__all__ = ["apply_context_limit", "estimate_tokens"]

# A letter or digit and up to 127 characters behind it, on to the next space or line feed. Each match costs a token of
# its own: `estimate_tokens` says why.
_STRETCH = re.compile(r"[^\W_][^ \n]{0,127}")

# OpenRouter cuts longer prompts to size by itself for contexts of up to 8,192 tokens:
# https://openrouter.ai/docs/guides/features/message-transforms, read 2026-11-23.
_CUT_TO_SIZE_TOKENS = 8_192


def estimate_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return a lower bound on the prompt tokens of wire messages. It never exceeds the true count.

    Each stretch of up to 128 characters counts as one token. A stretch begins with a letter or digit and holds no space
    and no line feed. Two stretches never share a token, because

    - tokenizers split text before they merge: no piece holds letters or digits from both sides of a space or line feed.
      That is so in byte-level BPE (GPT-2 and all that took over its pattern) and in SentencePiece's default,
      `split_by_whitespace`; the vocabularies of LFM2, GPT-4 and GPT-4o hold no such token. Tokens of many spaces, of
      spaces and line feeds, or of punctuation around a line feed do exist, but without a letter or digit;
    - no token is longer than 128 bytes, so none reaches from the first character of a stretch to that of the next in
      the same word. Stretches are measured in characters to leave room for normalisers that join some.

    Letters and digits are counted, and nothing else, because no tokenizer drops them; some drop control characters and
    zero-width ones. LFM2's tokenizer (that of LFM2.5-350M, read 2026-11-23) has no normaliser, splits by Llama 3's
    pattern, and its longest tokens are 18 bytes of text and 23 of a marker; LFM2.5-8B-A1B's pattern
    (https://github.com/ggml-org/llama.cpp/pull/23826) splits alike. Those of LFM-3B and LFM3 were not to be had. Tokens
    of several words (https://arxiv.org/abs/2503.13423) would break the bound; no LFM is known to have any.

    Left out, because a chat template may drop it: reasoning before `</think>` in the assistant's messages (LFM2.5's
    templates do: https://huggingface.co/LiquidAI/LFM2.5-2.6B), text beside tool calls, the calls themselves, names,
    images and other parts. Tools and the template's own markers are not in it either.

    Args:
        messages: Messages as they go over the wire. Odd ones count as 0.

    Returns:
        Tokens; for English prose about three quarters of the true count, for scripts without spaces far less.

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
    token_counter: Callable[[Sequence[Mapping[str, Any]]], int] | None = None,
    check_context: bool = True,
    max_output_tokens: int | None = None,
) -> TokenLimits:
    """Check that a prompt leaves room for an answer, and bring `max_tokens` within what the model can give.

    Args:
        messages: Messages as they go over the wire.
        max_tokens: Tokens asked for at most, or None for the server's default.
        card: The model. Nothing is refused where its context is unknown, or at most 8,192 tokens: there OpenRouter cuts
            the prompt to size (https://openrouter.ai/docs/guides/features/message-transforms).
        model: The model's name as the user gave it, for the message of the error.
        token_counter: Counts the tokens of `messages`; its result is taken in place of the lower bound.
        check_context: False where the server may make a long prompt fit: the request has the plugin
            "context-compression", the older `transforms`, or fallback `models`. Only the model's bound on answers is
            then applied.
        max_output_tokens: Tokens that an answer may have at most, where the server has said so.

    Returns:
        The tokens counted, and the `max_tokens` to send: at most the model's `max_output_tokens` and what the counted
        tokens leave of the context, and at least 1.

    Raises:
        ContextWindowExceededError: The prompt alone fills the context: not one token of an answer would fit.
        ConfigurationError: `max_tokens` or the counter's result is not a whole number of tokens.
    """
    if max_tokens is not None and (not _is_count(max_tokens) or max_tokens < 1):
        raise ConfigurationError(f"`max_tokens` must be a whole number of at least 1, not {max_tokens!r}.")
    wanted = _lesser(_lesser(max_tokens, card.max_output_tokens), max_output_tokens)
    context = card.context_length
    if context is None or context <= _CUT_TO_SIZE_TOKENS or not check_context:
        return _fit(None, max_tokens, wanted)
    if token_counter is not None:
        estimate = token_counter(messages)
        if not _is_count(estimate):
            raise ConfigurationError(f"`token_counter` must return a whole number of at least 0, not {estimate!r}.")
    elif _estimate_at_most(messages) + (wanted or 1) <= context:
        return _fit(None, max_tokens, wanted)
    else:
        estimate = estimate_tokens(messages)
    if estimate >= context:
        raise _too_long(estimate, context, model, at_least=token_counter is None)
    return _fit(estimate, max_tokens, _lesser(wanted, context - estimate))


def _too_long(estimate: int, context: int, model: str, *, at_least: bool) -> ContextWindowExceededError:
    return ContextWindowExceededError(
        f"The prompt has {'at least ' if at_least else ''}{estimate:,} tokens, but the context of `{model}` is "
        f"{context:,} for prompt and answer together. Shorten the messages, or ask a model with a longer context; "
        '`plugins=[{"id": "context-compression"}]` lets OpenRouter cut the prompt.',
        estimate=estimate,
        limit=context,
        model=model,
        code="context_length_exceeded",
    )


def _fit(estimate: int | None, asked: int | None, given: int | None) -> TokenLimits:
    return TokenLimits(estimate=estimate, max_tokens=given, clamped_from=None if given == asked else asked)


def _lesser(asked: int | None, bound: int | None) -> int | None:
    return asked if asked is None or bound is None else min(asked, bound)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _estimate_at_most(messages: Sequence[object]) -> int:
    """Return a cheap bound that `estimate_tokens` cannot exceed: a stretch and its space take two characters."""
    return sum(len(text) // 2 + 1 for text in _texts(messages))


def _texts(messages: Sequence[object]) -> Iterator[str]:
    """Yield the text of each message that surely reaches the model."""
    for message in messages:
        if not isinstance(message, Mapping):
            continue
        content = message.get("content")
        # A template may put anything, or nothing, between two parts.
        text = content if isinstance(content, str) else "".join(_parts(content))
        if message.get("role") == "assistant":
            text = "" if message.get("tool_calls") else text.rpartition("</think>")[2]
        yield text


def _parts(content: object) -> Iterator[str]:
    if not isinstance(content, list | tuple):
        return
    for part in content:
        if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
            yield part["text"]
