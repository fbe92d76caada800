"""The demo model as a decision model, so that `/v1/systemone` can be tried without a key. Its judgement means nothing.

llama.cpp recognises a decision model by a type and a template for questions in the metadata. Both are added to a copy
of the demo model, SmolLM2-135M-Instruct, in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from lfm_adapter.apps.local.gguf import read_texts, write_with_metadata
from lfm_adapter.errors import ConfigurationError

# The name in build 11549 (xllamacpp 2026.10). It was "d1" at first: https://github.com/ggml-org/llama.cpp/pull/30110
DECISION_TYPE = "lfm2-d1"

TEMPLATE = Path(__file__).with_name("demo_decisions.jinja")

# Required by the model's licence, section 4(b): https://www.apache.org/licenses/LICENSE-2.0
NOTICE = (
    "This is SmolLM2-135M-Instruct (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct), licensed under "
    "Apache-2.0, and changed by lfm-adapter: this note, the decision type and the template `systemone` were added, so "
    "that llama.cpp answers typed questions with it. The tensors are unchanged. It is a demo whose judgement means "
    "nothing, and no model of Liquid AI."
)


def demo_decision_model(source: Path) -> Path:
    """Return the file of the demo decision model; write it on first use.

    Args:
        source: The file of the demo model.

    Raises:
        ConfigurationError: It cannot be read, or the copy cannot be written.
    """
    template = TEMPLATE.read_text(encoding="utf-8")
    try:
        added = {
            f"{read_texts(source).get('general.architecture')}.decision.type": DECISION_TYPE,
            "tokenizer.chat_template.systemone": template,
            "lfm_adapter.changes": NOTICE,
        }
        with source.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
        digest.update(repr(added).encode())
        file = _cache_folder() / f"demo-decisions-{digest.hexdigest()[:16]}.gguf"
        if not file.exists():
            _write(source, file, added)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The demo decision model cannot be made of {str(source)!r}: {error}. Set XDG_CACHE_HOME to a folder with "
            "100 MB of space, or pass the GGUF file of a decision model."
        ) from error
    return file


def _write(source: Path, file: Path, added: dict[str, str]) -> None:
    """Write the whole file or none: other processes may write and read it at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=file.stem) as folder:
        copy = Path(folder, file.name)
        with copy.open("wb") as written:
            write_with_metadata(source, written, added)
            written.flush()
            os.fsync(written.fileno())
        copy.replace(file)


def _cache_folder() -> Path:
    if sys.platform == "win32":
        default = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        default = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or default).expanduser() / "lfm-adapter"
