"""The site builds without a warning, has a page a method and loads nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cmim.methods import available_methods

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_builds_without_a_warning_and_works_offline(tmp_path):
    for package in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(package, reason="pip install -e '.[docs]'")
    words = ("-m", "sphinx", "-c", "docs", "-b", "html", "-W", "--keep-going", "-q")
    subprocess.run([sys.executable, *words, ".", tmp_path], cwd=ROOT, check=True)
    pages = {page.stem for page in (tmp_path / "docs/generated/methods").glob("*.html")}
    assert pages == {*available_methods(), "index"}
    assert "<math" in (tmp_path / "docs/generated/methods/bireal.html").read_text()
    assert (tmp_path / "searchindex.js").is_file()
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*>", page.read_text())
        assert not [
            tag for tag in loaded if re.search(r'(src|href)="(https?:)?//', tag)
        ]
