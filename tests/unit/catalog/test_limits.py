from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lfm_adapter import catalog
from lfm_adapter.catalog import apply_context_limit, estimate_tokens
from lfm_adapter.errors import ConfigurationError, ContextWindowExceededError
from lfm_adapter.types import TokenLimits

CARD = replace(catalog.get("lfm-3b"), context_length=10_000, max_output_tokens=4_000)
UNBOUNDED = replace(CARD, max_output_tokens=None)


def prompt(words: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "word " * words}]


def estimate(text: str) -> int:
    return estimate_tokens([{"role": "user", "content": text}])


class TestEstimate:
    @pytest.mark.parametrize(
        ("text", "tokens"),
        [
            ("", 0),
            ("one", 1),
            ("What is the capital of France?", 6),
            ("  two  words\n", 2),
            ("line\nby\nline", 3),
            ("don't split-this_word", 2),
            ("Привет, мир", 2),
            ("a" * 128, 1),
            ("a" * 129, 2),
            ("漢字" * 100, 2),
        ],
    )
    def test_estimate_counts_words_and_stretches_of_long_ones(self, text, tokens):
        assert estimate(text) == tokens

    @pytest.mark.parametrize(
        "text",
        [
            " " * 500,
            " \n \t \r\n ",
            " \u00a0 \u00a0",  # one token of LFM2
            "!\n/",  # one token in GPT-4o's pattern
            "... --- ...",
            "\u200b \u200b \ufeff \u2060",  # zero-width characters, which normalisers drop
            "\x00 \x01 \x1f \x7f",
            "\u0301 \u0301",  # accents on nothing
        ],
    )
    def test_estimate_ignores_characters_that_tokenizers_join_or_drop(self, text):
        assert estimate(text) == 0

    def test_estimate_accepts_lone_surrogates(self):
        assert estimate("a \ud800 b \udfff") == 2

    def test_estimate_joins_text_parts(self):
        parts = [
            {"type": "text", "text": "one tw"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA BBBB"}},
            {"type": "text", "text": "o three"},
        ]
        assert estimate_tokens([{"role": "user", "content": parts}]) == 3

    @pytest.mark.parametrize(
        "content",
        [None, 7, {}, [None, "text", 7], [{"type": "text"}], [{"type": "text", "text": None}], [{"text": "no type"}]],
        ids=repr,
    )
    def test_estimate_ignores_malformed_content(self, content):
        assert estimate_tokens([{"role": "user", "content": content}, {"role": "user"}]) == 0

    def test_estimate_ignores_malformed_messages(self):
        assert estimate_tokens([None, "text", {}]) == 0
        assert estimate_tokens("text") == 0

    def test_estimate_adds_up_messages(self):
        assert estimate_tokens([{"role": "system", "content": "Be brief."}, *prompt(3), *prompt(4)]) == 9

    def test_estimate_ignores_assistant_text_that_templates_drop(self):
        thought = {"role": "assistant", "content": "<think>\nso many thoughts\n</think>\nThe answer"}
        assert estimate_tokens([thought]) == 2
        call = {"role": "assistant", "content": "Let me look", "tool_calls": [{"id": "1"}]}
        assert estimate_tokens([call]) == 0
        assert estimate_tokens([thought | {"role": "user"}]) > 2
        assert estimate_tokens([call | {"tool_calls": []}]) == 3


class TestContext:
    @pytest.mark.parametrize("words", [9_990, 9_999])
    def test_prompt_that_leaves_room_for_one_token_is_accepted(self, words):
        assert apply_context_limit(prompt(words), 4_000, CARD, model="lfm-3b") == TokenLimits(
            words, 10_000 - words, 4_000
        )
        assert apply_context_limit(prompt(words), None, CARD, model="lfm-3b") == TokenLimits(words, None, None)

    @pytest.mark.parametrize("max_tokens", [None, 1, 4_000])
    @pytest.mark.parametrize("words", [10_000, 20_000])
    def test_prompt_that_fills_the_context_is_refused(self, words, max_tokens):
        with pytest.raises(ContextWindowExceededError) as caught:
            apply_context_limit(prompt(words), max_tokens, CARD, model="lfm-3b")
        error = caught.value
        assert (error.estimated_tokens, error.context_length, error.model) == (words, 10_000, "lfm-3b")
        assert error.code == "context_length_exceeded"
        assert not error.is_retryable
        assert f"at least {words:,} tokens" in error.message
        assert "`lfm-3b` is 10,000" in error.message

    def test_fast_check_agrees_with_counting(self):
        for words in range(3_000, 10_000, 37):
            for max_tokens in (1, 5_000 - words % 7, 4_000, 10_000):
                counted = apply_context_limit(
                    prompt(words), max_tokens, UNBOUNDED, model="m", token_counter=estimate_tokens
                )
                found = apply_context_limit(prompt(words), max_tokens, UNBOUNDED, model="m")
                assert found.max_tokens == counted.max_tokens
                assert found.estimated_tokens in {None, words}

    def test_short_prompt_is_not_counted(self):
        assert apply_context_limit(prompt(100), 1_000, CARD, model="lfm-3b") == TokenLimits(None, 1_000, None)

    def test_unknown_context_refuses_no_prompt(self):
        unknown = catalog.get("liquid/lfm-9b")
        assert apply_context_limit(prompt(50_000), 10**9, unknown, model="liquid/lfm-9b") == TokenLimits(
            None, 10**9, None
        )

    def test_small_context_refuses_no_prompt_because_openrouter_shortens_it(self):
        small = replace(CARD, context_length=8_192)
        assert apply_context_limit(prompt(50_000), 5_000, small, model="m") == TokenLimits(None, 4_000, 5_000)
        with pytest.raises(ContextWindowExceededError):
            apply_context_limit(prompt(50_000), 5_000, replace(CARD, context_length=8_193), model="m")

    def test_context_check_can_be_disabled(self):
        assert apply_context_limit(prompt(50_000), 5_000, CARD, model="m", check_context=False) == TokenLimits(
            None, 4_000, 5_000
        )


class TestMaxTokens:
    @pytest.mark.parametrize(
        ("asked", "given", "clamped_from"),
        [(None, None, None), (1, 1, None), (4_000, 4_000, None), (4_001, 4_000, 4_001)],
    )
    def test_max_tokens_is_reduced_to_model_limit(self, asked, given, clamped_from):
        assert apply_context_limit(prompt(1), asked, CARD, model="m") == TokenLimits(None, given, clamped_from)

    def test_max_tokens_is_reduced_to_room_left_by_prompt(self):
        assert apply_context_limit(prompt(6_000), 10**6, UNBOUNDED, model="m") == TokenLimits(6_000, 4_000, 10**6)
        assert apply_context_limit(prompt(6_000), 4_000, UNBOUNDED, model="m") == TokenLimits(6_000, 4_000, None)
        assert apply_context_limit(prompt(9_999), 10**6, UNBOUNDED, model="m").max_tokens == 1

    @pytest.mark.parametrize("max_tokens", [0, -1, 1.5, "100", True])
    def test_max_tokens_must_be_a_positive_integer(self, max_tokens):
        with pytest.raises(ConfigurationError, match="`max_tokens` must be an integer >= 1, got "):
            apply_context_limit(prompt(1), max_tokens, CARD, model="m")


class TestTokenCounter:
    def test_token_counter_replaces_estimate(self):
        seen = []
        messages = prompt(3)

        def count(given):
            seen.append(given)
            return 9_000

        assert apply_context_limit(messages, 2_000, CARD, model="m", token_counter=count) == TokenLimits(
            9_000, 1_000, 2_000
        )
        assert seen == [messages]

    def test_token_counter_may_accept_what_estimate_refuses(self):
        limits = apply_context_limit(prompt(50_000), None, CARD, model="m", token_counter=lambda _: 10)
        assert limits.estimated_tokens == 10

    def test_token_counter_error_does_not_say_at_least(self):
        with pytest.raises(ContextWindowExceededError, match=r"The prompt has 10,000 tokens"):
            apply_context_limit(prompt(1), 1, CARD, model="m", token_counter=lambda _: 10_000)
        assert apply_context_limit(prompt(1), 1, CARD, model="m", token_counter=lambda _: 9_999).max_tokens == 1

    @pytest.mark.parametrize("result", [None, -1, 1.0, "7", True])
    def test_token_counter_must_return_an_integer(self, result):
        with pytest.raises(ConfigurationError, match="`token_counter` must return an integer >= 0, got "):
            apply_context_limit(prompt(1), 1, CARD, model="m", token_counter=lambda _: result)
