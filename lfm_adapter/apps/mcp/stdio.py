"""Serves stdin and stdout, with one JSON-RPC message per line.

The SDK's own transport ignores malformed lines, stops at a lone surrogate, and runs on after its client has closed
stdout.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import sys
import threading
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from lfm_adapter._json import as_dict, parse_received
from lfm_adapter.apps.mcp.surrogates import repair_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.server import Server

_log = logging.getLogger(__name__)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_WAITING_LINES = 64

# After stdin ends (`lfm mcp < requests.jsonl`), requests in progress get this long for their answers.
_GRACE_S = 1.0


async def serve_stdio(server: Server) -> None:
    """Serve until the client closes stdin or stdout."""
    output = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # so that prints cannot get between the messages
    os.close(nowhere)
    try:
        to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception]()
        to_client, from_server = anyio.create_memory_object_stream[SessionMessage]()
        unanswered: set[RequestId] = set()
        async with anyio.create_task_group() as group:

            async def serve() -> None:
                await server.run(from_client, to_client, server.create_initialization_options())
                group.cancel_scope.cancel()

            async def write() -> None:
                try:
                    await _write_messages(from_server, output, unanswered)
                except OSError:  # the client has closed stdout
                    group.cancel_scope.cancel()

            group.start_soon(serve)
            group.start_soon(write)
            _start_thread(_wait_until_closed, output, asyncio.get_running_loop(), group.cancel_scope.cancel)
            await _read_messages(to_server, to_client.clone(), unanswered)
    finally:
        os.dup2(output, 1)
        os.close(output)


async def _read_messages(
    to_server: MemoryObjectSendStream[SessionMessage | Exception],
    to_client: MemoryObjectSendStream[SessionMessage],
    unanswered: set[RequestId],
) -> None:
    """Pass the client's messages to the server, and answer invalid lines."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_WAITING_LINES)
    _start_thread(_read_lines, lines, asyncio.get_running_loop())
    async with to_server, to_client:
        while (line := await lines.get()) is not None:
            text = line.removeprefix(_BYTE_ORDER_MARK).strip()
            if not text:
                continue
            message = parse_line(text)
            if isinstance(message, ErrorData):
                await to_client.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=_id_of(text), error=message)))
                continue
            if isinstance(message, JSONRPCRequest):
                unanswered.add(message.id)
            await to_server.send(SessionMessage(message))
        with anyio.move_on_after(_GRACE_S):
            while unanswered:  # noqa: ASYNC110 - for a second at most
                await anyio.sleep(0.01)


def _start_thread(target: Callable[..., None], *args: object) -> None:
    # A thread from the event loop's pool would keep the process alive until the client closes stdin.
    threading.Thread(target=target, args=args, daemon=True).start()


def _wait_until_closed(output: int, loop: asyncio.AbstractEventLoop, when_closed: Callable[[], None]) -> None:
    if sys.platform != "win32":  # it has no `poll`; there the next write fails
        poll = select.poll()
        poll.register(output, 0)  # reports only errors
        poll.poll()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(when_closed)


def _read_lines(lines: asyncio.Queue[bytes | None], loop: asyncio.AbstractEventLoop) -> None:
    def put(line: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    with os.fdopen(os.dup(0), "rb") as stdin, suppress(RuntimeError, CancelledError):  # the loop has ended
        for line in stdin:
            put(line)
        put(None)


def parse_line(text: bytes) -> JSONRPCMessage | ErrorData:
    """Return the message on a line, or an error if there is none."""
    text = repair_json(text)
    try:
        message = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            if parse_received(text) is None:
                return ErrorData(code=PARSE_ERROR, message="This line is not valid JSON.")
            return ErrorData(code=INVALID_REQUEST, message="The request is nested too deep, or has too long a number.")
        if text.startswith(b"["):
            return ErrorData(code=INVALID_REQUEST, message="Batches are not supported: send one message per line.")
        return ErrorData(code=INVALID_REQUEST, message="This line is not a JSON-RPC 2.0 message.")
    # The SDK would treat a request with an invalid id as a notification, and never answer it.
    if isinstance(message, JSONRPCNotification) and "id" in json.loads(text):
        return ErrorData(code=INVALID_REQUEST, message="The `id` of a request must be a string or an integer.")
    return message


def _id_of(text: bytes) -> RequestId | None:
    """Return the id of an invalid request, so that its client gets the error."""
    request = as_dict(parse_received(text))
    found = request.get("id") if "method" in request else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


async def _write_messages(
    from_server: MemoryObjectReceiveStream[SessionMessage], output: int, unanswered: set[RequestId]
) -> None:
    async with from_server:
        async for sent in from_server:
            await anyio.to_thread.run_sync(_write, output, _line(sent.message))
            if isinstance(sent.message, JSONRPCResponse | JSONRPCError) and sent.message.id is not None:
                unanswered.discard(sent.message.id)


def _line(message: JSONRPCMessage) -> bytes:
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    except ValueError as error:  # the other messages must go on
        _log.error("A message cannot be encoded as JSON", exc_info=error)
        failure = ErrorData(code=INTERNAL_ERROR, message="The result cannot be encoded as JSON.")
        return _line(JSONRPCError(jsonrpc="2.0", id=getattr(message, "id", None), error=failure))


def _write(output: int, data: bytes) -> None:
    while data:
        data = data[os.write(output, data) :]
