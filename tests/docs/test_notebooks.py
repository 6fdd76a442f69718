"""Every notebook runs from its first cell to its last, and is stored without output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
# What the last cells must have said.
SAID = {"binarize_a_layer": r"image/png"}


def test_each_is_known():
    assert {path.stem for path in NOTEBOOKS} == set(SAID)


@every_notebook
def test_it_is_short_and_stored_without_output(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], len(book["cells"]) < 60) == (4, True)
    codes = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert codes
    assert not [c for c in codes if c["outputs"] or c["execution_count"]]


@pytest.mark.slow
@every_notebook
def test_it_runs(path, tmp_path, monkeypatch):
    how = "pip install 'cmim[notebooks]'"
    nbclient = pytest.importorskip("nbclient", reason=how)
    pytest.importorskip("ipykernel", reason=how)
    import nbformat

    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # A kernel of this Python, whatever others are installed for the user.
    kernels = tmp_path / "kernels"
    words = ("-m", "ipykernel", "install", "--prefix", str(kernels))
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    monkeypatch.setenv("JUPYTER_PATH", str(kernels / "share" / "jupyter"))
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, resources=place).execute()
    said = json.dumps(book.cells)
    assert re.search(SAID[path.stem], said), said[-3000:]
    assert "Traceback" not in said
    assert "error: " not in said
