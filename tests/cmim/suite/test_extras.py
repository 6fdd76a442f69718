"""What runs do behind their test: what fails there takes no figure away."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from report_cases import record

from cmim.suite import extras
from cmim.suite.extras import Extras
from cmim.suite.report.examples import example_tables
from cmim.suite.report.page import write_page
from cmim.suite.rows import rows_of
from tasks.pictures import write_image


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


def predicted(path) -> SegDataSample:
    """A predicted sample of 4 x 4 pixels."""
    sample = SegDataSample(metainfo={} if path is None else dict(img_path=str(path)))
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
    return sample


@pytest.mark.parametrize("picture", ["no place", "not there", "NaN"])
def test_examples_that_cannot_be_drawn_leave_a_note(picture, tmp_path):
    path = None if picture == "no place" else tmp_path / "a.npy"
    if picture == "NaN":
        np.save(path, np.full((4, 4, 3), np.nan, np.float32))
    asked = Extras({"examples": 2})
    take = asked.begin({})
    for _ in range(2):
        take(predicted(path))
    examples = asked.finish({}, "last.pth", 1, tmp_path)["examples"]
    assert list(examples) == ["note"]
    assert examples["note"].startswith("not drawn: ")
    rows = rows_of([record("fp", "kd", 0, 5.0, examples=examples)])
    assert example_tables(rows) == []
    assert "examples not drawn: " in write_page(rows, [])


@pytest.fixture
def drawn(tmp_path):
    """What has drawn an example, which is still to be written."""
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    asked = Extras({"examples": 1})
    asked.begin({})(predicted(tmp_path / "a.png"))
    return asked


def test_examples_that_cannot_be_written_leave_a_note(drawn, tmp_path):
    (tmp_path / "examples").write_text("no folder")
    found = drawn.finish({}, "last.pth", 1, tmp_path)["examples"]
    assert found["note"].startswith("not written: ")


def test_a_full_disk_ends_the_run_which_goes_on_later(drawn, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "a.webp")

    monkeypatch.setattr("cmim.suite.examples.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        drawn.finish({}, "last.pth", 1, tmp_path)
