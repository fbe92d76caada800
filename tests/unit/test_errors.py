from __future__ import annotations

import copy
import inspect
import json
import math
import pickle

import pytest

from lfm_adapter import errors
from lfm_adapter.errors import APIError, ConfigurationError, LFMError, redact
from lfm_adapter.types import Choice, DecisionReply, EmbeddingReply, NoulAnswer, Reply

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LFMError)]
OF_THE_API = [kind for kind in CLASSES if issubclass(kind, APIError)]
OF_THEIR_OWN = {
    errors.ContextWindowExceededError: {
        "estimated_tokens": 40_000,
        "prompt_tokens": 45_000,
        "requested_tokens": 50_000,
        "context_length": 32_768,
    },
    errors.InvalidDecisionError: {"reply": DecisionReply({"urgent": NoulAnswer(0.5)}, id="gen-dec-1")},
    errors.ModelRetiredError: {"successors": ("liquid/lfm-3-1.7b",)},
}
FACTS = {
    "status_code": 429,
    "code": "rate_limit_exceeded",
    "model": "liquid/lfm-3-1.7b",
    "provider": "Liquid",
    "generation_id": "gen-1",
    "retry_after": 2.5,
    "is_retryable": True,
    "metadata": {"reasons": ["violence"]},
    "partial": Reply(choices=[Choice(text="Par")]),
    "embeddings": EmbeddingReply([[0.5]], id="gen-1"),
}
RETRYABLE = {"APIConnectionError", "StreamInterruptedError", "APITimeoutError", "RateLimitError", "ServerError"}


def tree_in_docstring() -> dict[str, str | None]:
    """Each class in the docstring's tree, with its parent."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = line.index(name)
        above = [(at, parent) for at, parent in above if at < depth]
        parents[name] = above[-1][1] if above else None
        above.append((depth, name))
    return parents


def test_tree_in_docstring_matches_classes():
    bases = {
        kind.__name__: next((base.__name__ for base in kind.__mro__[1:] if base in CLASSES), None) for kind in CLASSES
    }
    assert tree_in_docstring() == bases


def test_each_class_is_public_and_documented():
    public = {name for name in errors.__all__ if name.endswith("Error")}
    assert public == {kind.__name__ for kind in CLASSES}
    assert all(kind.__doc__ for kind in CLASSES)


def test_configuration_error_is_a_value_error():
    assert issubclass(ConfigurationError, ValueError)
    assert not issubclass(ConfigurationError, APIError)


@pytest.mark.parametrize("kind", OF_THE_API)
class TestFacts:
    def test_error_has_all_facts(self, kind):
        facts = FACTS | OF_THEIR_OWN.get(kind, {})
        error = kind("Slow down.", **facts)
        assert vars(error) == {"message": "Slow down.", **facts}

    def test_error_facts_are_unknown_by_default(self, kind):
        unknown = dict.fromkeys(FACTS) | {"is_retryable": kind.__name__ in RETRYABLE, "metadata": {}}
        of_its_own = {name: () if name == "successors" else None for name in OF_THEIR_OWN.get(kind, {})}
        assert vars(kind("Slow down.")) == {"message": "Slow down.", **unknown, **of_its_own}

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))  # a Reply has slots, which need 2
    def test_errors_can_be_pickled(self, kind, protocol):
        error = kind("Slow down.", **FACTS, **OF_THEIR_OWN.get(kind, {}))
        again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 # pickled in this line
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert (str(again), again.args) == (str(error), error.args)

    def test_errors_can_be_copied(self, kind):
        error = kind("Slow down.", **FACTS, **OF_THEIR_OWN.get(kind, {}))
        for again in (copy.copy(error), copy.deepcopy(error)):
            assert type(again) is kind
            assert vars(again) == vars(error)

    def test_str_of_error_ends_with_its_facts(self, kind):
        assert str(kind("Slow down.", **FACTS)) == (
            "Slow down. (status 429, code rate_limit_exceeded, model liquid/lfm-3-1.7b, provider Liquid, "
            "generation gen-1, retry after 2.5 s)"
        )
        assert str(kind("Slow down.", status_code=429, retry_after=30.0)) == "Slow down. (status 429, retry after 30 s)"
        assert str(kind("Slow down.")) == "Slow down."

    def test_error_facts_may_be_zero(self, kind):
        assert str(kind("Slow down.", status_code=429, retry_after=0.0)) == "Slow down. (status 429)"
        assert kind("x", is_retryable=False).is_retryable is False


def test_errors_without_facts_can_be_pickled():
    for kind in (LFMError, ConfigurationError):
        again = pickle.loads(pickle.dumps(kind("Pass `api_key`.")))  # noqa: S301 # pickled in this line
        assert (type(again), str(again), again.message) == (kind, "Pass `api_key`.", "Pass `api_key`.")


SECRETS = [
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-proj-abc_DEF-0123456789",
    "Bearer abc.def.ghi",
    "bearer sk-or-v1-0123456789",
    "user_2wT5abcdefgh",
    "org_2wT5abcdefgh",
]


@pytest.mark.parametrize("secret", SECRETS)
class TestRedaction:
    @pytest.mark.parametrize("around", ["{}", "key {}, sent", '{{"key":"{}"}}', "a={};b", "{}\n"])
    def test_redact_masks_only_the_secret(self, secret, around):
        masked = redact(around.format(secret))
        assert masked == around.format("[redacted]")

    @pytest.mark.parametrize("kind", CLASSES)
    def test_errors_show_no_secret_in_their_message(self, kind, secret):
        error = kind(f"The key {secret} is wrong.")
        for shown in (str(error), repr(error), error.message, *error.args):
            assert secret not in shown
            assert "The key [redacted] is wrong." in shown

    @pytest.mark.parametrize("name", ["code", "model", "provider", "generation_id"])
    def test_errors_show_no_secret_in_their_facts(self, secret, name):
        error = APIError("Wrong.", **{name: f"x {secret}"})
        assert secret not in f"{error} {error!r}"


def test_redact_keeps_other_words():
    text = "The user_id of user_1 asked liquid/lfm-3b:free; ask-or-not, task-force-one-two-three, the bearer."
    assert redact(text) == text


def test_message_is_cut_to_limit():
    assert len(redact("x" * 5_000)) == errors.MAX_MESSAGE_CHARS + 1
    assert redact("x" * 5_000).endswith("…")
    assert redact("x" * errors.MAX_MESSAGE_CHARS) == "x" * errors.MAX_MESSAGE_CHARS
    assert SECRETS[0] not in redact("x" * (errors.MAX_MESSAGE_CHARS - 20) + " " + SECRETS[0])


def test_partial_reply_has_text_and_reasoning():
    error = errors.StreamInterruptedError("cut", partial=Reply(choices=[Choice(text="Par", reasoning="Hm")]))
    assert error.partial is not None
    assert (error.partial.text, error.partial.reasoning) == ("Par", "Hm")
    assert math.isfinite(len(str(error)))


def test_metadata_of_error_is_masked():
    metadata = {
        "raw": "key sk-or-v1-0123456789abcdef",
        "user_id": "user_2abcDEF345",
        "previous_errors": [{"code": 429}],
    }
    error = APIError("No.", metadata=metadata)
    assert error.metadata == {"raw": "key [redacted]", "previous_errors": [{"code": 429}]}
    error.mask_secret("previous_errors")
    assert "previous_errors" not in error.metadata


def test_metadata_is_json_however_deep_and_odd_what_the_server_sent():
    deep: object = "sk-or-v1-0123456789abcdef"
    for _ in range(5_000):
        deep = [deep]
    error = errors.APIError("why", metadata={"deep": deep, "nan": float("nan"), "infinite": [float("inf")]})
    error.mask_secret("a-secret-of-some-length")
    assert json.loads(json.dumps(error.metadata, allow_nan=False))["infinite"] == [None]
