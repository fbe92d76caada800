"""What the tools of `lfm mcp` do for an agent, over both generations of the protocol."""

from __future__ import annotations

import json
import os
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from jsonschema import Draft202012Validator
from mcp import MCPError

from lfm_adapter.apps.mcp import invocation
from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.apps.mcp.tools import Usage
from lfm_adapter.testing import completion, error, stream
from lfm_adapter.testing import token_usage as usage
from tests.support.mcp_session import KEY, MODEL, MODES, connect, error_of, mcp_server, session_of, usage_of
from tests.support.prompted_model import prompted_model

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import ScriptedOpenRouter

pytestmark = pytest.mark.parametrize("mode", MODES)


def only_file_in(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


async def test_every_tool_has_descriptions_and_schemas(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools[:1]] == ["ask"]
    for tool in tools:
        assert tool.title
        assert len(tool.description or "") > 100, tool.name
        Draft202012Validator.check_schema(tool.input_schema)
        assert tool.output_schema
        Draft202012Validator.check_schema(tool.output_schema)
        assert tool.annotations
        assert tool.annotations.read_only_hint is True
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), f"{tool.name}: {name}"


async def test_ask_returns_the_answer_as_text_and_as_an_object(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["Grass ", "is green."], model=MODEL, usage=usage(20, 5, cost=0.25)))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "What is grass?", "system": "Be brief.", "max_tokens": 100})
    assert not result.is_error
    assert result.content[0].text == "Grass is green."
    assert result.structured_content == {"text": "Grass is green.", "model": MODEL, "truncated": False}
    assert usage_of(result) == {"answers": 1, "prompt_tokens": 20, "completion_tokens": 5, "cost_usd": 0.25}
    (request,) = server.requests
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is grass?"},
    ]
    assert request.body["max_tokens"] == 100


async def test_ask_sends_a_json_prompt_unchanged(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["Fine."]))
    async with connect(mcp_server(server), mode) as client:
        await client.call_tool("ask", {"prompt": '{"a": [1, 2]}', "system": '["x"]'})
    assert [message["content"] for message in server.requests[0].body["messages"]] == ['["x"]', '{"a": [1, 2]}']


async def test_an_answer_that_a_filter_stopped_is_an_error_that_says_so(server: ScriptedOpenRouter, mode: str):
    server.add(stream([], finish_reason="content_filter"))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Hello"})
    assert "content filter" in error_of(result)


async def test_announces_only_tools_and_prompts(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        offered = client.server_capabilities
    assert offered.tools
    assert offered.prompts
    assert offered.resources is None


async def test_answer_that_was_cut_off_is_marked(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["Once upon"], finish_reason="length"))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Tell me a story.", "max_tokens": 2})
    assert result.structured_content["truncated"] is True
    assert [block.text for block in result.content] == [
        "Once upon",
        "[The answer was cut off. Ask for less, or raise `max_tokens` if the tool has it.]",
    ]


async def test_answer_too_large_for_clients_is_cut_and_says_so(server: ScriptedOpenRouter, mode: str):
    server.default = lambda _: stream(["word "] * 20_000)
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Write a book."})
    text = result.structured_content["text"]
    assert result.content[0].text == text
    assert 40_000 < len(text) < 75_000
    assert "[Cut here: the whole result has about" in text[-300:]
    assert "--save-results" in text[-300:]


async def test_answer_too_large_for_clients_is_saved_whole_on_wish(
    server: ScriptedOpenRouter, mode: str, tmp_path: Path
):
    server.default = lambda _: stream(["word "] * 20_000)
    session = session_of(server)
    session.results_folder = tmp_path
    async with connect(create_server(session), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Write a book."})
    file = only_file_in(tmp_path)
    assert f"It was saved to {file}.]" in result.structured_content["text"]
    assert file.read_text() == "word " * 20_000


async def test_object_too_large_for_clients_is_an_error_with_its_beginning(
    server: ScriptedOpenRouter, mode: str, tmp_path: Path
):
    server.default = lambda _: completion(json.dumps({"words": ["word"] * 20_000}))
    session = session_of(server)
    session.results_folder = tmp_path
    schema = {"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string"}}}}
    async with connect(create_server(session), mode) as client:
        result = await client.call_tool("extract", {"text": "x", "schema": schema})
    assert error_of(result).startswith('{"data": {"words": ["word", "word"')
    file = only_file_in(tmp_path)
    assert str(file) in error_of(result)
    assert len(json.loads(file.read_text())["data"]["words"]) == 20_000


async def test_empty_answer_is_an_error_with_the_reason(server: ScriptedOpenRouter, mode: str):
    server.add(
        stream([], reasoning=["Let me ", "think."], finish_reason="length", usage=usage(cost=0.5)),
        stream([], refusal=["I will not ", "say that"]),
    )
    async with connect(mcp_server(server), mode) as client:
        used_up = await client.call_tool("ask", {"prompt": "Hello", "max_tokens": 2})
        refused = await client.call_tool("ask", {"prompt": "Hello"})
    assert "reasoning took all of `max_tokens`" in error_of(used_up)
    assert usage_of(used_up)["cost_usd"] == 0.5
    assert "refused: I will not say that." in error_of(refused)


async def test_reports_progress_while_an_answer_is_written(
    server: ScriptedOpenRouter, mode: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(invocation, "NOTE_INTERVAL_S", 0.01)
    monkeypatch.setattr(invocation, "QUIET_S", 0.6)
    heard = threading.Event()
    server.add(stream(["word "] * 300).held(100, heard))
    told: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))
        if message and "chunks written" in message:
            heard.set()

    async with connect(mcp_server(server), mode) as client:
        await client.call_tool("ask", {"prompt": "Write."}, progress_callback=hear)
    numbers = [progress for progress, _ in told]
    assert numbers == sorted(set(numbers))


async def test_a_fast_answer_comes_without_progress(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["word "] * 300))
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with connect(mcp_server(server), mode) as client:
        await client.call_tool("ask", {"prompt": "Write."}, progress_callback=hear)
    assert told == []


async def test_no_progress_comes_right_before_the_result(
    server: ScriptedOpenRouter, mode: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(invocation, "NOTE_INTERVAL_S", 0.01)
    monkeypatch.setattr(invocation, "QUIET_S", 0.6)
    heard = threading.Event()
    server.add(stream(["Hi", "."]).held(1, heard))
    last_s = 0.0

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        nonlocal last_s
        last_s = time.monotonic()
        heard.set()

    async with connect(mcp_server(server), mode) as client:
        await client.call_tool("ask", {"prompt": "Hello"}, progress_callback=hear)
        assert time.monotonic() - last_s >= 0.1


@pytest.mark.parametrize(
    ("tool", "arguments"), [("ask", {"prompt": "Hi"}), ("classify", {"text": "Hi", "labels": ["a", "b"]})]
)
async def test_reports_progress_while_the_model_is_silent(
    server: ScriptedOpenRouter, mode: str, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: dict[str, Any]
):
    monkeypatch.setattr(invocation, "NOTE_INTERVAL_S", 0.01)
    monkeypatch.setattr(invocation, "NOTES_PER_HEARTBEAT", 1)
    heard_often = threading.Event()
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)
        if len(told) == 3:
            heard_often.set()

    reply = stream(["Hello."]) if tool == "ask" else completion('{"label": "a"}')
    server.add(reply.held(0, heard_often))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool(tool, arguments, progress_callback=hear)
    assert not result.is_error
    assert heard_often.is_set()
    assert told == sorted(set(told))


async def test_error_for_a_retired_model_names_its_successors(server: ScriptedOpenRouter, mode: str):
    server.add(error(404, "No endpoints found for liquid/lfm-3b."))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Hello", "model": "lfm-3b"})
    assert 'Call again with model="liquid/lfm-3-1.7b"' in error_of(result)
    assert result.meta["lfm-adapter/error"]["type"] == "ModelRetiredError"
    assert result.meta["lfm-adapter/error"]["successors"][0] == "liquid/lfm-3-1.7b"


@pytest.mark.filterwarnings("ignore:.*is retired")
async def test_without_a_model_the_successor_of_the_default_answers(openrouter: ScriptedOpenRouter, mode: str):
    openrouter.add(stream(["Hi."]))
    async with connect(mcp_server(openrouter, None), mode) as client:
        await client.call_tool("ask", {"prompt": "Hello"})
        assert "`liquid/lfm-3-1.7b` answers" in (client.instructions or "")
    assert openrouter.requests[0].body["model"] == "liquid/lfm-3-1.7b"


async def test_problems_with_invalid_unicode_reach_the_client(server: ScriptedOpenRouter, mode: str):
    session = session_of(server)
    session.problems = [os.fsdecode(b"`--root caf\xe9` is ignored.")]
    async with connect(create_server(session), mode) as client:
        assert "`--root caf\N{REPLACEMENT CHARACTER}` is ignored." in (client.instructions or "")
        result = await client.call_tool("usage", {})
    assert result.content[1].text == "`--root caf\N{REPLACEMENT CHARACTER}` is ignored."


async def test_instructions_name_the_successor_of_a_retired_model(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server, "liquid/lfm-3b"), mode) as client:
        assert "retired it: if it is refused, name `liquid/lfm-3-1.7b`" in (client.instructions or "")


async def test_error_has_advice_and_never_the_key(server: ScriptedOpenRouter, mode: str):
    server.add(error(401, f"Bad key {KEY}"))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Hello"})
    assert "Only the user can fix this" in error_of(result)
    assert KEY not in repr(result)


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        ({}, ["`prompt` is missing."]),
        ({"prompt": None}, ["`prompt` is missing."]),
        ({"prompt": ""}, ["`prompt` must not be empty."]),
        ({"prompt": "Hi", "max_tokens": -1}, ["`max_tokens` is invalid", "greater than or equal to 0"]),
        ({"prompt": ["Hi"], "system": 5}, ["`prompt` must be a string", "`system` must be a string"]),
        ({"prompt": "Hi", "temperature": 1}, ["Unknown argument: `temperature`", "`prompt`, `system`, `model`"]),
    ],
)
async def test_arguments_out_of_shape_are_an_error_that_names_them(
    server: ScriptedOpenRouter, mode: str, arguments: dict[str, Any], problems: list[str]
):
    async with connect(mcp_server(server), mode) as client:
        told = error_of(await client.call_tool("ask", arguments))
    for problem in problems:
        assert problem in told
    assert "pydantic" not in told
    assert not server.requests


async def test_null_leaves_an_argument_out(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["Hi."]))
    arguments = {"prompt": "Hello", "system": None, "model": None, "max_tokens": None}
    async with connect(mcp_server(server), mode) as client:
        assert not (await client.call_tool("ask", arguments)).is_error
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "Hello"}]


async def test_an_unknown_tool_is_an_error_of_the_protocol(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        with pytest.raises(MCPError, match="Unknown tool: 'guess'") as caught:
            await client.call_tool("guess", {})
    assert caught.value.error.code == -32602


async def test_unexpected_failure_reveals_only_its_type(
    server: ScriptedOpenRouter, mode: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Usage, "run", AsyncMock(side_effect=TypeError("what a user wrote")))
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("usage", {})
        assert "failed unexpectedly (TypeError)" in error_of(result)
        assert "what a user wrote" not in repr(result)
        assert not (await client.call_tool("models", {})).is_error


@pytest.mark.parametrize("cost", [int("9" * 401), -1, 1e300, "free"], ids=["401 digits", "-1", "1e300", "text"])
async def test_a_cost_that_cannot_be_breaks_nothing(server: ScriptedOpenRouter, mode: str, cost: Any):
    server.add(stream(["A"], model=MODEL, usage={**usage(10, 1), "cost": cost}), stream(["B"], usage=usage(cost=0.5)))
    async with connect(mcp_server(server), mode) as client:
        first = await client.call_tool("ask", {"prompt": "One"})
        await client.call_tool("ask", {"prompt": "Two"})
        used = (await client.call_tool("usage", {})).structured_content
    assert usage_of(first)["cost_usd"] is None
    assert (used["cost_usd"], used["unpriced_answers"]) == (0.5, 1)


async def test_models_lists_prices_limits_and_the_default(server: ScriptedOpenRouter, mode: str):
    async with connect(mcp_server(server), mode) as client:
        result = await client.call_tool("models", {})
    listed = {model["id"]: model for model in result.structured_content["models"]}
    assert result.structured_content["default"] == MODEL
    assert listed[MODEL]["is_default"]
    assert Decimal(str(listed[MODEL]["input_usd_per_million"])) == Decimal("0.08")
    assert listed[MODEL]["context_length"] == 262_144
    assert listed["liquid/lfm-3-1.7b:free"]["output_usd_per_million"] == 0


async def test_models_of_openrouter_come_from_the_catalogue_without_a_request(mode: str):
    from lfm_adapter import AsyncLFMClient
    from lfm_adapter.apps.mcp.server import create_server
    from lfm_adapter.apps.mcp.session import Session

    async with connect(create_server(Session(AsyncLFMClient(model=MODEL, api_key=KEY))), mode) as client:
        living = (await client.call_tool("models", {})).structured_content["models"]
        every = (await client.call_tool("models", {"include_retired": True})).structured_content["models"]
    assert MODEL in {model["id"] for model in living}
    assert "retired" not in {model["status"] for model in living}
    retired = {model["id"]: model["successors"] for model in every if model["status"] == "retired"}
    assert "liquid/lfm-3-1.7b" in retired["liquid/lfm-3b"]


async def test_usage_is_the_sum_over_all_calls(server: ScriptedOpenRouter, mode: str):
    server.add(stream(["A"], usage=usage(10, 1, cost=0.25)), stream(["B"], usage=usage(20, 2, cost=0.5)))
    async with connect(mcp_server(server), mode) as client:
        await client.call_tool("ask", {"prompt": "One"})
        await client.call_tool("ask", {"prompt": "Two", "model": "liquid/lfm-2.5-2.6b:free"})
        used = (await client.call_tool("usage", {})).structured_content
    assert (used["answers"], used["prompt_tokens"], used["completion_tokens"]) == (2, 30, 3)
    assert (used["cost_usd"], used["limit_usd"], used["left_usd"]) == (0.75, None, None)
    assert {model["model"]: model["cost_usd"] for model in used["by_model"]} == {
        MODEL: 0.25,
        "liquid/lfm-2.5-2.6b:free": 0.5,
    }


async def test_ask_works_with_a_prompted_model(server: ScriptedOpenRouter, mode: str):
    server.default = prompted_model
    async with connect(mcp_server(server, "liquid/lfm-3b"), mode) as client:
        result = await client.call_tool("ask", {"prompt": "Hello."})
    assert result.content[0].text == "Thank you for your message: Hello."
