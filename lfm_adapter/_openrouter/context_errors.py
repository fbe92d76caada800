"""Recognizes refusals of prompts that are too long, and reads the limit and the counts from their words.

OpenRouter passes on the words of providers and servers. The wordings are those of OpenAI, Azure, Anthropic, Bedrock,
Gemini, xAI, Moonshot, Z.ai (GLM), Alibaba, Mistral, Cerebras, Groq, Cohere, MiniMax, GitHub Copilot, Fireworks,
DeepInfra, SiliconFlow, Poolside, NVIDIA and Jina, and of vLLM, SGLang, TGI, llama.cpp, Ollama and LM Studio.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CODES = {
    "context_length_exceeded", "token_limit_exceeded", "exceed_context_size_error", "model_context_window_exceeded",
}  # fmt: skip

_OVERFLOW = re.compile(
    r"""(?ix)
      (?:maximum|max\.?|configured) \s (?:allowed \s)? (?:context|prompt|model|input) \s (?:length|window|size)
    | context [ _] (?:window|size|length|limit) s? \b .{0,80} \b (?:exceed|too \s small|overflow|reached)
    | context \s length \s (?:is|of) \s only | context \s (?:is \s)? too \s (?:long|large)
    | (?:exceed|larger|longer|greater|too \s (?:long|large|big)) .{0,60} \b context \b
    | context [ _] length [ _] exceeded
    | prompt (?:\s is)? \s too \s (?:long|large) | prompt \s exceeds
    | (?:^|[.:(\n"] \s*) input \s is \s too \s long | input \s is \s too \s long \s for
    | too \s many \s (?:(?:input|prompt) \s)? tokens
    | (?:input|prompt) \s length \b .{0,40} \b exceed(?:s|ed)? \b .{0,40} \b (?:length|limit|tokens)
    | number \s of \s input \s tokens \s exceeds | (?:input|prompt|requested) \s tokens? \b .{0,30} \b exceed
    | maximum \s number \s of \s (?:(?:input|prompt) \s)? tokens
    | context \s (?:window|size|length) \s of \s .{0,40} \b is \s [0-9]
    | (?:input|prompt) \s token \s count | exceeded \s model \s token \s limit | token \s limit \s reached
    | tokens \s in \s request \s more \s than \s max \s tokens
    | `inputs` \s (?:tokens|must \s have) | range \s of \s input \s length
    | length \s of \s prompt_tokens | too \s large \s (?:for \s model | to \s process)
    | exceeds \s maximum \s allowed \s token \s size | cannot \s exceed \s [0-9]+ \s tokens
    | reduce \s the \s length \s of \s (?:the \s|either) (?:input|prompt|messages|one)?
    """
)

# Refusals that mention the same things: a rate limit, an unknown or a wrong parameter.
_OTHER = re.compile(
    r"(?i)throttl|please wait|try again in|rate.limit|quota|concurren|in flight|tokens ?/|\b[TR]P[MDS]\b"
    r"|(?:per|this|each|an?|the last)[ -](?:second|minute|hour|day|month)"
    r"|\b(?:rate|daily|hourly|monthly|today|plan|tier)\b|not (?:permitted|supported|allowed|a valid)"
    r"|must be at least|must be (?:a |an )?(?:positive|integer|number|between)|unknown|unrecognized|stop sequence"
    r"|extra (?:inputs|fields)|characters"
)

# What else may be too long or too large for a model, where the refusal mentions neither tokens nor the context.
_OTHER_THING = re.compile(
    r"(?i)\b(?:images?|audio|videos?|files?|documents?|attachments?|urls?|names?|descriptions?)\b"
)
_TOKENS = re.compile(r"(?i)token|context")

# `131072`, `131,072`, `131_072`, `131.072`, `131 072`. `128K` may mean 128,000 or 131,072, and is not read.
_DIGITS = r"(?<![0-9_.])(?:[0-9]{1,3}(?:[,_.' \u00a0\u202f][0-9]{3})+|[0-9]{1,15})(?![0-9]|[,_.'][0-9]|\s?[KM]\b)"


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(f"(?i){pattern.replace('#', f'({_DIGITS})').replace('~', _DIGITS)}") for pattern in patterns
    )


# `#` is the number, `~` another one. Of several patterns that match, the first counts.
_LIMIT = _patterns(
    r"context length is only #",
    r"[0-9] (?:tokens )?> #",
    r"must be <= #",
    r"must have less than #",
    r"with # maximum context length",
    r"only supports up to #",
    r"tokens allowed \(?#",
    r"should be \[~, ?#\]",
    r"max_seq_len \(#",
    r"max input tokens: #",
    r"(?:maximum|max\.?|available|configured) (?:allowed )?(?:context|prompt|model|input)[ _](?:length|size|window)"
    r"(?: is| of|:)? \(?#",
    r"context[ _](?:length|size|window|limit)(?: is| of|:)?(?: only)? \(?#",
    r"context (?:window|size|length) of [^.]{1,40} is #",
    r"(?:model token|configured|model|while) limit(?: of| is|:) #",
    r"limit (?:of|for this model is) #",
    r"model length of #",
    r"exceed(?:s|ed)? (?:the |its )?max(?:imum)? (?:length|limit|number of tokens)(?: is| of|:)? \(?#",
    r"greater than the context length \(?#",
    r"current batch size: #",
    r"maximum allowed token size #",
    r"cannot exceed # tokens",
)
_PROMPT = _patterns(
    r"# tokens > [0-9]",
    r"# \+ ~ > [0-9]",
    r"messages resulted in #",
    r"(?:has|have|passed|contains|with) (?:at least )?# (?:input )?tokens",
    r"(?:prompt|input|request) \((?:length )?#",
    r"(?:input|prompt) token count (?:of |is |\()#",
    r"request input token count: #",
    r"length of prompt_tokens \(#",
    r"given: # `inputs`",
    r"given: #",
    r"# (?:tokens )?(?:from the input|in (?:your prompt|the messages)|of text input)",
    r"input length \(?#",
    r"too long: #",
    r"# tokens given",
)
_OUTPUT = _patterns(
    r"[0-9] \+ # > [0-9]",
    r"is too large: #",
    r"and # `max_new_tokens`",
    r"requested # output tokens",
    r"# (?:tokens )?(?:for|in) the (?:completion|output)",
)
_TOTAL = _patterns(r"requested (?:about |a total of )?# tokens", r"\(requested: #", r"current length is #")


class TokenCounts(NamedTuple):
    """The numbers of tokens in a refusal; None for those it does not name.

    Attributes:
        limit: The context of the model.
        prompt: The prompt.
        total: The prompt and `max_tokens` together, or the prompt alone.
    """

    limit: int | None
    prompt: int | None
    total: int | None


def is_context_overflow(code: str | None, message: str) -> bool:
    """Return whether an error says that the prompt is too long for the model's context."""
    if code in _CODES:
        return True
    is_other = _OTHER.search(message) or (_OTHER_THING.search(message) and not _TOKENS.search(message))
    return _OVERFLOW.search(message) is not None and not is_other


def token_counts(message: str) -> TokenCounts:
    """Return the limit and the counts that a message names.

    >>> token_counts("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000")
    TokenCounts(limit=200000, prompt=188240, total=209573)
    """
    prompt, output, total = _first(_PROMPT, message), _first(_OUTPUT, message), _first(_TOTAL, message)
    if total is None:
        total = prompt if prompt is None or output is None else prompt + output
    elif prompt is None and output is not None:
        prompt = total - output
    return TokenCounts(_first(_LIMIT, message), prompt, total)


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    found = next((match for pattern in patterns if (match := pattern.search(message))), None)
    return int(re.sub(r"[^0-9]", "", found[1])) if found else None
