"""Each way to say that a prompt is too long is known, with its numbers, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from lfm_adapter import errors
from lfm_adapter._openrouter.context_errors import is_context_overflow, token_counts
from lfm_adapter._openrouter.failure import from_error
from tests.support.stream_reading import ASKED

# Whose wording it is, and the limit, the prompt and the total that it names.
WORDINGS: list[tuple[str, str, tuple[int | None, int | None, int | None]]] = [
    ("OpenAI", "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
     (8192, 9001, 9001)),
    ("OpenAI, split", ("maximum context length is 8192 tokens, however you requested 9000 tokens (8500 in your "
     "prompt; 500 for the completion)."), (8192, 8500, 9000)),
    ("OpenAI, without numbers", "Your input exceeds the context window of this model.", (None, None, None)),
    ("Azure", "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
     (272_000, 300_000, 300_000)),
    ("OpenRouter", ("This endpoint's maximum context length is 1,048,576 tokens. However, you requested about "
     "1,200,000 tokens (1,150,000 of text input, 50,000 in the output)."), (1_048_576, 1_150_000, 1_200_000)),
    ("Anthropic", "prompt is too long: 210000 tokens > 200000 maximum", (200_000, 210_000, 210_000)),
    ("Anthropic, with max_tokens", ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
     "decrease input length or `max_tokens` and try again"), (200_000, 190_000, 210_000)),
    ("Bedrock", "Input is too long for requested model.", (None, None, None)),
    ("Bedrock, passed on", "The model returned the following errors: Input is too long for requested model.",
     (None, None, None)),
    ("Bedrock, with numbers", "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
     (8192, 9000, 9000)),
    ("Gemini", "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
     (1_048_576, 1_100_000, 1_100_000)),
    ("Vertex", "Unable to submit request because the input token count is 40000 but model only supports up to 32768.",
     (32_768, 40_000, 40_000)),
    ("xAI", "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
     (131_072, 140_000, 140_000)),
    ("Moonshot", "Invalid request: Your request exceeded model token limit: 262144 (requested: 270000)",
     (262_144, None, 270_000)),
    ("Z.ai", "Prompt exceeds max length", (None, None, None)),
    ("GLM", "tokens in request more than max tokens allowed", (None, None, None)),
    ("Poolside", "Input length (270000) exceeds model's maximum context length (262144).", (262_144, 270_000, 270_000)),
    ("Alibaba", "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]",
     (98_304, None, None)),
    ("Mistral", "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
     (32_768, 40_000, 40_000)),
    ("Cerebras", "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
     (8192, None, 9000)),
    ("Cohere", "too many tokens: size limit exceeded by 100 tokens. The limit for this model is 128000 tokens.",
     (128_000, None, None)),
    ("MiniMax", "invalid params, context window exceeds limit", (None, None, None)),
    ("GitHub Copilot", "prompt token count of 140000 exceeds the limit of 128000", (128_000, 140_000, 140_000)),
    ("Fireworks", "The prompt is too long: 40000, model maximum context length: 32767", (32_767, 40_000, 40_000)),
    ("DeepInfra", "Requested input length 40000 exceeds maximum input length 32768", (32_768, 40_000, 40_000)),
    ("SiliconFlow", "length of prompt_tokens (40000) must be less than max_seq_len (32768).", (32_768, 40_000, 40_000)),
    ("TGI", "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 500 `max_new_tokens`",
     (4096, 4000, 4500)),
    ("TGI, the prompt alone", "`inputs` must have less than 4095 tokens. Given: 5000", (4095, 5000, 5000)),
    ("SGLang", ("Requested token count exceeds the model's maximum context length of 4096 tokens. You "
     "requested a total of 5000 tokens: 4500 tokens from the input messages and 500 tokens for the completion."),
     (4096, 4500, 5000)),
    ("SGLang, the prompt alone", "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
     (4096, 5000, 5000)),
    ("vLLM", "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", (4096, 5000, 5000)),
    ("vLLM, with max_tokens", ("'max_tokens' or 'max_completion_tokens' is too large: 1000. This model's maximum "
     "context length is 4096 tokens and your request has 3500 input tokens (1000 > 4096 - 3500)."), (4096, 3500, 4500)),
    ("vLLM of 2026", ("You passed 4000 input tokens and requested 500 output tokens. However, the model's context "
     "length is only 4096 tokens, resulting in a maximum input length of 3596 tokens."), (4096, 4000, 4500)),
    ("llama.cpp", "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
     (4096, 5000, 5000)),
    ("llama.cpp, of a text to embed", ("input (700 tokens) is too large to process. increase the physical batch size "
     "(current batch size: 512)"), (512, 700, 700)),
    ("NVIDIA", "Input length 700 exceeds maximum allowed token size 512", (512, 700, 700)),
    ("Jina", "Single text cannot exceed 8192 tokens. 9000 tokens given.", (8192, 9000, 9000)),
    ("LM Studio", ("Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
     "context length of only 4096 tokens"), (4096, None, None)),
    ("Ollama", "the input length exceeds the context length", (None, None, None)),
    ("digits in groups", "This model's maximum context length is 131.072 tokens. You requested 212 345 tokens.",
     (131_072, None, 212_345)),
    ("digits in groups, with max_tokens", "exceed context limit: 188 240 + 21,333 > 200_000",
     (200_000, 188_240, 209_573)),
    ("thousands", "This model's maximum context length is 128K tokens, your prompt contains 1.5M tokens.",
     (None, None, None)),
    ("context window of", "Your prompt has 140000 tokens, but the context window of this model is 131072 tokens.",
     (131_072, 140_000, 140_000)),
    ("maximum a request", "You exceeded the maximum number of tokens in a request", (None, None, None)),
    ("input length", "Input length 131073 exceeds the maximum length 131072", (131_072, 131_073, 131_073)),
]  # fmt: skip

OTHERS = [
    "ThrottlingException: Too many tokens, please wait before trying again.",
    "Rate limit reached: too many tokens per minute",
    "Request too large on tokens per minute (TPM): Limit 6000, Requested 9000",
    "context_length is not permitted",
    "Unsupported parameter: 'context_length'",
    "unknown parameter: context_window",
    "'user' input is too long",
    "'stop' is too long",
    "too many tokens in stop sequences",
    "max_tokens must be at least 1, got 0",
    "max_tokens must be at least 1: the prompt leaves nothing of the context window",
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
    "Range of max_tokens should be [1, 8192]",
    "Maximum prompt length is 50,000 characters",
    "You requested up to 65536 tokens, but can only afford 999",
    "The image is too large",
    "Image is too large for model",
    "Too many tokens per second",
    "Too many input tokens this minute",
    "Too many prompt tokens in the last hour. Try again in 40 s.",
    "token limit reached: 50,000 tokens/day",
    "Token rate exceeded: too many tokens",
    "too many tokens in flight: lower your concurrency",
    "Daily limit reached: too many tokens",
    "input is too long: max 4 images",
    "tool description prompt is too long",
    "The file name in the prompt is too long",
]


@pytest.mark.parametrize(("message", "counts"), [row[1:] for row in WORDINGS], ids=[row[0] for row in WORDINGS])
class TestWordings:
    def test_prompt_that_is_too_long_is_known_with_its_numbers(self, message, counts):
        assert is_context_overflow(None, message)
        assert token_counts(message) == counts

    @pytest.mark.parametrize("status", [400, 413, 422, 500, None])
    def test_prompt_that_is_too_long_is_a_bad_request_whatever_its_status(self, message, counts, status):
        error = from_error({"message": message}, ASKED, status_code=status)
        assert isinstance(error, errors.ContextWindowExceededError)
        assert (error.context_length, error.prompt_tokens, error.requested_tokens) == counts
        assert error.status_code == (status or 400)
        assert not error.is_retryable


@pytest.mark.parametrize("message", OTHERS)
@pytest.mark.parametrize("status", [400, None])
def test_other_refusals_are_not_taken_for_a_prompt_that_is_too_long(message, status):
    assert not isinstance(from_error(message, ASKED, status_code=status), errors.ContextWindowExceededError)


def test_throttling_without_a_status_is_retryable():
    assert from_error(OTHERS[0], ASKED).is_retryable


def test_numbers_of_llama_cpp_win_over_its_words():
    failed = {"type": "exceed_context_size_error", "message": "too long", "n_prompt_tokens": 5000, "n_ctx": 4096}
    error = from_error(failed, ASKED, status_code=400)
    assert (error.context_length, error.prompt_tokens, error.requested_tokens) == (4096, 5000, 5000)
