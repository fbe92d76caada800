"""A gateway in a thread of the tests' process, which starts in milliseconds."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from lfm_adapter._client.settings import Settings
from lfm_adapter.apps.gateway.access import Access
from lfm_adapter.apps.gateway.call import Gateway
from lfm_adapter.apps.gateway.models import CatalogModels
from lfm_adapter.apps.gateway.page import Sessions
from lfm_adapter.apps.gateway.prices import Prices
from lfm_adapter.apps.gateway.server import listen, serve_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["KEY", "Answer", "GatewayThread"]

KEY = "a-key-made-up-for-tests"
UPSTREAM_KEY = "sk-or-v1-made-up-for-tests"
TIMEOUT_S = 30


@dataclass
class Answer:
    """A reply, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The JSON of a whole reply."""
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        """The error that it tells."""
        return self.body["error"]

    @property
    def events(self) -> list[Any]:
        """The events of a stream, without `[DONE]`, which must be the last."""
        lines = [line.removeprefix("data: ") for line in self.text.split("\n\n") if line.startswith("data: ")]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]

    @property
    def streamed_text(self) -> str:
        """The text of a stream's deltas."""
        return "".join(event["choices"][0]["delta"].get("content") or "" for event in self.events)


class GatewayThread:
    """A gateway that runs from `__enter__` to `__exit__`.

    Args:
        upstream_url: A scripted OpenRouter.
        any_model: See `lfm gateway --any-model`.
        access: Who may use it.
        **options: Fields of `Gateway`.
    """

    def __init__(
        self, upstream_url: str, *, any_model: bool = False, access: Access | None = None, **options: Any
    ) -> None:
        settings = Settings.from_env(
            model="lfm-3b", base_url=upstream_url, api_key=UPSTREAM_KEY, max_retries=0, keeps_empty_fields=True
        )
        models = CatalogModels(is_openrouter=settings.is_openrouter, any_model=any_model)
        access = access or Access(KEY, "it is in this test")
        options |= {"prices": Prices(settings)} if any_model else {}
        self._gateway = Gateway(settings=settings, models=models, access=access, default_model="lfm-3-1.7b", **options)

    def __enter__(self) -> Self:
        self.sessions = Sessions()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        ready = threading.Event()
        listener = listen("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._run, args=(serve_until(self._stopped, self._gateway, self.sessions, listener, ready.set),)
        )
        self._thread.start()
        assert ready.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(TIMEOUT_S)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def request(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, key: str = KEY
    ) -> Answer:
        """Send one request; `key=""` shows none."""
        sent = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, content, sent | dict(headers or {}))
            reply = connection.getresponse()
            return Answer(reply.status, reply.reason, reply.headers, reply.read().decode())
        finally:
            connection.close()

    @contextmanager
    def begin(self, method: str, path: str, body: Any) -> Iterator[socket.socket]:
        """Send a request, and hang up at the end of the block."""
        content = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            yield connection

    def chat(self, model: str = "lfm-3-1.7b", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        """Send one chat request."""
        body = {"model": model, "messages": [{"role": "user", "content": "What is water?"}], **fields}
        return self.request("POST", "/v1/chat/completions", body, headers=headers)

    def decide(self, path: str = "/v1/systemone", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        """Ask one yes-or-no question."""
        body = {"state": "It is on fire.", "questions": {"urgent": {"type": "noul", "instructions": "Urgent?"}}}
        return self.request("POST", path, body | fields, headers=headers)

    def _run(self, serving: Any) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serving)
