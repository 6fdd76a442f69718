"""Lower bounds without known holes, and the tool that says so."""

from __future__ import annotations

import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from in_process import run_in_process

from cmim import known_holes

ROOT = Path(__file__).resolve().parents[2]


def bounds(setup: Path) -> dict[str, str]:
    """Of everything that a ``setup.cfg`` asks for."""
    parser = ConfigParser()
    parser.read(setup)
    extras = parser["options.extras_require"].values()
    lines = "\n".join([parser["options"]["install_requires"], *extras]).splitlines()
    named = [line.strip() for line in lines if line.strip() and line[0] not in "#%"]
    return known_holes.lowest_versions(named)


def test_lower_bounds_have_no_known_hole():
    lowest = bounds(ROOT / "setup.cfg")
    assert lowest == known_holes.lowest_versions(known_holes.declared())
    assert known_holes.known_holes(lowest) == []
    assert {package for package, *_ in known_holes.HOLES} <= set(lowest)


def test_bounds_of_extras_are_read_too(tmp_path):
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    # why\n    torch>=2.5\n"
        "[options.extras_require]\nserve =\n    fastapi>=0.100\n"
        "all =\n    %(serve)s\n"
    )
    lowest = bounds(tmp_path / "setup.cfg")
    assert lowest == {"torch": "2.5", "fastapi": "0.100"}
    assert len(known_holes.known_holes(lowest)) == 3


def test_the_tool_answers_without_a_network():
    done = run_in_process("audit", "--offline")
    assert "lower bounds: 0 holes of the stored list" in done.stdout, done.stderr
    assert "not asked" in done.stdout
    found = known_holes.known_holes(known_holes.installed_versions())
    assert done.returncode == int(bool(found))


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "clean"),
    [
        (0, "No known vulnerabilities found", "", True),
        (1, "Name Version ID Fix\ntqdm 4.1 CVE 4.66.3", "", False),
        (1, "", "Traceback\nConnectionError: no route", None),
        (1, "", "No module named pip_audit", None),
    ],
)
def test_what_pip_audit_says(monkeypatch, code, stdout, stderr, clean):
    answer = subprocess.CompletedProcess([], code, stdout, stderr)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    found, said = known_holes.ask_pip_audit()
    assert found is clean
    assert said == (stdout or stderr.splitlines()[-1])


def test_no_answer_is_not_a_clean_one(monkeypatch):
    def wait(*_, timeout, **__):
        raise subprocess.TimeoutExpired("pip_audit", timeout)

    monkeypatch.setattr(subprocess, "run", wait)
    assert known_holes.ask_pip_audit(3) == (None, "no answer within 3 s")
