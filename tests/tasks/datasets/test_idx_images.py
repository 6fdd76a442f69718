"""IDX files: headers, sizes, damage, bombs; pictures in three channels."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS

from cmim.engine.config import load_config
from tasks.datasets.errors import DataError
from tasks.datasets.idx_images import FASHION_CLASSES, FashionMNIST, read_idx
from tasks.transforms import LoadImage, PackImage


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8)
LABELS = np.arange(20) % 10


def write(folder: Path, images: bytes, labels: bytes, prefix: str = "t10k") -> Path:
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    return folder


@pytest.mark.full
def test_grey_pictures_stand_in_three_channels(tmp_path):
    write(tmp_path, idx(IMAGES), idx(LABELS))
    write(tmp_path, idx(IMAGES[::-1]), idx(LABELS[::-1]), prefix="train")
    data = FashionMNIST(str(tmp_path), "test", pipeline=[LoadImage()])
    assert len(data) == 20
    assert data.metainfo["classes"] == FASHION_CLASSES
    for place in (0, 7, 19):
        sample = data[place]
        assert sample["img"].shape == (28, 28, 3)
        assert all((sample["img"][..., c] == IMAGES[place]).all() for c in range(3))
        assert sample["gt_label"] == LABELS[place]
    train = FashionMNIST(str(tmp_path), "train", limit=1)
    assert (train[0]["img"][..., 0] == IMAGES[19]).all()
    assert len(train) == 10
    packed = FashionMNIST(str(tmp_path), "test", pipeline=[PackImage()])[3]
    assert packed["inputs"].shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (idx(IMAGES)[:-1], "has fewer than the 15680 values"),
        (idx(IMAGES) + b"\0", "has more than the 15680 values"),
        (idx(IMAGES, kind=13), "begins with 00 00 0d 03, expected 00 00 08 03"),
        (idx(LABELS), "no IDX file of 3-dimensional"),
        (b"", "begins with nothing"),
        (idx(IMAGES)[:9], "no IDX file"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 28, 28), "announces 4294967295x"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "announces 0x28x28"),
        (idx(IMAGES[:19]), "19 pictures and .* 20 labels"),
    ],
)
def test_wrong_headers_and_sizes_are_said(tmp_path, images, said):
    write(tmp_path, images, idx(LABELS))
    with pytest.raises(DataError, match=said):
        FashionMNIST(str(tmp_path), "test")


def test_damage_is_said(tmp_path):
    write(tmp_path, idx(IMAGES), idx(LABELS))
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    # A wrong checksum, a torn stream and no gzip at all.
    for content in (whole[:-8] + b"\0" * 8, whole[:-100], flipped, b"<html></html>"):
        path.write_bytes(bytes(content))
        with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz'"):
            FashionMNIST(str(tmp_path), "test")


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.gz"
    with gzip.open(path, "wb") as file:
        file.write(idx(np.zeros((1, 2, 2))))
        for _ in range(64):
            file.write(bytes(1 << 20))
    before = os.times().user
    with pytest.raises(DataError, match="has more than the 4 values"):
        read_idx(path, 3)
    assert os.times().user - before < 0.2


def test_missing_files_and_labels_of_no_class(tmp_path):
    with pytest.raises(DataError, match=r"dataset-fashion-mnist.*data_root=FOLDER"):
        FashionMNIST(str(tmp_path), "test")
    write(tmp_path, idx(IMAGES), idx(LABELS + 1))
    with pytest.raises(DataError, match="has the label 10, and there are 10 classes"):
        FashionMNIST(str(tmp_path), "test")
    classes = tuple("abcdefghijk")
    data = FashionMNIST(str(tmp_path), "test", metainfo=dict(classes=classes))
    assert data.metainfo["classes"] == classes
    with pytest.raises(ValueError, match="choose from train, test"):
        FashionMNIST(str(tmp_path), "val")


def test_the_config_reads_it(tmp_path):
    write(tmp_path, idx(IMAGES), idx(LABELS))
    write(tmp_path, idx(IMAGES), idx(LABELS), prefix="train")
    path = Path(__file__).parents[3] / "configs" / "fashion_mnist_resnet20_fp.py"
    config = load_config(path, {"data_root": str(tmp_path)})
    for loader in (config.train_dataloader, config.test_dataloader):
        sample = DATASETS.build(loader.dataset)[13]
        assert sample["inputs"].shape == (3, 28, 28)
        assert sample["data_samples"].gt_label == 3


@pytest.mark.real_data
def test_real_fashion_mnist_is_whole():
    home = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    if not (home / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("Fashion-MNIST is not here; set FASHION_MNIST to its folder")
    for split, count in (("train", 60_000), ("test", 10_000)):
        data = FashionMNIST(str(home), split)
        labels = [data.get_data_info(i)["gt_label"] for i in range(len(data))]
        assert np.bincount(labels).tolist() == [count // 10] * 10
