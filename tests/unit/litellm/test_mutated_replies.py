"""A reply that is damaged in one place is an answer with its text, or LiteLLM's error for ours."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import openai

from lfm_adapter import errors
from lfm_adapter.litellm import LFMProvider
from tests.support.mutants import mutants

if TYPE_CHECKING:
    from tests.support.mutants import Mutant

SHARE = 40
CALL: dict[str, Any] = {
    "model": "liquid/lfm-2.5-2.6b:free", "messages": [{"role": "user", "content": "Hi"}], "api_key": "test-key",
}  # fmt: skip


def through_provider(mutant: Mutant) -> str:
    provider = LFMProvider(transport=mutant.played())
    try:
        if not mutant.sample.is_stream:
            return provider.completion(**CALL).choices[0].message.content or ""
        return "".join(chunk["text"] for chunk in provider.streaming(**CALL))
    except openai.OpenAIError as error:
        if isinstance(error.__cause__, errors.APIError):
            raise error.__cause__ from None
        raise


def test_mutated_reply_is_an_answer_with_its_text_or_an_error():
    for mutant in islice(mutants(), 0, None, SHARE):
        mutant.check(through_provider)
