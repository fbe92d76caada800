from __future__ import annotations

import json

import pytest

from lfm_adapter import catalog
from lfm_adapter._decisions.servers import decision_body, decision_url, read_state
from lfm_adapter.errors import ConfigurationError

OPENROUTER, LIQUID, OWN = (
    "https://openrouter.ai/api/v1",
    "https://api.liquid.ai/decisions/v1",
    "http://localhost:8080/v1",
)
SERVERS = (OPENROUTER, LIQUID, OWN)
D1_2 = catalog.get("d1.2")
DATA = "data:image/png;base64,iVBORw0KGgo="
PART = {"type": "image_url", "image_url": {"url": DATA}}
HALF = {"q": {"type": "noul", "instructions": "?", "criteria": {"true": "a day or less"}}}
NOUL = {"q": {"type": "noul", "instructions": "Is it urgent?"}}


def body(state, questions=NOUL, server=OPENROUTER, card=D1_2):
    return decision_body(server, card.id, *read_state(state, card), questions)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/alpha/decisions"),
        ("https://eu.openrouter.ai/api/v1", "https://eu.openrouter.ai/api/alpha/decisions"),
        ("http://127.0.0.1:5/openrouter.ai/api/v1", "http://127.0.0.1:5/openrouter.ai/api/alpha/decisions"),
        ("https://api.liquid.ai", "https://api.liquid.ai/decisions/v1/systemone"),
        ("https://api.liquid.ai/v1", "https://api.liquid.ai/decisions/v1/systemone"),
        ("https://api.liquid.ai/decisions", "https://api.liquid.ai/decisions/v1/systemone"),
        ("https://api.liquid.ai/decisions/v1", "https://api.liquid.ai/decisions/v1/systemone"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1/systemone"),
        ("http://localhost:8080/v1/systemone", "http://localhost:8080/v1/systemone"),
    ],
)
def test_each_server_has_its_address(base_url, url):
    assert decision_url(base_url) == url


def test_the_other_route_of_openrouter_is_a_setting():
    assert decision_url(OPENROUTER, route="systemone") == "https://openrouter.ai/api/v1/systemone"
    with pytest.raises(ConfigurationError, match="`route` must be 'alpha' or 'systemone', got 'beta'"):
        decision_url(OPENROUTER, route="beta")


def test_liquids_own_api_takes_names_without_the_author():
    assert [body("Hi", server=server)["model"] for server in SERVERS] == ["liquid/d1.2", "d1.2", "liquid/d1.2"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("state", ["I was charged twice.", {"mail": "Hi", "tries": 0}, ["a", {"b": None}], {"n": 0}])
def test_a_state_without_images_is_sent_as_it_is(server, state):
    assert body(state, server=server)["state"] == state


@pytest.mark.parametrize("state", ["", "  \n", {}, [], {"mail": ""}, [None, [], {}]])
def test_rejects_a_state_without_text(state):
    with pytest.raises(ConfigurationError, match="`state` is empty"):
        body(state)


@pytest.mark.parametrize("state", [None, 7, True, b"mail", {1}])
def test_rejects_a_state_that_is_not_a_string_dict_or_list(state):
    with pytest.raises(ConfigurationError, match="`state` must be a string, a dict or a list, got"):
        body(state)


def test_rejects_a_state_that_is_nested_without_end():
    state: list = []
    state.append(state)
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        body(state)


@pytest.mark.parametrize("server", SERVERS)
def test_special_tokens_in_a_state_are_escaped_everywhere(server):
    state = {"mail": "Hi<|im_end|>", "<|im_start|>": ["<|im_end|>"], "data": "<|im_end|>", "url": "<|im_end|>"}
    sent = json.dumps(body(state, server=server)["state"])
    assert "<|" not in sent
    assert sent.count("\\\\u003c|im_") == 5


class TestImages:
    @pytest.mark.parametrize(
        "part",
        [
            PART,
            {"type": "image_url", "image_url": DATA},
            {"type": "input_image", "image_url": DATA},
            {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
            {"type": "image", "url": DATA},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ],
        ids=["chat", "chat, short", "responses", "LangChain", "LangChain, URL", "Anthropic"],
    )
    def test_reads_each_common_form_of_an_image(self, part):
        assert body(["What is it?", part])["state"] == ["What is it?", PART]

    def test_openrouter_gets_images_at_the_top_of_the_state(self):
        nested = {"messages": [{"role": "user", "content": ["What is it?", PART]}]}
        text = '{"messages":[{"role":"user","content":["What is it?","[image 1]"]}]}'
        assert body(nested)["state"] == [text, "[image 1]", PART]

    def test_openrouter_gets_images_of_a_list_at_their_place(self):
        assert body(["Before:", PART, {"after": 1}, PART])["state"] == ["Before:", PART, '{"after":1}', PART]

    def test_detail_of_an_image_is_kept(self):
        part = {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}}
        assert body([part])["state"] == [part]

    @pytest.mark.parametrize(("server", "field"), [(LIQUID, "images"), (OWN, "files")])
    def test_other_servers_get_images_beside_the_state(self, server, field):
        sent = body({"page": PART, "text": "Hi"}, server=server)
        assert sent["state"] == {"page": "[image 1]", "text": "Hi"}
        assert sent[field] == [DATA]

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com/cat.png",
            "data:image/svg+xml;base64,PHN2Zz4=",
            "data:image/png;base64,",
            "data:image/png,raw",
            "data:application/pdf;base64,JVBERg==",
            "iVBORw0KGgo=",
        ],
    )
    def test_rejects_an_image_that_is_not_a_data_url(self, url):
        with pytest.raises(ConfigurationError, match="An image in `state` must be a data URL"):
            body([{"type": "image_url", "image_url": {"url": url}}])

    def test_rejects_more_images_than_servers_take(self):
        assert body([PART] * 8)
        with pytest.raises(ConfigurationError, match="`state` has 9 images; at most 8 are allowed"):
            body([PART] * 9)
        assert body([PART] * 9, card=catalog.get("openai/gpt-6-luna"))  # whose limit is not known here

    def test_rejects_images_for_a_model_without_image_input(self):
        with pytest.raises(ConfigurationError, match="`liquid/d1:free` does not take images"):
            body([PART], card=catalog.get("d1:free"))

    def test_rejects_images_that_are_too_large_for_liquids_api(self):
        large = {"type": "image", "base64": "A" * 4_600_000, "mime_type": "image/png"}
        with pytest.raises(ConfigurationError, match="takes up to 4,500,000 bytes a request"):
            body([large], server=LIQUID)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "audio", "base64": "UklGRg==", "mime_type": "audio/wav"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}},
            {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        ],
    )
    def test_rejects_other_media(self, part):
        with pytest.raises(ConfigurationError, match="Only text and images can be sent"):
            body(["What is said?", part])

    def test_facts_about_media_are_sent_as_data(self):
        state = {"events": [{"type": "file", "name": "a.pdf"}, {"type": "image", "width": 7}]}
        assert body(state)["state"] == state


class TestCriteria:
    def test_openrouter_gets_both_criteria_or_none(self):
        assert body("Hi", HALF)["questions"]["q"]["criteria"] == {
            "true": "a day or less",
            "false": "Anything else.",
        }
        assert "criteria" not in body("Hi", NOUL)["questions"]["q"]

    def test_other_servers_get_criteria_as_they_are(self):
        assert body("Hi", HALF, OWN)["questions"] == HALF

    def test_openrouter_gets_structured_criteria_as_text(self):
        asked = {"q": {"type": "choice", "instructions": {"a": 1}, "criteria": {"x": ["b"], "y": None, "z": "text"}}}
        sent = body("Hi", asked)["questions"]["q"]
        assert sent["instructions"] == '{"a":1}'
        assert sent["criteria"] == {"x": '["b"]', "y": None, "z": "text"}

    def test_hosted_servers_get_no_level_without_a_description(self):
        asked = {"q": {"type": "score", "instructions": "?", "criteria": ["calm", None, "furious"]}}
        sent = [body("Hi", asked, server)["questions"]["q"]["criteria"] for server in SERVERS]
        assert sent == [["calm", "1", "furious"], ["calm", "1", "furious"], ["calm", None, "furious"]]
