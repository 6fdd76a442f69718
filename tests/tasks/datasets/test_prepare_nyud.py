"""Preparation of NYUD-v2: contents of the folder and its verification."""

import json
import os
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tasks.datasets import prepared_folder
from tasks.datasets.errors import DataError
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.datasets.nyud_source import load_label_map
from tasks.datasets.prepare_nyud import (
    PreparationReport,
    prepare_nyud,
    verify_prepared,
)
from tasks.datasets.rooms.frames import draw_label_map, render_room, write_rooms

ROOT = Path(__file__).resolve().parents[3]
FRAMES = 12
SIZE = (36, 48)
MAT, SPLITS, MAPPING = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_rooms(folder, FRAMES, SIZE, seed=2, progress=False)
    return folder


@pytest.fixture(scope="module")
def prepared(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(raw, out)
    return out


def prepare(raw: Path, out: Path, **options: str) -> PreparationReport:
    return prepare_nyud(
        raw / MAT,
        raw / SPLITS,
        raw / MAPPING,
        out,
        progress=False,
        **options,  # type: ignore[arg-type]
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder, hidden ones included."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def decode(path: Path) -> np.ndarray:
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert array is not None
    return array


def test_frames_come_out_as_they_were_rendered(prepared: Path) -> None:
    for index in (0, 5, FRAMES - 1):
        frame = render_room(2, index, SIZE)
        name = f"{index + 1:05d}.png"
        image = decode(prepared / "images" / name)[..., ::-1]
        assert np.array_equal(image, frame.image)
        depth = decode(prepared / "depth" / name)
        assert depth.dtype == np.uint16
        assert np.abs(depth / 1000 - frame.depth).max() <= 0.00051
        assert np.array_equal(decode(prepared / "labels40" / name), frame.labels)


def test_text_files(raw: Path, prepared: Path) -> None:
    splits = loadmat(raw / SPLITS)
    for name, key in (("train.txt", "trainNdxs"), ("test.txt", "testNdxs")):
        expected = [f"{number:05d}" for number in splits[key].ravel()]
        assert (prepared / name).read_text().splitlines() == expected
    classes = (prepared / "classes40.txt").read_text().splitlines()
    assert tuple(classes) == NYU40_CLASSES
    scenes = (prepared / "scenes.txt").read_text().splitlines()
    assert len(scenes) == FRAMES
    assert scenes[4] == f"00005 {render_room(2, 4, SIZE).scene}"


def test_summary_is_deterministic(raw: Path, prepared: Path, tmp_path: Path) -> None:
    report = prepare(raw, tmp_path / "again")
    assert tree(tmp_path / "again") == tree(prepared)
    assert (report.frames, report.written) == (FRAMES, FRAMES)
    assert report.train + report.test == FRAMES
    summary = json.loads((prepared / "prepared.json").read_text())
    assert summary["frame_size"] == list(SIZE)
    assert len(summary["digests"]) == FRAMES
    assert str(tmp_path) not in json.dumps(summary)


def test_raw_depth_keeps_holes_and_jpg_is_written(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", depth="raw", image_format="jpg")
    depth = decode(tmp_path / "out" / "depth" / "00001.png")
    with h5py.File(raw / MAT) as file:
        holes = file["rawDepths"][0].T == 0
    assert holes.any()
    assert np.array_equal(depth == 0, holes)
    image = decode(tmp_path / "out" / "images" / "00001.jpg")[..., ::-1].astype(int)
    assert np.abs(image - render_room(2, 0, SIZE).image).mean() < 8


@pytest.mark.parametrize("seed", range(3))
def test_random_mappings_match_an_independent_table(seed: int, tmp_path: Path) -> None:
    mapping = draw_label_map(seed)
    names = np.empty((1, 40), dtype=object)
    names[0, :] = NYU40_CLASSES
    path = tmp_path / MAPPING
    savemat(path, {"mapClass": mapping[None], "className": names})
    table = {0: 0, **{raw: int(label) for raw, label in enumerate(mapping, 1)}}
    found = load_label_map(path)
    assert {raw: int(found[raw]) for raw in range(895)} == table


@pytest.mark.real_data
def test_official_mapping_matches_an_independent_table() -> None:
    base = Path(os.environ.get("CMIM_DATA", ROOT.parent / "shared" / "data"))
    path = base / "nyuv2" / MAPPING
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    variables = loadmat(path)
    classes = [str(cell[0]) for cell in variables["className"][0]]
    raw_names = [str(cell[0]) for cell in variables["allClassName"][0]]
    found = load_label_map(path)
    assert found.shape == (895,)
    assert found[0] == 0
    assert classes == list(NYU40_CLASSES)
    assert np.array_equal(found[1:], variables["mapClass"].ravel())
    # 37 raw classes keep their own name; the others fall into 38..40.
    kept = [name for name in raw_names if name in classes[:37]]
    for name in kept:
        assert classes[found[raw_names.index(name) + 1] - 1] == name
    assert len(kept) >= 30


def test_complete_folder_is_verified_and_left_alone(raw: Path, prepared: Path) -> None:
    before = tree(prepared)
    report = prepare(raw, prepared)
    assert (report.frames, report.written) == (FRAMES, 0)
    assert tree(prepared) == before
    with pytest.raises(DataError, match="was prepared with depth inpainted"):
        prepare(raw, prepared, depth="raw")


def test_foreign_folder_is_refused(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="found images but no INCOMPLETE"):
        prepare(raw, tmp_path)


@pytest.mark.parametrize(
    "name", ["images/00002.png", "depth/00001.png", "labels40/00012.png", "train.txt"]
)
def test_verification_finds_damage(prepared: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(prepared, tmp_path / "out"))
    data = (out / name).read_bytes()
    (out / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DataError, match=f"{name}: differs from its digest"):
        verify_prepared(out, progress=False)
    (out / name).unlink()
    with pytest.raises(DataError, match=f"{name}: missing"):
        verify_prepared(out, progress=False)


def test_verification_needs_a_summary(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not prepared; run the preparation first"):
        verify_prepared(tmp_path, progress=False)
    (tmp_path / "prepared.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        verify_prepared(tmp_path, progress=False)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("labels40/00001.png", np.full(SIZE, 41, np.uint8), "has label 41"),
        ("labels40/00001.png", np.zeros((2, 2), np.uint8), r"decodes to uint8 \(2, 2"),
        ("depth/00001.png", np.zeros(SIZE, np.uint16), "0 everywhere"),
        ("depth/00001.png", np.ones(SIZE, np.uint8), "expected uint16"),
    ],
)
def test_verification_checks_contents_beyond_digests(
    prepared: Path, tmp_path: Path, name: str, array: np.ndarray, message: str
) -> None:
    out = Path(shutil.copytree(prepared, tmp_path / "out"))
    data = cv2.imencode(".png", array)[1].tobytes()
    (out / name).write_bytes(data)
    summary = json.loads((out / "prepared.json").read_text())
    summary["digests"]["00001"][name] = prepared_folder.sha256(data)
    (out / "prepared.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match=message):
        verify_prepared(out, progress=False)
