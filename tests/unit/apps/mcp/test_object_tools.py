"""Objects and labels that match a schema, over both generations of the protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from lfm_adapter.ledger import Budget
from lfm_adapter.testing import completion, decisions, error
from tests.support.mcp_session import MODEL, MODES, PERSON, call, error_of, mcp_server, prompt_of, usage_of
from tests.support.prompted_model import prompted_model
from tests.support.scripted_model import openrouter_like

if TYPE_CHECKING:
    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


class TestExtract:
    @pytest.mark.parametrize(
        ("model", "responder"),
        [(MODEL, openrouter_like), ("liquid/lfm-3b", prompted_model)],
        ids=["native", "by prompt"],
    )
    async def test_a_text_becomes_an_object_that_fits_the_schema(
        self, server: ScriptedOpenRouter, mode: str, model: str, responder: Any
    ):
        server.default = responder
        result = await call(mcp_server(server, model), "extract", mode, text="'Ada' is 36 years old.", schema=PERSON)
        assert result.structured_content["data"] == {"name": "Ada", "age": 36}
        assert json.loads(result.content[0].text)["data"] == {"name": "Ada", "age": 36}

    async def test_extract_accepts_a_schema_as_a_string(self, server: ScriptedOpenRouter):
        server.default = openrouter_like
        result = await call(mcp_server(server), "extract", text="'Ada' is 36.", schema=json.dumps(PERSON))
        assert result.structured_content["data"] == {"name": "Ada", "age": 36}

    async def test_extract_retries_once_if_the_server_ignores_the_schema(self, server: ScriptedOpenRouter):
        server.add(completion('{"name": "Ada"}'), completion('Sorry: {"name": "Ada", "age": "36"}'))
        result = await call(mcp_server(server, "acme/one"), "extract", text="Ada is 36.", schema=PERSON)
        assert result.structured_content["data"] == {"name": "Ada", "age": 36}
        assert "'age' is a required property" in prompt_of(server.requests[1])
        assert usage_of(result)["answers"] == 2

    async def test_object_that_is_still_invalid_is_an_error(self, server: ScriptedOpenRouter):
        server.add(completion("No idea."), completion("No idea."))
        result = await call(mcp_server(server, "acme/one"), "extract", text="Ada is 36.", schema=PERSON)
        assert "JSON" in error_of(result)
        assert result.meta["lfm-adapter/error"]["type"] == "OutputValidationError"
        assert result.structured_content is None
        assert len(server.requests) == 2

    async def test_object_that_was_cut_off_is_an_error(self, server: ScriptedOpenRouter):
        server.add(completion('{"name": "Ada", "age": 3', finish_reason="length"))
        result = await call(mcp_server(server, "acme/one"), "extract", text="Ada is 36.", schema=PERSON)
        assert "cut off" in error_of(result)

    @pytest.mark.parametrize("levels", [201, 260, 400, 3_000])
    async def test_object_that_is_nested_too_deep_is_an_error(self, server: ScriptedOpenRouter, levels: int):
        server.add(completion('{"a": ' + "[" * levels + "]" * levels + "}"))
        result = await call(mcp_server(server), "extract", text="x", schema={"type": "object"})
        assert "nested deeper than 200 levels" in error_of(result)
        assert usage_of(result)["answers"] == 1

    async def test_object_of_many_levels_is_returned(self, server: ScriptedOpenRouter):
        server.add(completion('{"a": ' + "[" * 199 + "]" * 199 + "}"))
        result = await call(mcp_server(server), "extract", text="x", schema={"type": "object"})
        assert not result.is_error

    @pytest.mark.parametrize(
        ("schema", "told"),
        [
            ({"type": "array"}, '"type": "object" at its root'),
            ({"type": "object", "properties": 3}, "not a valid JSON schema"),
        ],
    )
    async def test_invalid_schema_is_refused(self, server: ScriptedOpenRouter, schema: Any, told: str):
        assert told in error_of(await call(mcp_server(server), "extract", text="x", schema=schema))
        assert not server.requests


class TestClassify:
    async def test_one_of_the_labels_is_chosen(self, server: ScriptedOpenRouter, mode: str):
        server.default = openrouter_like
        result = await call(mcp_server(server), "classify", mode, text="Broken!", labels=["bug", "wish"])
        assert result.structured_content["label"] in {"bug", "wish"}
        assert result.content[0].text == result.structured_content["label"]

    async def test_classify_retries_a_label_that_was_not_given(self, server: ScriptedOpenRouter):
        server.add(completion('{"label": "defect"}'), completion('{"label": "bug"}'))
        result = await call(mcp_server(server, "acme/one"), "classify", text="Broken!", labels=["bug", "wish"])
        assert result.structured_content["label"] == "bug"
        assert len(server.requests) == 2

    @pytest.mark.parametrize("labels", [["one"], ["one", "one"]])
    async def test_labels_must_differ(self, server: ScriptedOpenRouter, labels: list[str]):
        assert "labels" in error_of(await call(mcp_server(server), "classify", text="x", labels=labels))

    async def test_many_texts_are_classified_in_one_call(self, server: ScriptedOpenRouter, mode: str):
        server.default = label_by_content
        texts = ["It crashes.", "Please add tea.", "It crashes again."]
        result = await call(mcp_server(server), "classify", mode, texts=texts, labels=["bug", "wish"])
        assert result.structured_content["labels"] == ["bug", "wish", "bug"]
        assert result.structured_content["label"] is None
        assert result.content[0].text == "1. bug\n2. wish\n3. bug"
        assert usage_of(result)["answers"] == 3

    async def test_a_text_without_a_label_does_not_lose_the_others(self, server: ScriptedOpenRouter):
        server.default = label_by_content
        texts = ["It crashes.", "Make it fail."]
        result = await call(mcp_server(server), "classify", texts=texts, labels=["bug", "wish"])
        assert result.structured_content["labels"] == ["bug", None]
        (problem,) = result.structured_content["errors"]
        assert "JSON" in problem
        assert "2. (none)" in result.content[0].text

    async def test_what_would_fail_for_every_text_is_not_tried_for_each(self, server: ScriptedOpenRouter):
        server.default = lambda _: error(401, "No.")
        texts = [f"Text {number}" for number in range(50)]
        result = await call(mcp_server(server), "classify", texts=texts, labels=["bug", "wish"])
        assert "OPENROUTER_API_KEY" in error_of(result)
        assert len(server.requests) <= 4

    async def test_chat_model_gives_no_probabilities(self, server: ScriptedOpenRouter):
        server.default = label_by_content
        texts = ["It crashes.", "Make it fail."]
        result = await call(mcp_server(server), "classify", texts=texts, labels=["bug", "wish"])
        assert result.structured_content["probabilities"] == [None, None]

    @pytest.mark.parametrize("arguments", [{}, {"text": " "}, {"text": "a", "texts": ["b"]}, {"texts": []}])
    async def test_classify_needs_either_a_text_or_texts(self, server: ScriptedOpenRouter, arguments: dict[str, Any]):
        result = await call(mcp_server(server), "classify", labels=["bug", "wish"], **arguments)
        assert "either `text` or `texts`" in error_of(result)


class TestClassifyByDecisionModel:
    PATH = "/alpha/decisions"
    LABELS: ClassVar = ["bug", "wish", "other"]

    async def test_label_comes_with_probabilities(self, openrouter: ScriptedOpenRouter, mode: str):
        probabilities = {"bug": 0.9, "wish": 0.0973, "other": 0.0027}
        openrouter.add(decisions({"label": probabilities}, cost=7e-6, input_tokens=350), path=self.PATH)
        result = await call(
            mcp_server(openrouter), "classify", mode, text="Broken!", labels=self.LABELS, instructions="Wishes are new."
        )
        assert result.structured_content == {
            "label": "bug",
            "labels": [],
            "probabilities": [{"bug": 0.9, "wish": 0.097}],
            "errors": [],
            "model": "liquid/d1.2",
        }
        assert result.content[0].text == "bug"
        assert usage_of(result) == {"answers": 1, "prompt_tokens": 350, "completion_tokens": 0, "cost_usd": 7e-6}
        question = openrouter.requests[0].body["questions"]["label"]
        assert question["criteria"] == dict.fromkeys(self.LABELS)
        assert question["instructions"].endswith("Wishes are new.")

    async def test_many_texts_each_have_their_probabilities(self, openrouter: ScriptedOpenRouter):
        openrouter.add(*[decisions({"label": {"bug": 0.75, "wish": 0.25, "other": 0}})] * 2, path=self.PATH)
        result = await call(mcp_server(openrouter), "classify", texts=["a", "b"], labels=self.LABELS)
        assert result.structured_content["labels"] == ["bug", "bug"]
        assert result.structured_content["probabilities"] == [{"bug": 0.75, "wish": 0.25}] * 2
        assert usage_of(result)["answers"] == 2

    async def test_answer_that_does_not_fit_loses_no_other(self, openrouter: ScriptedOpenRouter):
        openrouter.add(decisions({"other": 0.5}), path=self.PATH)
        openrouter.add(decisions({"label": {"bug": 1, "wish": 0, "other": 0}}), path=self.PATH)
        result = await call(mcp_server(openrouter), "classify", texts=["a", "b"], labels=self.LABELS)
        assert sorted(map(str, result.structured_content["labels"])) == ["None", "bug"]
        assert "the answer to 'label' is missing" in result.structured_content["errors"][0]
        assert usage_of(result)["answers"] == 2

    @pytest.mark.parametrize("status", [403, 404])
    async def test_chat_models_classify_after_a_decision_model_refused_the_key(
        self, openrouter: ScriptedOpenRouter, status: int
    ):
        openrouter.add(error(status, "No endpoints found matching your data policy"), path=self.PATH)
        openrouter.default = label_by_content
        server = mcp_server(openrouter)
        for _ in range(2):
            result = await call(server, "classify", text="It crashes.", labels=self.LABELS)
            assert (result.structured_content["label"], result.structured_content["model"]) == ("bug", MODEL)
        assert [request.path for request in openrouter.requests].count(self.PATH) == 1

    @pytest.mark.parametrize(("default", "named"), [(MODEL, MODEL), (f"{MODEL}:free", "")], ids=["named", "free"])
    async def test_chat_model_that_was_chosen_or_is_free_is_asked(
        self, openrouter: ScriptedOpenRouter, default: str, named: str
    ):
        openrouter.default = label_by_content
        result = await call(
            mcp_server(openrouter, default), "classify", text="It crashes.", labels=self.LABELS, model=named
        )
        assert result.structured_content["probabilities"] == [None]
        assert [request.path for request in openrouter.requests] == ["/chat/completions"]

    async def test_decision_model_that_is_named_is_asked_of_any_server(self, server: ScriptedOpenRouter):
        server.add(decisions({"label": {"bug": 1, "wish": 0, "other": 0}}), path="/systemone")
        result = await call(mcp_server(server), "classify", text="a", labels=self.LABELS, model="liquid/d1.1")
        assert (result.structured_content["label"], server.requests[0].body["model"]) == ("bug", "liquid/d1.1")

    async def test_other_tools_say_what_it_is_for(self, openrouter: ScriptedOpenRouter):
        result = await call(mcp_server(openrouter), "summarize", text="a", model="liquid/d1.2")
        assert "`liquid/d1.2` works only with the tool `classify`." in error_of(result)
        assert not openrouter.requests

    async def test_spending_limit_holds(self, openrouter: ScriptedOpenRouter):
        result = await call(mcp_server(openrouter, budget=Budget("0.000001")), "classify", text="a", labels=self.LABELS)
        assert result.meta["lfm-adapter/error"]["type"] == "BudgetExceededError"
        assert not openrouter.requests

    async def test_price_is_capped_under_a_limit(self, openrouter: ScriptedOpenRouter):
        openrouter.add(decisions({"label": {"bug": 1, "wish": 0, "other": 0}}), path=self.PATH)
        await call(mcp_server(openrouter, budget=Budget(1)), "classify", text="a", labels=self.LABELS)
        assert openrouter.requests[0].body["provider"] == {"max_price": {"prompt": 0.02, "completion": 0.0}}


def label_by_content(request: RecordedRequest) -> ScriptedReply:
    prompt = str(request.body["messages"])
    if "fail" in prompt:
        return completion("No idea.")
    return completion('{"label": "bug"}' if "crashes" in prompt else '{"label": "wish"}')
