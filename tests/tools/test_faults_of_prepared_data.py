"""Faults of a prepared folder and of the files that it is made of."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from fault_run import CONFIG, assert_said, options, rights_of_a_user, run
from PIL import Image

QUICK = {"a frame in both lists", "a list of bytes", "labels of 4 bits"}


def _append(name: str, content: bytes):
    return lambda home: _nothing((home / name).open("ab").write(content))


def _write(name: str, content: bytes):
    return lambda home: _nothing((home / name).write_bytes(content))


def _files(part: str, change):
    """The same fault in every file: which ones are read is the sampler's."""
    return lambda home: [change(path) for path in (home / part).iterdir()] and None


def _nothing(value: object) -> None:
    """Changes return nothing."""


def _grey(path: Path) -> None:
    Image.fromarray(np.full((48, 64), 17, np.uint8)).save(path, bits=4)


def _both(home: Path) -> None:
    name = (home / "train.txt").read_text().split()[0]
    _append("test.txt", f"{name}\n".encode())(home)


def _letters(home: Path) -> None:
    """Frames that are called by words."""
    (home / "scenes.txt").unlink()
    for part in ("images", "labels40", "depth"):
        for path in (home / part).iterdir():
            path.rename(path.with_stem(f"frame_{path.stem}"))
    for name in ("train.txt", "test.txt"):
        lines = (home / name).read_text().split()
        (home / name).write_text("".join(f"frame_{x}\n" for x in lines))


FOLDER = {
    "a list gone": (lambda home: (home / "train.txt").unlink(), "train.txt"),
    "a list empty": (_write("train.txt", b""), "train.txt|empty"),
    "a list of bytes": (_write("train.txt", b"\xff\xfe\n"), "train.txt|UTF-8"),
    "a frame twice": (_append("train.txt", b"00001\n00001\n"), "train.txt|twice"),
    "a frame unknown": (_write("train.txt", b"99998\n99999\n"), "9999"),
    "a frame in both lists": (_both, "train.txt|test.txt|1 frames"),
    "scenes of bytes": (_write("scenes.txt", b"\xff\n"), "scenes.txt|UTF-8"),
    "scenes without names": (
        lambda home: (home / "scenes.txt").write_text(
            "".join(f"{x}\n" for x in (home / "train.txt").read_text().split())
        ),
        "scenes.txt|no scene",
    ),
    "names without numbers": (_letters, "scenes.txt|number"),
    "half-written": (_write("INCOMPLETE", b""), "half-written"),
    "no pictures": (lambda home: shutil.rmtree(home / "images"), "'images'"),
    "no labels": (lambda home: shutil.rmtree(home / "labels40"), "labels40"),
    "pictures closed": (
        lambda home: (home / "images").chmod(0),
        "images|ermission denied",
    ),
    "lists closed": (
        lambda home: (home / "train.txt").chmod(0),
        "train.txt|ermission denied",
    ),
    "labels of 4 bits": (_files("labels40", _grey), "4 bits|expected 8"),
    "labels of 41": (
        _files(
            "labels40", lambda p: cv2.imwrite(str(p), np.full((48, 64), 41, np.uint8))
        ),
        "up to 41",
    ),
    "labels of 16 bits": (
        _files(
            "labels40", lambda p: cv2.imwrite(str(p), np.full((48, 64), 4, np.uint16))
        ),
        "uint16|channel of uint8",
    ),
    "labels small": (
        _files(
            "labels40", lambda p: cv2.imwrite(str(p), np.full((47, 64), 4, np.uint8))
        ),
        "shape (47, 64)",
    ),
    "pictures of 16 bits": (
        _files(
            "images", lambda p: cv2.imwrite(str(p), np.full((48, 64, 3), 4, np.uint16))
        ),
        "16 bits|expected 8",
    ),
}


@pytest.fixture(autouse=True)
def tracebacks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def marked(names):
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


@pytest.mark.full
@pytest.mark.parametrize("name", marked(FOLDER))
def test_a_prepared_folder_with_a_fault_is_refused(name, rooms, tmp_path):
    home = tmp_path / "data"
    shutil.copytree(rooms, home)
    change, words = FOLDER[name]
    change(home)
    with rights_of_a_user():
        chosen = options(data_root=home)
        outcome = run("train", CONFIG, "--work-dir", tmp_path / "run", *chosen)
    (home / "images").is_dir() and (home / "images").chmod(0o755)
    assert_said(outcome, *words.split("|"))


def _stored(change):
    def apply(home: Path) -> None:
        with h5py.File(home / "nyu_depth_v2_labeled.mat", "r+") as file:
            change(file)

    return apply


def _value(key: str, value: object):
    def change(file: h5py.File) -> None:
        file[key][2, 0, 0] = value

    return _stored(change)


def _bytes(name: str, change):
    return lambda home: _nothing(
        (home / name).write_bytes(change((home / name).read_bytes()))
    )


MAT = "nyu_depth_v2_labeled.mat"
SOURCE = {
    "cut": (_bytes(MAT, lambda data: data[: len(data) // 2]), MAT),
    "empty": (_bytes(MAT, lambda data: b""), MAT),
    "a page": (_bytes(MAT, lambda data: b"<html>404</html>"), MAT),
    "zeros": (_bytes(MAT, lambda data: bytes(len(data))), MAT),
    "no depths": (_stored(lambda file: file.pop("depths")), "depths"),
    "depths linked": (
        _stored(
            lambda file: (
                file.pop("depths"),
                file.__setitem__("depths", h5py.ExternalLink("/etc/passwd", "/x")),
            )
        ),
        "depths|link",
    ),
    "depth below zero": (_value("depths", -1.0), "depths of frame 3"),
    "depth far out": (_value("depths", 1e6), "depths of frame 3"),
    "label unknown": (_value("labels", 900), "labels of frame 3"),
    "depths small": (
        _stored(
            lambda file: (
                file.pop("depths"),
                file.create_dataset("depths", data=np.ones((8, 20, 20), "f4")),
            )
        ),
        "depths|expected shape",
    ),
    "splits cut": (_bytes("splits.mat", lambda data: data[:150]), "splits.mat"),
    "splits empty": (_bytes("splits.mat", lambda data: b""), "splits.mat"),
    "mapping cut": (
        _bytes("classMapping40.mat", lambda data: data[:-50]),
        "classMapping40.mat",
    ),
    "closed": (lambda home: (home / MAT).chmod(0), f"{MAT}|ermission denied"),
    "a folder": (
        lambda home: ((home / MAT).unlink(), (home / MAT).mkdir()),
        MAT,
    ),
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    done = run("make_rooms", "--out", folder, "--frames", 8, "--size", 24, 32)
    assert done.status == 0, done
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCE)
def test_a_source_with_a_fault_is_refused(name, raw, tmp_path):
    home = tmp_path / "raw"
    shutil.copytree(raw, home)
    change, words = SOURCE[name]
    change(home)
    out = tmp_path / "out"
    with rights_of_a_user():
        outcome = run("prepare_nyud", "--mat", home / MAT, "--out", out)
    assert_said(outcome, *words.split("|"))
    # What was written before is no data set.
    outcome = run("train", CONFIG, *options(data_root=out))
    assert_said(outcome, "out'")


@pytest.mark.slow
def test_unknown_depth_of_a_source_becomes_zero(raw, tmp_path):
    home = tmp_path / "raw"
    shutil.copytree(raw, home)
    _value("depths", np.nan)(home)
    done = run("prepare_nyud", "--mat", home / MAT, "--out", tmp_path / "out")
    assert done.status == 0, done
    depth = cv2.imread(str(tmp_path / "out/depth/00003.png"), -1)
    assert depth[0, 0] == 0
    assert (depth > 0).sum() == depth.size - 1
