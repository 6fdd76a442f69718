"""Sphinx: the site of `make docs`, from the pages of docs/ and the docstrings."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import cmim  # noqa: E402

project = "CMIM"
author = copyright = "The CMIM authors"
version = release = cmim.__version__

# Pages lie where they are read without the site, too; README is the first one.
root_doc = "docs/index"
include_patterns = [
    *("docs/**", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("SECURITY.md", "data/README.md", "examples/raw_reader/README.md"),
]
exclude_patterns = ["docs/figures/**"]
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "generated_pages",
    "mathml",
]
html_math_renderer = "mathml"
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
# A class that a room passes on is described in its module as well.
suppress_warnings = ["myst.header", "ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
html_theme = "furo"
html_title = f"CMIM {version}"
html_static_path = []
