"""Scene types: from the labelled file to the label of a sample."""

import shutil
from pathlib import Path

import h5py
import pytest

from tasks.datasets import matlab
from tasks.datasets.errors import DataError
from tasks.datasets.prepare_nyud import prepare_nyud, verify_prepared
from tasks.datasets.rooms.frames import render_room, write_rooms
from tasks.datasets.scene_types import SCENE_TYPES, read_scene_types
from tasks.scene import AddScene

FRAMES, SIZE = 8, (24, 32)
MAT = "nyu_depth_v2_labeled.mat"


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_rooms(folder, FRAMES, SIZE, seed=2, progress=False)
    return folder


def prepare(raw: Path, out: Path) -> None:
    files = (MAT, "splits.mat", "classMapping40.mat")
    prepare_nyud(*(raw / name for name in files), out, progress=False)


def with_types(raw: Path, target: Path, types: list[str] | None) -> Path:
    """A copy of the official files with other scene types, or none."""
    shutil.copytree(raw, target)
    with h5py.File(target / MAT, "r+") as file:
        del file["sceneTypes"]
        for name in list(file["#refs#"]):
            if name.startswith("sceneTypes"):
                del file["#refs#"][name]
        if types is not None:
            matlab.create_cells(file, "sceneTypes", types)
    return target


def test_there_are_27_types_in_order():
    assert len(SCENE_TYPES) == 27
    assert sorted(set(SCENE_TYPES)) == list(SCENE_TYPES)


def test_every_frame_gets_its_type(raw, tmp_path):
    prepare(raw, tmp_path / "out")
    labels = read_scene_types(tmp_path / "out")
    assert len(labels) == FRAMES
    for index in (0, 5):
        kind = render_room(2, index, SIZE).scene.rsplit("_", 1)[0]
        assert SCENE_TYPES[labels[f"{index + 1:05d}"]] == kind
    frame = dict(frame="00006", img_path=str(tmp_path / "out/images/00006.png"))
    assert AddScene()(frame)["gt_label"] == labels["00006"]


def test_a_folder_prepared_before_gets_the_file(raw, tmp_path):
    out = tmp_path / "out"
    prepare(with_types(raw, tmp_path / "old", None), out)
    assert not (out / "scene_types.txt").exists()
    # The same files as far as the folder knows: only their fingerprints are kept.
    summary = (out / "prepared.json").read_text()
    whole = tmp_path / "whole"
    prepare(raw, whole)
    fingerprint = '"labelled_file"'
    line = next(x for x in summary.splitlines() if fingerprint in x)
    other = (whole / "prepared.json").read_text()
    new = next(x for x in other.splitlines() if fingerprint in x)
    (out / "prepared.json").write_text(summary.replace(line, new))

    prepare(raw, out)
    assert (out / "prepared.json").read_text() == other
    assert (out / "scene_types.txt").read_bytes() == (
        whole / "scene_types.txt"
    ).read_bytes()
    (out / "scene_types.txt").write_text("00001 kitchen\n")
    with pytest.raises(DataError, match="differs from its digest"):
        verify_prepared(out, progress=False)


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (["kitchen"] * (FRAMES - 1), "sceneTypes has 7 entries, expected 8"),
        (["ballroom"] * FRAMES, "sceneTypes has 'ballroom', expected one of"),
    ],
)
def test_wrong_types_are_named(raw, tmp_path, types, said):
    with pytest.raises(DataError, match=said):
        prepare(with_types(raw, tmp_path / "raw", types), tmp_path / "out")


def test_a_missing_file_says_how_to_get_it(tmp_path):
    frame = dict(frame="00001", img_path=str(tmp_path / "images" / "00001.png"))
    with pytest.raises(DataError, match=r"scene_types.txt' does not exist.*prepare"):
        AddScene()(dict(frame))
    (tmp_path / "scene_types.txt").write_text("00002 kitchen\n")
    with pytest.raises(DataError, match="no scene type for frame '00001'"):
        AddScene()(dict(frame))
    (tmp_path / "scene_types.txt").write_text("00001 ballroom\n")
    with pytest.raises(DataError, match="expected a frame and one of basement"):
        AddScene()(dict(frame))


def test_a_picture_of_no_data_set_passes():
    assert AddScene()(dict(img_path="kitchen.jpg")) == dict(img_path="kitchen.jpg")
