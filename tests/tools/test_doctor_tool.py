"""The doctor looks at this machine, as a tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from in_process import ROOT, run_in_process

from cmim.doctor import examine, packages
from cmim.doctor.findings import DoctorFindings

FEW = {"torch>=2.10": "", "numpy>=1.26": "", "no-such-package>=1": "serve"}


@pytest.fixture
def few_packages(monkeypatch):
    """Importing all of them takes seconds."""
    monkeypatch.setattr(packages, "requirements", lambda: FEW)


def test_findings_are_printed_and_written(few_packages, tmp_path):
    file = tmp_path / "found.json"
    done = run_in_process("doctor", "--no-timing", "--json", file)
    found = json.loads(file.read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(found) == set(DoctorFindings.__annotations__)
    assert found["broken"] == []
    assert f"torch {found['packages']['torch']['version']}" in done.stdout
    assert "missing for serve: no-such-package" in done.stdout
    assert "broken: nothing that was looked for" in done.stdout
    for sentence in found["slow"]:
        assert f"  - {sentence}" in done.stdout
    assert found["engine"]["binary_ms"] is None
    assert found["precision"]["time_ratio"] is None


def test_the_engines_kernel_is_named(few_packages, tmp_path):
    pytest.importorskip("openvino")
    file = tmp_path / "found.json"
    done = run_in_process("doctor", "--no-timing", "--json", file)
    engine = json.loads(file.read_text())["engine"]
    assert engine["exact"] is True
    (kernel,) = engine["kernels"]
    assert f"1-bit kernel {kernel}, exact" in done.stdout


def test_something_broken_ends_with_1(few_packages, monkeypatch):
    def broken():
        found = dict.fromkeys(("binary_ms", "float_ms", "exact"))
        return dict(found, version="1", kernels=[], said="", error="it does not load")

    monkeypatch.setattr(examine, "examine_engine", broken)
    done = run_in_process("doctor", "--no-timing")
    assert done.returncode == 1
    assert "OpenVINO    1, does not work" in done.stdout
    assert "runs no binary convolution here: it does not load" in done.stdout


@pytest.mark.full
def test_layers_are_timed(few_packages, tmp_path):
    pytest.importorskip("openvino")
    file = tmp_path / "found.json"
    done = run_in_process("doctor", "--json", file)
    found = json.loads(file.read_text())
    engine = found["engine"]
    assert engine["binary_ms"] > 0
    assert engine["float_ms"] > 0
    assert found["precision"]["time_ratio"] > 0
    assert f"1-bit {engine['binary_ms']:.2f} ms" in done.stdout


@pytest.mark.slow
def test_a_process_of_its_own_with_a_limit_says_the_limit(tmp_path):
    """All packages are imported, and the engine is loaded under the limit."""
    done = subprocess.run(
        [sys.executable, "-m", "cmim", "doctor", "--no-timing"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": "AVX2"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "limited by ONEDNN_MAX_CPU_ISA=AVX2" in done.stdout
    assert "--amp auto computes in float32" in done.stdout
    assert "ONEDNN_MAX_CPU_ISA=AVX2 in the environment forbids" in done.stdout
    assert "tools/" not in done.stdout, "the installed command names verbs"
