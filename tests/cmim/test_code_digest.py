"""Modules of the project and of the user are in a digest, libraries are not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from cmim.code_digest import code_digest, file_digests, is_library_file, loaded_modules
from cmim.digest import sha256_of
from cmim.suite.record import is_stale


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    """A module of the user, beside the project, loaded."""
    folder = tmp_path / "my_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    file = folder / "losses.py"
    file.write_text("WEIGHT = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("my_parts.losses")
    yield file
    for name in ("my_parts.losses", "my_parts"):
        sys.modules.pop(name, None)


def test_modules_of_the_user_count(mine):
    names = loaded_modules()
    assert {"my_parts", "my_parts.losses", "cmim.digest"} <= set(names)
    assert not {name for name in names if name.startswith(("torch", "json", "_pytest"))}
    assert file_digests()["my_parts.losses"] == sha256_of(mine)


def test_what_starts_runs_does_not_count(mine, monkeypatch):
    assert "cmim.suite.record" in sys.modules
    # multiprocessing's other name of what was started.
    for name in ("__main__", "__mp_main__"):
        monkeypatch.setitem(sys.modules, name, sys.modules["my_parts.losses"])
    names = loaded_modules()
    assert not [name for name in names if name.startswith(("cmim.suite", "__"))]


def test_a_record_is_stale_once_the_users_module_has_changed(mine):
    modules = ["cmim.digest", "my_parts.losses"]
    record = dict(protocol="2026.11", code=dict(modules=modules))
    record["code"]["digest"] = code_digest(modules)
    assert not is_stale(record, file_digests())
    # Who reads the record need not have loaded it.
    del sys.modules["my_parts.losses"]
    assert not is_stale(record, file_digests())
    mine.write_text("WEIGHT = 2\n")
    assert is_stale(record, file_digests())
    mine.unlink()
    assert is_stale(record, file_digests())


def test_libraries_are_told_from_the_users_files(tmp_path):
    import numpy

    assert is_library_file(numpy.__file__)
    assert is_library_file(importlib.__file__)
    assert not is_library_file(__file__)
    assert not is_library_file(str(tmp_path / "a.py"))
