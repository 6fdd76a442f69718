"""What runs do behind their test: what fails there takes no figure away."""

from __future__ import annotations

import pytest

from cmim.suite import extras
from cmim.suite.extras import Extras


def refuse(*_):
    raise ValueError("a picture of 4 bands")


def test_nothing_is_done_that_was_not_asked_for(monkeypatch, tmp_path):
    for name in ("_robustness", "_latency"):
        monkeypatch.setattr(extras, name, refuse)
    nothing = Extras({})
    assert nothing.begin({}) is None
    nothing.corrupt({}, "last.pth")
    assert nothing.finish({}, "last.pth", 1, tmp_path) == {}


@pytest.mark.parametrize(
    ("fails", "works"), [("_robustness", "_latency"), ("_latency", "_robustness")]
)
def test_what_fails_leaves_a_note(fails, works, monkeypatch, tmp_path):
    monkeypatch.setattr(extras, fails, refuse)
    monkeypatch.setattr(extras, works, lambda *given: dict(given=list(given)))
    asked = Extras({"corruptions": {"images": 2}, "latency": True, "examples": 1})
    assert asked.begin({}) is not None
    asked.corrupt({}, "last.pth")
    found = asked.finish({}, "last.pth", 3, tmp_path)
    names = {"_robustness": "robustness", "_latency": "latency"}
    assert found[names[fails]] == {"note": "not measured: a picture of 4 bands"}
    expected = {"_robustness": {"images": 2}, "_latency": 3}[works]
    assert found[names[works]] == {"given": [{}, "last.pth", expected]}
    assert found["examples"] == []
