"""CIFAR's official files: bytes in order, Python 2's pickles, attacks, damage."""

from __future__ import annotations

import collections
import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS

from cmim.engine.config import load_config
from tasks.datasets.cifar import CIFAR10, CIFAR100, read_plain_pickle
from tasks.datasets.errors import DataError
from tasks.datasets.prepare_cifar10 import CIFAR10_CLASSES
from tasks.transforms import LoadImage, PackImage, RandomCropFlip

CONFIGS = Path(__file__).parents[3] / "configs"


def text(value: str) -> bytes:
    return b"U" + bytes([len(value)]) + value.encode("latin1")


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def array(values: np.ndarray) -> bytes:
    """What Python 2's NumPy wrote: GLOBAL, REDUCE, BUILD, raw bytes as text."""
    raw = values.tobytes()
    return b"".join([
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n",
        number(0), b"\x85", text("b"), b"tR",
        b"(", number(1), b"(", *(number(n) for n in values.shape), b"t",
        b"cnumpy\ndtype\n(", text("u1"), number(0), number(1), b"tR",
        b"(", number(3), text("|"), b"NNN", number(-1), number(-1), number(0), b"tb",
        b"\x89", b"T", struct.pack("<i", len(raw)), raw, b"tb",
    ])  # fmt: skip


def python2_pickle(entries: dict[str, bytes]) -> bytes:
    pairs = b"".join(text(key) + value for key, value in entries.items())
    return b"\x80\x02}(" + pairs + b"u."


def numbers(values: list[int]) -> bytes:
    return b"](" + b"".join(map(number, values)) + b"e"


ROWS = np.random.default_rng(0).integers(0, 256, (12, 3072)).astype(np.uint8)


def batch(labels_key: str, rows=ROWS, labels=None) -> bytes:
    labels = list(range(len(rows))) if labels is None else labels
    return python2_pickle({
        "batch_label": text("testing batch 1 of 1"),
        labels_key: numbers([k % 10 for k in labels]),
        "data": array(rows),
    })  # fmt: skip


def names(key: str, count: int) -> bytes:
    known = CIFAR10_CLASSES if count == 10 else [f"class{k}" for k in range(count)]
    listed = b"](" + b"".join(map(text, known)) + b"e"
    return python2_pickle({key: listed})


@pytest.fixture
def write(monkeypatch, tmp_path):
    """Write a file, and make its sum the official one."""

    def write(cls: type, name: str, content: bytes) -> Path:
        path = tmp_path / cls.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.md5(content).hexdigest()
        if name == cls.meta[0]:
            monkeypatch.setattr(cls, "meta", (name, digest))
            return path
        files = {split: dict(known) for split, known in cls.files.items()}
        for known in files.values():
            if name in known:
                known[name] = digest
        monkeypatch.setattr(cls, "files", files)
        return path

    return write


@pytest.fixture
def cifar10(write, tmp_path) -> Path:
    for k in range(1, 6):
        rows = ROWS + np.uint8(k)
        write(CIFAR10, f"data_batch_{k}", batch("labels", rows))
    write(CIFAR10, "test_batch", batch("labels"))
    write(CIFAR10, "batches.meta", names("label_names", 10))
    return tmp_path


@pytest.mark.full
def test_pictures_are_the_rows_of_the_files_in_order(cifar10):
    data = CIFAR10(str(cifar10), "train", pipeline=[LoadImage()])
    assert len(data) == 60
    assert data.metainfo["classes"] == CIFAR10_CLASSES
    for place in (0, 11, 12, 59):
        sample = data[place]
        k, row = divmod(place, 12)
        # 1,024 red values, then green, then blue, row by row.
        expected = (ROWS[row] + np.uint8(k + 1)).reshape(3, 32, 32).transpose(1, 2, 0)
        assert (sample["img"] == expected).all()
        assert sample["gt_label"] == row % 10
        assert sample["img_path"].endswith(f"data_batch_{k + 1}[{row}]")
    inside = CIFAR10(str(cifar10 / CIFAR10.folder), "test", test_mode=True)
    assert len(inside) == 12


def test_cifar100_reads_its_fine_classes(write, tmp_path):
    write(CIFAR100, "test", batch("fine_labels"))
    write(CIFAR100, "meta", names("fine_label_names", 100))
    data = CIFAR100(str(tmp_path), "test")
    assert len(data) == 12
    assert len(data.metainfo["classes"]) == 100


@pytest.mark.full
@pytest.mark.parametrize("name", ["cifar10_resnet20_irnet", "cifar100_resnet18_rbnn"])
def test_configs_read_it(name, cifar10, write):
    write(CIFAR100, "train", batch("fine_labels"))
    write(CIFAR100, "test", batch("fine_labels"))
    write(CIFAR100, "meta", names("fine_label_names", 100))
    config = load_config(CONFIGS / f"{name}.py", {"data_root": str(cifar10)})
    for loader in (config.train_dataloader, config.test_dataloader):
        sample = DATASETS.build(loader.dataset)[11]
        assert sample["inputs"].shape == (3, 32, 32)
        assert sample["data_samples"].gt_label == 1


def test_limit_and_replay(cifar10):
    pipeline = [LoadImage(), RandomCropFlip((32, 32)), PackImage()]
    data = CIFAR10(str(cifar10), "train", pipeline=pipeline, limit=2)
    labels = [data.get_data_info(i)["gt_label"] for i in range(len(data))]
    assert sorted(labels) == sorted([k for k in range(10) for _ in range(2)])
    first = data[(3, 0, 7)]["inputs"]
    assert (data[(3, 0, 7)]["inputs"] == first).all()
    assert not (data[(3, 0, 8)]["inputs"] == first).all()


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_of_today_are_read_too(protocol):
    found = read_plain_pickle(pickle.dumps({"data": ROWS}, protocol), "a")["data"]
    assert (found.values == ROWS).all()
    by_columns = pickle.dumps(np.asfortranarray(ROWS), protocol)
    assert (read_plain_pickle(by_columns, "a").values == ROWS).all()


def test_pictures_cannot_be_changed_by_a_transform(cifar10):
    data = CIFAR10(str(cifar10), "test")
    with pytest.raises(ValueError, match="read-only"):
        data[0]["img"][0] = 0


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_a_pickle_that_runs_code_is_refused(write, cifar10, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (
        pickle.dumps({"data": Evil()}),
        pickle.dumps(Evil(), protocol=0),
        b"\x80\x02}(U\x04datacos\nsystem\n(U\x0amkdir evilltRu.",
        pickle.dumps(collections.OrderedDict(data=1)),
    ):
        write(CIFAR10, "test_batch", content)
        with pytest.raises(DataError, match=r"test_batch' asks for .* do not use it"):
            CIFAR10(str(cifar10), "test")
        assert not (tmp_path / "evil").exists()
    # The fixture would have been made by a reader without limits.
    pickle.loads(pickle.dumps(Evil()))
    assert (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02Pelsewhere\n.", "damaged|outside"),
        (b"\x80\x02X\x04\x00\x00\x00pathQ.", "refers to objects outside"),
        (pickle.dumps(np.zeros(3), protocol=2), "asks for _codecs.encode"),
        (pickle.dumps(np.zeros(3), protocol=4), "'f8'"),
        (b"cnumpy\nndarray\n(J\x00\x00\x00\x70tR.", "calls numpy.ndarray"),
        (b"cnumpy\ndtype\n}(U\x01aU\x01bub.", "sets attributes"),
        (b"cnumpy\ndtype\nN}(U\x05_makeNu\x86b.", "sets attributes"),
        (b"\x80\x02cnumpy\ndtype\n(U\x02u1t\x81.", "is damaged"),
        (array(ROWS).replace(ROWS.tobytes(), b"x" * (ROWS.size - 1)) + b".", "damaged"),
        (b"\x80\x02}(U", "is damaged"),
        (b"<html>404</html>", "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_what_is_no_plain_pickle_is_one_sentence(content, said):
    with pytest.raises(DataError, match=said) as error:
        read_plain_pickle(content, "batch")
    assert "\n" not in str(error.value)


def test_a_sum_that_is_not_the_official_one_is_refused(cifar10):
    path = cifar10 / CIFAR10.folder / "data_batch_3"
    whole = path.read_bytes()
    for content in (
        whole[:-1],
        whole + b"\0",
        b"",
        batch("labels", ROWS + np.uint8(9)),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"data_batch_3'.*MD5 sum.* unpack cifar"):
            CIFAR10(str(cifar10), "train")
    path.unlink()
    with pytest.raises(DataError, match=r"data_batch_3' does not exist.*10-python.tar"):
        CIFAR10(str(cifar10), "train")
    # The other split does not need it.
    assert len(CIFAR10(str(cifar10), "test")) == 12


def test_the_sums_are_those_of_torchvision():
    datasets = pytest.importorskip("torchvision.datasets")
    for ours, theirs in ((CIFAR10, datasets.CIFAR10), (CIFAR100, datasets.CIFAR100)):
        assert ours.files["train"] == dict(theirs.train_list)
        assert ours.files["test"] == dict(theirs.test_list)
        assert ours.meta == (theirs.meta["filename"], theirs.meta["md5"])
        assert (ours.folder, ours.archive) == (theirs.base_folder, theirs.filename)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (batch("labels", ROWS[:, :99]), "has no pictures"),
        (batch("labels", labels=[0]), "has no labels: 'labels' must be 12"),
        (batch("coarse_labels"), "has no labels"),
        (pickle.dumps({"data": [1]}), "has no pictures"),
        (pickle.dumps([1]), "holds a list, no dictionary"),
    ],
)
def test_other_contents_are_said(write, cifar10, content, said):
    write(CIFAR10, "test_batch", content)
    with pytest.raises(DataError, match=said):
        CIFAR10(str(cifar10), "test")


def test_labels_out_of_range_and_no_names(write, cifar10):
    entries = {"labels": numbers([10] * 12), "data": array(ROWS)}
    path = write(CIFAR10, "test_batch", python2_pickle(entries))
    with pytest.raises(DataError, match="numbers from 0 to 9"):
        CIFAR10(str(cifar10), "test")
    path.write_bytes(b"x" * 9)
    write(CIFAR10, "batches.meta", names("label_names", 9))
    with pytest.raises(DataError, match="names no classes"):
        CIFAR10(str(cifar10), "train")


def test_other_classes_in_the_config_are_refused(cifar10):
    with pytest.raises(DataError, match="belong to theirs, in this order"):
        CIFAR10(str(cifar10), "test", metainfo=dict(classes=("cat", "dog")))
