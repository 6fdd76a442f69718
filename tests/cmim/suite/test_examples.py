"""Example predictions: which frames, what their pictures hold, and the page."""

from __future__ import annotations

import base64
import re
from hashlib import sha256

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from report_cases import record

from cmim.suite.examples import SIDE, ExampleWriter, read_example
from cmim.suite.report.examples import example_tables
from cmim.suite.report.page import write_page
from cmim.suite.rows import rows_of
from tasks.pictures import palette_of, write_image


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "0007.png"
    write_image(path, np.full((48, 64, 3), (200, 100, 50), np.uint8))
    return path


def sample_of(photo, offset: int = 0, **more) -> SegDataSample:
    """Four quarters of classes 0 to 3 as truth, moved on by ``offset`` as predicted."""
    classes = torch.arange(4).reshape(1, 2, 2)
    classes = classes.repeat_interleave(24, 1).repeat_interleave(32, 2)
    sample = SegDataSample(metainfo=dict(img_path=str(photo)))
    data = dict(gt_sem_seg=classes, pred_sem_seg=classes + offset, **more)
    sample.set_data({name: PixelData(data=each) for name, each in data.items()})
    return sample


def decoded(data: bytes) -> np.ndarray:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def test_frames_are_those_of_the_smallest_digests(photo, tmp_path):
    writer = ExampleWriter(3)
    for _ in range(20):
        writer(sample_of(photo))
    places = sorted(range(20), key=lambda k: sha256(str(k).encode()).hexdigest())[:3]
    assert sorted(each["place"] for each in writer._kept.values()) == sorted(places)
    assert len(writer.write(tmp_path)) == 3


def test_pictures_hold_the_classes_exactly_and_equal_ones_are_one_file(photo, tmp_path):
    found = []
    for offset in (0, 1):
        writer = ExampleWriter(1)
        writer(sample_of(photo, offset))
        found += writer.write(tmp_path)
    right, moved = found
    assert right["frame"] == "0007"
    assert right["image"] == moved["image"]
    seg = right["tasks"]["seg"]
    assert seg["truth"] == seg["prediction"] == moved["tasks"]["seg"]["truth"]
    assert len(list((tmp_path / "examples").iterdir())) == 3
    colours = np.array(palette_of(255), np.uint8)
    for offset, name in ((0, seg["truth"]), (1, moved["tasks"]["seg"]["prediction"])):
        picture = decoded(read_example(tmp_path, name))
        expected = colours[sample_of(photo, offset).pred_sem_seg.data[0].numpy()]
        assert np.array_equal(picture, expected)
    image = decoded(read_example(tmp_path, right["image"]))
    assert np.abs(image.astype(int) - (200, 100, 50)).max() <= 6


def test_large_pictures_become_small_ones(tmp_path):
    write_image(tmp_path / "large.png", np.zeros((480, 640, 3), np.uint8))
    sample = SegDataSample(metainfo=dict(img_path=str(tmp_path / "large.png")))
    metres = torch.full((1, 480, 640), 2.0)
    sample.set_data(dict(pred_depth_map=PixelData(data=metres)))
    writer = ExampleWriter(1)
    writer(sample)
    (found,) = writer.write(tmp_path)
    assert found["tasks"]["depth"]["truth"] is None
    for name in (found["image"], found["tasks"]["depth"]["prediction"]):
        assert decoded(read_example(tmp_path, name)).shape == (SIDE * 3 // 4, SIDE, 3)


def test_depth_is_coloured_between_the_ends_of_the_truth(photo, tmp_path):
    truth = torch.linspace(1, 3, 64).expand(1, 48, 64).contiguous()
    depth = dict(gt_depth_map=truth, pred_depth_map=truth.clamp(min=2))
    writer = ExampleWriter(1)
    writer(sample_of(photo, **depth))
    (found,) = writer.write(tmp_path)
    pictures = found["tasks"]["depth"]
    a, b = (decoded(read_example(tmp_path, pictures[p])).astype(int) for p in pictures)
    # The far half is right, the near one is not.
    assert np.abs(a - b)[:, 40:].max() < 40
    assert np.abs(a - b)[:, :16].max() > 80


def test_only_names_of_pictures_are_read(tmp_path):
    (tmp_path / "examples").mkdir()
    (tmp_path / "secret.webp").write_bytes(b"x")
    for name in ("../secret.webp", "secret.webp", "0" * 16 + ".png"):
        assert read_example(tmp_path, name) is None


def test_the_page_has_a_column_for_each_row(photo, tmp_path):
    records = []
    for offset, method in enumerate(("bireal", "fp", "none")):
        writer = ExampleWriter(1)
        writer(sample_of(photo, offset))
        examples = writer.write(tmp_path) if method != "none" else None
        path = str(tmp_path / f"{method}.json")
        records.append(record(method, "kd", 0, 5.0, examples=examples, path=path))
    rows = rows_of(records)
    (table,) = example_tables(rows)
    assert table.task == "seg"
    assert table.rows == ["bireal, kd", "fp, kd"]
    (frame,) = table.frames
    assert frame["frame"] == "0007"
    page = write_page(rows, [])
    shown = re.findall(r'<img src="data:image/webp;base64,([^"]*)" alt="([^"]*)"', page)
    assert [alt for _, alt in shown] == [
        "0007", "truth of 0007", "bireal, kd of 0007", "fp, kd of 0007",
    ]  # fmt: skip
    pictures = [decoded(base64.b64decode(data)) for data, _ in shown]
    assert np.array_equal(pictures[1], pictures[2])
    assert not np.array_equal(pictures[2], pictures[3])


def test_pages_without_examples_have_no_such_table():
    assert example_tables(rows_of([record("fp", "kd", 0, 5.0)])) == []


def test_rows_of_other_tasks_have_a_table_of_their_own(photo, tmp_path):
    records = []
    metres = torch.full((1, 48, 64), 2.0)
    for method, depth in (("bireal", {}), ("fp", dict(pred_depth_map=metres))):
        writer = ExampleWriter(2)
        for _ in range(2):
            writer(sample_of(photo, **depth))
        path = str(tmp_path / f"{method}.json")
        examples = writer.write(tmp_path)
        records.append(record(method, "kd", 0, 5.0, examples=examples, path=path))
    found = {table.task: table for table in example_tables(rows_of(records))}
    assert found["seg"].rows == ["bireal, kd", "fp, kd"]
    assert found["depth"].rows == ["fp, kd"]
    assert [len(table.frames) for table in found.values()] == [2, 2]
    assert found["depth"].frames[0]["truth"] is None
