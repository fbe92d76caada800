"""Uses the installed package as a user would, against a server of a few lines on this machine."""

import http.server
import json
import sys
import threading

import lfm_adapter

heavy = {"aiohttp", "langchain_core", "litellm", "urllib3"} & sys.modules.keys()
assert not heavy, f"`import lfm_adapter` loads {heavy}"

ANSWER = {
    "id": "gen-1",
    "model": "liquid/lfm-3b",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


class Server(http.server.BaseHTTPRequestHandler):
    """Gives the same answer to everybody."""

    def do_POST(self) -> None:
        """Answer a chat request."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
message = lfm_adapter.ChatLFM(base_url=f"http://127.0.0.1:{server.server_port}/v1").invoke("Hello?")
server.shutdown()
server.server_close()
assert message.text == "Hello."
assert message.usage_metadata is not None
assert message.usage_metadata["total_tokens"] == 3
assert lfm_adapter.catalog.get("lfm-3b").context_length == 32_768
