"""What to install is said where a package is missing."""

from __future__ import annotations

import pytest

from cmim import optional_packages
from cmim.optional_packages import how_to_install, require_packages


def test_only_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(optional_packages, "is_installed", lambda name: name == "onnx")
    expected = (
        "writing .onnx files needs onnxscript, not installed: pip install "
        "'cmim[deploy]', or pip install onnxscript"
    )
    with pytest.raises(ImportError) as caught:
        require_packages("writing .onnx files", "onnx", "onnxscript")
    assert str(caught.value) == expected


def test_the_index_may_have_another_name():
    assert how_to_install("sklearn", "nncf") == (
        "pip install 'cmim[analysis,int8]', or pip install scikit-learn nncf"
    )
