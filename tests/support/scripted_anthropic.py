"""A loopback server that stands in for Anthropic's messages API, as far as Claude Code needs it for one tool call.

Its model calls the tool that the test names, and then repeats what the tool said.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["ScriptedAnthropic"]

Object = dict[str, Any]


class ScriptedAnthropic:
    """The server. Runs from `__enter__` to `__exit__`.

    Attributes:
        tools: The names of the tools that were offered.
    """

    def __init__(self, tool: str, arguments: Object) -> None:
        self.tools: set[str] = set()
        self._call = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": arguments}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        """What to give as `ANTHROPIC_BASE_URL`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_error(404)

            do_HEAD = do_GET  # noqa: N815 - likewise

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                if self.path.partition("?")[0] != "/v1/messages":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for event in _events(body["model"], script._answer(body)):
                    self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, body: Object) -> Object:
        offered = {tool["name"] for tool in body.get("tools", [])}
        self.tools |= offered
        last = body["messages"][-1]["content"]
        results = [block for block in last if block["type"] == "tool_result"] if isinstance(last, list) else []
        if results:
            return {"type": "text", "text": f"The tool says: {results[0]['content']}"}
        return self._call if self._call["name"] in offered else {"type": "text", "text": "There is no such tool."}


def _events(model: str, block: Object) -> list[Object]:
    """One answer as https://docs.anthropic.com/en/api/messages-streaming has it."""
    if block["type"] == "text":
        begun, delta, reason = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}, "end_turn"
    else:
        arguments = json.dumps(block["input"])
        begun, delta, reason = (
            {**block, "input": {}},
            {"type": "input_json_delta", "partial_json": arguments},
            "tool_use",
        )
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    ended = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
