"""The HTTP server of the local model: checks requests and forwards them to the engine."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector, web

from lfm_adapter.apps.local.process import EngineProcess
from lfm_adapter.apps.local.request_check import checked_request
from lfm_adapter.apps.local.whole_answer import WholeAnswer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from aiohttp import ClientResponse

MAX_BODY_BYTES = 256 * 1024 * 1024  # images
PARENT_CHECK_S = 1.0
RESTART_DELAY_S = 5.0  # after a start that failed; meanwhile requests get its error
DEATH_TIMEOUT_S = 5.0  # from a broken connection to the end of the engine's process, which may write a core dump

# Paths that the front always requests as a stream: llama.cpp notices within 0.1 s that the client of a stream is gone,
# but that of a whole answer only while no other request makes progress.
STREAMED = frozenset(
    {f"{prefix}/{kind}completions" for prefix in ("", "/v1") for kind in ("chat/", "")} - {"/completions"}
)

# Faults of the request for which llama.cpp answers 500 or 501, which clients would retry.
_REQUEST_FAULT = re.compile(
    r"(?i)failed to parse (?:tool|message)|\b(?:image|audio|video) input is not supported"
    r"|not support (?:image|audio|video) input|is not a decision model|too large to process"
    r"|unknown reasoning format|cannot use both|_range_check"  # the last is of a token that the model does not have
)
_ADVICE_ON_OPTIONS = re.compile(r" For a model that supports it, start it with .*")  # of llama-server


class Front:
    """The HTTP server.

    Attributes:
        engine: The engine that runs now.
    """

    def __init__(self, engine: EngineProcess, config: dict[str, Any]) -> None:
        self.engine = engine
        self._config = config
        self._api_key: str | None = config["api_key"]

    async def serve(
        self, listener: socket.socket, *, report: Callable[[dict[str, Any]], None], is_orphan: Callable[[], bool]
    ) -> None:
        """Serve until the program that started it has ended.

        Args:
            listener: The bound socket.
            report: Called with the port once requests are accepted, or with the error that prevents it.
            is_orphan: Whether that program has ended.
        """
        first = await asyncio.to_thread(self.engine.wait_until_ready)
        if "error" in first:
            report(first)
            return
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._ready.set_result(first)
        self._died = asyncio.Event()  # set when the running engine dies
        timeout = ClientTimeout(total=None, sock_connect=10)
        # One connection per request: llama.cpp may close an idle one just as it is used again.
        async with ClientSession(connector=TCPConnector(limit=0, force_close=True), timeout=timeout) as self._session:
            app = web.Application(client_max_size=MAX_BODY_BYTES)
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            report({"port": listener.getsockname()[1]})
            restarts = asyncio.create_task(self._restart())
            while not is_orphan():  # noqa: ASYNC110 - there is no event for the end of the parent
                await asyncio.sleep(PARENT_CHECK_S)
            restarts.cancel()
            self.engine.kill()

    async def _restart(self) -> None:
        """Start the engine again whenever it has died."""
        while True:
            await asyncio.to_thread(self.engine.wait)
            self._ready = asyncio.get_running_loop().create_future()
            self._died.set()
            self._died = asyncio.Event()
            self.engine = EngineProcess(self._config["engine"])
            started = await asyncio.to_thread(self.engine.wait_until_ready)
            self._ready.set_result(started)
            if "error" in started:
                await asyncio.sleep(RESTART_DELAY_S)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._api_key and request.path not in {"/health", "/v1/health"} and not self._has_key(request):
            return _error(401, "Invalid API Key", "authentication_error")
        body: dict[str, Any] | None = None
        if request.method == "POST":
            raw = await request.read()
            try:
                body = checked_request(raw) if raw else None
            except ValueError as refusal:
                return _error(400, str(refusal), "invalid_request_error")
        is_whole = body is not None and request.path in STREAMED and not body.get("stream")
        if body is not None and is_whole:
            body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        while True:
            started = await asyncio.shield(self._ready)
            if "error" in started:
                return _error(503, started["error"], "unavailable_error")
            died = self._died
            try:
                return await self._answer_of_engine(request, started["port"], body, is_whole=is_whole)
            except ClientError as error:
                # The next request must find the new engine, not the dead one.
                with suppress(TimeoutError):
                    await asyncio.wait_for(died.wait(), DEATH_TIMEOUT_S)
                if isinstance(error, ClientConnectorError) and died.is_set():
                    continue  # the engine had died before this request
            # The client sees a broken connection, as if it had been connected to the engine.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)  # not sent

    async def _answer_of_engine(
        self, request: web.Request, port: int, body: dict[str, Any] | None, *, is_whole: bool
    ) -> web.StreamResponse:
        if body is not None and request.path.endswith("/embeddings"):
            body.pop("model", None)  # llama.cpp would report it as the model that was used
        url = f"http://127.0.0.1:{port}{request.path_qs}"
        headers = {"Authorization": f"Bearer {self.engine.key}", "Accept-Encoding": "identity"}
        async with self._session.request(request.method, url, json=body, headers=headers) as response:
            if response.status in (500, 501):
                return _error_of_engine(response.status, await response.read())
            if is_whole and response.status == 200:
                return await _whole(response)
            return await _passed_on(request, response)

    def _has_key(self, request: web.Request) -> bool:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("X-Api-Key", "")
        return hmac.compare_digest(sent.encode(), (self._api_key or "").encode())


async def _passed_on(request: web.Request, response: ClientResponse) -> web.StreamResponse:
    answer = web.StreamResponse(
        status=response.status, headers={"Content-Type": response.headers.get("Content-Type", "")}
    )
    await answer.prepare(request)
    async for piece in response.content.iter_any():
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def _whole(response: ClientResponse) -> web.Response:
    answer = WholeAnswer()
    async for line in response.content:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line.removeprefix(b"data: "))
        if "error" in event:
            return _error_of_engine(event["error"].get("code", 500), line.removeprefix(b"data: "))
        answer.add(event)
    return web.json_response(answer.body())


def _error_of_engine(status: int, body: bytes) -> web.Response:
    try:
        error = json.loads(body)["error"]
        message = _ADVICE_ON_OPTIONS.sub("", str(error["message"]))
    except (ValueError, KeyError, TypeError):
        return _error(status, body[:500].decode(errors="replace"), "server_error")
    if _REQUEST_FAULT.search(message):
        return _error(400, message, "invalid_request_error")
    return _error(status, message, str(error.get("type")))


def _error(status: int, message: str, kind: str) -> web.Response:
    return web.json_response({"error": {"code": status, "message": message, "type": kind}}, status=status)
