"""Sums of test images: kept exactly, refused when damaged, enough for the figure."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from cmim.engine.image_sums import SumsError, read_sums, sums_digest, write_sums
from cmim.task import known_tasks
from tasks.classification import ClassificationMetric
from tasks.depth import DepthMetric
from tasks.normals import NormalMetric
from tasks.segmentation import SegmentationMetric

SUMS = {
    "seg/mIoU": torch.arange(12).reshape(2, 3, 2),
    "depth/rmse": torch.tensor([[4.0, 1 / 3], [0.0, 0.0]], dtype=torch.float64),
}


def test_counts_come_back_exactly_and_other_sums_as_float32(tmp_path):
    write_sums(tmp_path / "sums.npz", SUMS)
    found = read_sums(tmp_path / "sums.npz")
    assert {name: array.dtype for name, array in found.items()} == {
        "seg/mIoU": np.int32,
        "depth/rmse": np.float32,
    }
    assert found["seg/mIoU"].tolist() == SUMS["seg/mIoU"].tolist()
    assert found["depth/rmse"].tolist() == [[4.0, float(np.float32(1 / 3))], [0, 0]]


def test_the_digest_is_of_values_and_not_of_the_packing(tmp_path):
    write_sums(tmp_path / "a.npz", SUMS)
    found = read_sums(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **found)
    assert sums_digest(read_sums(tmp_path / "b.npz")) == sums_digest(found)
    found["seg/mIoU"][0, 0, 0] += 1
    assert sums_digest(read_sums(tmp_path / "b.npz")) != sums_digest(found)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_sums(tmp_path / name, SUMS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "sums.npz"
    write_sums(path, SUMS)
    whole = path.read_bytes()
    changed = [whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :] for k in (90, 120)]
    for damaged in (whole[:-40], b"", b"no zip", *changed):
        path.write_bytes(damaged)
        with pytest.raises(SumsError, match=r"sums\.npz' holds no sums"):
            sums_digest(read_sums(path))


def test_objects_and_bombs_are_refused(tmp_path):
    path = tmp_path / "sums.npz"
    np.savez(path, mIoU=np.array([{}], dtype=object))
    with pytest.raises(SumsError, match="'mIoU' holds object, not int32 or float32"):
        read_sums(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("a", "b"):
            packed.writestr(f"{name}.npy", bytes(129 << 20))
    with pytest.raises(SumsError, match="unpacks to 270,532,608 bytes"):
        read_sums(path)


def header(shape: tuple, version: tuple = (1, 0), dtype: str = "<i4") -> bytes:
    """The first lines of an array's file."""
    file = io.BytesIO()
    content = dict(descr=dtype, fortran_order=False, shape=shape)
    write = {
        (1, 0): np.lib.format.write_array_header_1_0,
        (2, 0): np.lib.format.write_array_header_2_0,
    }
    write[version](file, content)
    return file.getvalue()


OTHER = "its sums have another one"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mIoU", header((10**15,)), r"says that its shape is \(10{15},\), which it"),
        ("mIoU", header((10**9, 3, 40), (2, 0)) + bytes(480), "says that its shape"),
        ("mIoU", header((10**15, 3, 0)), OTHER),
        ("rmse", header((10**15, 0)), OTHER),
        ("own", header((10**15, 0)), OTHER),
        ("seg/mIoU", header((2, 3)) + bytes(24), OTHER),
        ("seg/mIoU", header((2, 2, 3)) + bytes(48), OTHER),
        ("seg/mIoU", header((1, 2, 3, 4)) + bytes(96), OTHER),
        ("rmse", header((2, 3)) + bytes(24), OTHER),
        ("rmse", header((2,)) + bytes(8), OTHER),
        ("mean_angle", header((2, 2, 2)) + bytes(32), OTHER),
        ("top1", header((2, 1)) + bytes(8), OTHER),
        ("top1", header((1, 2), dtype="<i8") + bytes(16), "int64, not int32"),
        ("top1", b"\x93NUMPY\x03\x00" + bytes(8), "is of version"),
        ("top1", b"no array", "magic"),
        ("top1", b"\x93NUMPY\x01\x00\x04\x00'''\n", ""),
    ],
)
def test_arrays_of_another_shape_are_refused_before_they_are_read(
    tmp_path, monkeypatch, name, content, said
):
    path = tmp_path / "sums.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{name}.npy", content)
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(SumsError, match=rf"sums\.npz' holds no sums .*{said}") as error:
        read_sums(path)
    assert "NoneType" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mIoU", (2, 3, 1)), ("rmse", (0, 2)), ("a/mean_angle", (1, 2)), ("own", (3,))],
)
def test_arrays_of_their_shape_are_read(tmp_path, name, shape):
    write_sums(tmp_path / "sums.npz", {name: torch.ones(shape)})
    assert read_sums(tmp_path / "sums.npz")[name].shape == shape


def samples_of(task: str, random: torch.Generator) -> list[dict]:
    """Five images with ground truth and predictions."""
    found = []
    for _ in range(5):
        if task == "seg":
            pred, target = torch.randint(0, 3, (2, 1, 4, 5), generator=random)
            target[0, 0, 0] = 255
        elif task == "classes":
            found.append(
                dict(
                    pred_logits=torch.randn(7, generator=random),
                    gt_label=int(torch.randint(0, 3, (), generator=random)),
                )
            )
            continue
        else:
            channels = 3 if task == "normals" else 1
            shape = (2, channels, 4, 5)
            pred, target = torch.rand(shape, generator=random) + 0.5
        kind = known_tasks()[task]
        found.append({kind.prediction: dict(data=pred), kind.truth: dict(data=target)})
    return found


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("seg", SegmentationMetric(num_classes=4)),
        ("depth", DepthMetric()),
        ("normals", NormalMetric()),
        ("classes", ClassificationMetric()),
    ],
)
def test_pooled_sums_give_the_figure_of_any_part_of_the_images(task, metric):
    samples = samples_of(task, torch.Generator().manual_seed(3))
    kind = known_tasks()[task]
    metric.process(None, samples)
    metric.evaluate(size=5)
    sums = metric.image_sums[kind.figure]
    assert len(sums) == 5
    for part in ([0, 1, 2, 3, 4], [1, 3], [4]):
        metric.process(None, [samples[k] for k in part])
        expected = metric.evaluate(size=len(part))[kind.figure]
        assert kind.of_sums is not None
        found = kind.of_sums(sums[part].sum(0)).item()
        assert found == pytest.approx(expected, rel=1e-12)
