"""Summaries, objects, labels and commit messages, of texts and of files, over both generations of the protocol."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from mcp.types import ErrorData, ListRootsResult, Root

from lfm_adapter.apps.mcp import invocation
from lfm_adapter.apps.mcp import server as mcp_server_module
from lfm_adapter.apps.mcp.server import create_server
from lfm_adapter.testing import error, stream
from tests.support.mcp_session import (
    MODEL,
    MODES,
    PERSON,
    call,
    connect,
    error_of,
    mcp_server,
    prompt_of,
    session_of,
    usage_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lfm_adapter.testing import RecordedRequest, ScriptedOpenRouter, ScriptedReply

SMALL = "liquid/lfm-2-24b-a2b"  # 32,768 tokens of context


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


def noted(request: RecordedRequest) -> ScriptedReply:
    """Answer with the markers that stand in the text, so that a test sees what was read."""
    return stream([" ".join(re.findall(r"mark-\d+", prompt_of(request))) or "nothing"], model=SMALL)


class TestSummarize:
    async def test_a_text_becomes_a_summary(self, server: ScriptedOpenRouter, mode: str):
        server.add(stream(["In short."], model=MODEL))
        result = await call(mcp_server(server), "summarize", mode, text="A long story.", instructions="One line.")
        assert result.content[0].text == "In short."
        assert result.structured_content == {"summary": "In short.", "model": MODEL, "parts": 1, "truncated": False}
        assert "A long story." in prompt_of(server.requests[0])
        assert "One line." in prompt_of(server.requests[0])

    async def test_text_longer_than_the_context_is_read_in_parts(self, server: ScriptedOpenRouter, mode: str):
        server.default = noted
        marks = [f"mark-{number}" for number in range(40)]
        text = "\n\n".join(f"{mark} " + "word " * 1000 for mark in marks)  # 50,000 tokens and more
        result = await call(mcp_server(server, SMALL), "summarize", mode, text=text)
        parts = result.structured_content["parts"]
        assert parts > 1
        assert result.content[0].text.split() == marks
        assert len(server.requests) == parts + 1
        assert usage_of(result)["answers"] == parts + 1

    async def test_progress_tells_how_many_parts_are_read(
        self, server: ScriptedOpenRouter, mode: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(invocation, "NOTE_INTERVAL_S", 0.01)
        heard = threading.Event()

        def hold_the_last(request: RecordedRequest) -> ScriptedReply:
            answered = noted(request)
            return answered.held(0, heard) if "mark-39" in prompt_of(request) else answered

        server.default = hold_the_last

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            if "1 of 3 parts read" in (message or "") or "2 of 3 parts read" in (message or ""):
                heard.set()

        text = "\n\n".join(f"mark-{number} " + "word " * 1000 for number in range(40))
        async with connect(mcp_server(server, SMALL), mode) as client:
            result = await client.call_tool("summarize", {"text": text}, progress_callback=hear)
        assert result.structured_content["parts"] == 3
        assert heard.is_set()

    async def test_a_part_that_the_server_finds_too_long_is_halved(self, server: ScriptedOpenRouter):
        def strict(request: RecordedRequest) -> ScriptedReply:
            if len(prompt_of(request)) > 6_000:
                return error(400, "This endpoint's maximum context length is 2048 tokens. However, you requested 9999.")
            return noted(request)

        server.default = strict
        marks = [f"mark-{number}" for number in range(10)]
        text = "\n\n".join(f"{mark} " + "word " * 300 for mark in marks)
        result = await call(mcp_server(server, "acme/unknown"), "summarize", text=text)
        assert result.content[0].text.split() == marks
        assert result.structured_content["parts"] > 2

    async def test_part_without_notes_fails_the_summary(self, server: ScriptedOpenRouter):
        def silent_once(request: RecordedRequest) -> ScriptedReply:
            if "mark-30 " in prompt_of(request):
                return stream([], reasoning=["Hm."], finish_reason="length")
            return noted(request)

        server.default = silent_once
        text = "\n\n".join(f"mark-{number} " + "word " * 1000 for number in range(40))
        assert "wrote no answer" in error_of(await call(mcp_server(server, SMALL), "summarize", text=text))

    async def test_a_failure_of_one_part_is_the_failure_of_the_call(self, server: ScriptedOpenRouter):
        def fail_late(request: RecordedRequest) -> ScriptedReply:
            return error(402, "Insufficient credits") if "mark-399 " in prompt_of(request) else noted(request)

        server.default = fail_late
        # More parts than are read side by side, so that some are answered before the last is asked for.
        text = "\n\n".join(f"mark-{number} " + "word " * 1000 for number in range(400))
        result = await call(mcp_server(server, SMALL), "summarize", text=text)
        assert "credit" in error_of(result)
        assert usage_of(result)["answers"] >= 1  # what was paid for is told all the same

    async def test_a_text_that_would_take_hundreds_of_calls_is_refused(self, server: ScriptedOpenRouter):
        result = await call(mcp_server(server, SMALL), "summarize", text="word " * 4_000_000)
        assert "too long" in error_of(result)
        assert not server.requests

    @pytest.mark.parametrize("arguments", [{}, {"text": " "}, {"text": "x", "paths": ["y"]}])
    async def test_summarize_needs_either_a_text_or_paths(self, server: ScriptedOpenRouter, arguments: dict[str, Any]):
        assert "either" in error_of(await call(mcp_server(server), "summarize", **arguments))


class TestFiles:
    async def test_files_below_the_clients_roots_are_read(self, server: ScriptedOpenRouter, mode: str, tmp_path: Path):
        server.add(stream(["Short."]))
        (tmp_path / "a.txt").write_text("What is in A.")
        (tmp_path / "b.txt").write_text("What is in B.")

        async def list_roots(_: Any) -> ListRootsResult:
            return ListRootsResult(roots=[Root(uri=tmp_path.as_uri())])

        async with connect(mcp_server(server), mode, list_roots_callback=list_roots) as client:
            result = await client.call_tool("summarize", {"paths": ["a.txt", str(tmp_path / "b.txt")]})
            outside = await client.call_tool("extract", {"paths": ["../x"], "schema": PERSON})
        assert not result.is_error, result
        assert "What is in A." in prompt_of(server.requests[0])
        assert "What is in B." in prompt_of(server.requests[0])
        assert "outside" in error_of(outside)
        assert outside.meta["lfm-adapter/error"] == {"type": "FileAccessError"}
        assert len(server.requests) == 1

    async def test_roots_are_requested_only_for_files(self, server: ScriptedOpenRouter, mode: str):
        server.add(stream(["Short."]))

        async def list_roots(_: Any) -> ListRootsResult:
            raise AssertionError

        async with connect(mcp_server(server), mode, list_roots_callback=list_roots) as client:
            assert not (await client.call_tool("summarize", {"text": "A text."})).is_error

    async def test_files_below_the_folders_of_the_user_are_read(
        self, server: ScriptedOpenRouter, mode: str, tmp_path: Path
    ):
        server.add(stream(["Short."]))
        (tmp_path / "a.txt").write_text("What is in A.")
        session = session_of(server)
        session.folders = (tmp_path,)
        result = await call(create_server(session), "summarize", mode, paths=["a.txt"])
        assert not result.is_error, result
        assert "What is in A." in prompt_of(server.requests[0])

    @pytest.mark.parametrize("answer", ["refused", "never", "other schemes"])
    async def test_a_client_that_opens_nothing_leaves_the_folders_of_the_user(
        self, server: ScriptedOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
    ):
        monkeypatch.setattr(mcp_server_module, "ROOTS_TIMEOUT_S", 0.2)
        server.add(stream(["Short."]))
        (tmp_path / "a.txt").write_text("What is in A.")
        session = session_of(server)
        session.folders = (tmp_path,)
        never = asyncio.Event()

        async def list_roots(_: Any) -> ListRootsResult | ErrorData:
            if answer == "never":
                await never.wait()
            if answer == "refused":
                return ErrorData(code=-32601, message="Method not found")
            roots = [Root.model_construct(uri=uri) for uri in ("vscode-remote://box/srv", "/srv", "file://[")]
            return ListRootsResult.model_construct(roots=roots)

        async with connect(create_server(session), list_roots_callback=list_roots) as client:
            result = await client.call_tool("summarize", {"paths": ["a.txt"]})
        never.set()
        assert not result.is_error, result
        assert "What is in A." in prompt_of(server.requests[0])

    @pytest.mark.parametrize(
        ("paths", "is_read"), [("a.txt", True), ('["a.txt"]', True), ("", False), (None, False), ([], False)]
    )
    async def test_paths_may_be_one_path_or_none(
        self, server: ScriptedOpenRouter, tmp_path: Path, paths: Any, *, is_read: bool
    ):
        server.add(stream(["Short."]))
        (tmp_path / "a.txt").write_text("What is in A.")
        session = session_of(server)
        session.folders = (tmp_path,)
        arguments = {"paths": paths} if is_read else {"paths": paths, "text": "A text."}
        assert not (await call(create_server(session), "summarize", **arguments)).is_error
        assert ("What is in A." if is_read else "A text.") in prompt_of(server.requests[0])

    async def test_without_any_the_error_says_how_to_open_some(self, server: ScriptedOpenRouter, mode: str):
        result = await call(mcp_server(server), "summarize", mode, paths=["/etc/passwd"])
        assert "--root FOLDER" in error_of(result)


class TestCommitMessage:
    async def test_a_diff_becomes_subject_and_body(self, server: ScriptedOpenRouter, mode: str):
        server.add(stream(["```\nFix the parser\n\nIt dropped ", "the last line.\n```"]))
        result = await call(mcp_server(server), "commit_message", mode, diff="-a\n+b\n", instructions="No emoji.")
        written = result.structured_content
        assert written["subject"] == "Fix the parser"
        assert written["body"] == "It dropped the last line."
        assert written["message"] == result.content[0].text == "Fix the parser\n\nIt dropped the last line."
        assert "No emoji." in prompt_of(server.requests[0])

    async def test_a_long_diff_is_read_file_by_file(self, server: ScriptedOpenRouter):
        server.default = noted
        diff = "".join(f"diff --git a/{n} b/{n}\n+mark-{n}\n" + "+line\n" * 3000 for n in range(20))
        result = await call(mcp_server(server, SMALL), "commit_message", diff=diff)
        assert result.structured_content["subject"].split() == [f"mark-{n}" for n in range(20)]
        read = [prompt_of(request).removeprefix("<text>\n") for request in server.requests[:-1]]
        assert all(part.startswith("diff --git") for part in read)
