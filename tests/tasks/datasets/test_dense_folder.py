"""Data sets in folders that a config describes."""

from pathlib import Path

import numpy as np
import pytest
from folder_cases import DEPTH, SEG, build, frame, plain, write

from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_frame
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.datasets.nyud import NYUv2Dataset
from tasks.transforms import AugmentFrame, LoadFolderFrame, LoadFrame

PAGE = Path(__file__).resolve().parents[3] / "docs/new_dataset.md"
LAYOUTS = [
    ('images="images/{split}/{name}.*"', None, []),
    (
        'images="images/{name}.jpg", labels="labels/{name}.png", names="{split}.txt"',
        ["images/a.jpg", "labels/a.png"],
        [("train.txt", "a\n"), ("images/unused.jpg", np.zeros((2, 2, 3)))],
    ),
    (
        'images="JPEGImages/{name}.jpg", labels="SegmentationClass/{name}.png", '
        'names="ImageSets/Segmentation/{split}.txt"',
        ["JPEGImages/a.jpg", "SegmentationClass/a.png"],
        [("ImageSets/Segmentation/train.txt", "a")],
    ),
    (
        'images="leftImg8bit/{split}/{name}_leftImg8bit.png", '
        'labels="gtFine/{split}/{name}_gtFine_labelTrainIds.png"',
        [
            "leftImg8bit/train/ulm/a_leftImg8bit.png",
            "gtFine/train/ulm/a_gtFine_labelTrainIds.png",
        ],
        [("gtFine/train/ulm/a_gtFine_color.png", np.zeros((2, 2, 3)))],
    ),
]


@pytest.mark.full
@pytest.mark.parametrize(("said", "files", "others"), LAYOUTS)
def test_layouts_of_the_page(tmp_path, said, files, others):
    assert f"`{said}`" in PAGE.read_text()
    described = eval(f"dict({said})")
    if files is None:
        plain(tmp_path, 1)
        described["labels"] = SEG["labels"]
    else:
        frame(tmp_path, *files)
    for name, content in others:
        write(tmp_path / name, content)
    dataset = build(tmp_path, described)
    assert len(dataset) == 1
    assert dataset[0]["frame"].endswith(("a", "0"))
    assert read_frame(dataset[0])["gt_seg_map"].shape == (4, 6)


ROWS = [
    ("label_values=list(range(1, 151)), void_values=[0]", [0, 1, 150], [255, 0, 149]),
    ("label_values=[7, 8, 11], void_values=[0, 1, 2, 3]", [3, 11, 7], [255, 2, 0]),
    ("label_values=[0, 255]", [0, 255, 0], [0, 1, 0]),
    (
        "label_values=[[128, 64, 128], [0, 0, 142], [107, 142, 35]], "
        "void_values=[[0, 0, 0]]",
        [[107, 142, 35], [0, 0, 0], [128, 64, 128]],
        [2, 255, 0],
    ),
]


@pytest.mark.parametrize(("said", "stored", "meant"), ROWS)
def test_label_values_of_the_page(tmp_path, said, stored, meant):
    assert f"{said}`" in PAGE.read_text()
    options = eval(f"dict({said})")
    plain(tmp_path, 1)
    stored = np.resize(np.array(stored, np.uint8), (4, 6, *np.shape(stored[0])))
    # OpenCV writes blue first.
    written = stored[..., ::-1] if stored.ndim == 3 else stored
    write(tmp_path / "labels/train/0.png", written)
    names = [str(k) for k in range(len(options["label_values"]))]
    dataset = build(tmp_path, metainfo=dict(classes=names), **options)
    assert read_frame(dataset[0])["gt_seg_map"][0, :3].tolist() == meant


@pytest.mark.full
def test_a_sample_has_paths_formats_and_seed(tmp_path):
    plain(tmp_path)
    dataset = build(tmp_path, {**SEG, **DEPTH}, depth_scale=0.001)
    info = dataset[(1, 5, 2)]
    assert info["seed"] == [5, 2, 1]
    assert dataset.metainfo["classes"] == ["road", "car"]
    read = read_frame(info)
    assert read["img"].shape == (4, 6, 3)
    assert read["gt_seg_map"][0].tolist() == [0, 1, 255, 0, 1, 255]
    assert read["gt_depth_map"].dtype == np.float32
    assert np.allclose(read["gt_depth_map"][0, :3], [1.5, 0, 2.5])
    assert len(build(tmp_path, limit=2)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(labels=None), "give labels, depth or both"),
        (dict(metainfo=None), "labels need class names"),
        (dict(metainfo=dict(classes="road")), "labels need class names"),
        (dict(**DEPTH), "depth needs depth_scale > 0, got None"),
        (dict(**DEPTH, depth_scale=0), "depth needs depth_scale > 0, got 0"),
        (dict(**DEPTH, depth_scale=True), "depth_scale > 0, got True"),
        (
            dict(images="a/{name}.jpg", labels="b/{name}.png"),
            "no pattern holds {split}",
        ),
        (dict(split=None), "no split is given"),
        (dict(**DEPTH, depth_scale="0.001"), "depth_scale > 0, got '0.001'"),
        (dict(limit=0), "at least 1 frame"),
        (dict(label_values=[1]), "2 classes and 1 label_values"),
    ],
)
def test_wrong_descriptions_are_said(tmp_path, options, said):
    plain(tmp_path)
    with pytest.raises(ValueError, match=said):
        build(tmp_path, **options)


def test_missing_root_is_said(tmp_path):
    with pytest.raises(DataError, match=r"name the right one .* data_root=FOLDER"):
        build(tmp_path / "nowhere")


def test_frames_without_a_partner_are_named(tmp_path):
    plain(tmp_path)
    (tmp_path / "labels/train/1.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 frames of 'images.*'labels.*: 1;"):
        build(tmp_path)
    plain(tmp_path)
    (tmp_path / "images/train/2.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 3 frames of 'labels.*'images.*: 2;"):
        build(tmp_path)


def test_names_of_a_list_need_their_files(tmp_path):
    plain(tmp_path)
    write(tmp_path / "train.txt", "0\n7\n")
    with pytest.raises(DataError, match=r"1 of 2 frames of list .*train.txt'.*: 7"):
        build(tmp_path, names="{split}.txt")


@pytest.mark.parametrize("line", ["1.jpg", "images/train/1.jpg labels/train/1.png"])
def test_a_list_of_files_instead_of_names_is_explained(tmp_path, line):
    plain(tmp_path)
    write(tmp_path / "train.txt", line)
    with pytest.raises(DataError, match=r"list what {name} stands for, here '1'"):
        build(tmp_path, names="{split}.txt")


def test_sizes_must_agree(tmp_path):
    plain(tmp_path)
    write(tmp_path / "labels/train/0.png", np.zeros((6, 4), np.uint8))
    with pytest.raises(DataError, match=r"0.png' has 6x4 pixels, its picture .* 4x6"):
        build(tmp_path)


def test_the_last_frame_is_looked_at_before_a_run(tmp_path):
    plain(tmp_path)
    write(tmp_path / "labels/train/2.png", np.full((4, 6), 2, np.uint8))
    with pytest.raises(DataError, match=r"2.png': has the values 2"):
        build(tmp_path)


def test_a_mask_of_0_and_255_is_asked_about(tmp_path):
    plain(tmp_path, values=(0, 255))
    with pytest.raises(DataError, match=r"label_values=\[0, 255\]; .*void_values"):
        build(tmp_path)
    assert (
        read_frame(build(tmp_path, label_values=[0, 255])[0])["gt_seg_map"].max() == 1
    )
    assert len(build(tmp_path, void_values=[255])) == 3


def test_frames_are_those_of_the_prepared_folder(rooms):
    """The same files, described in a config, give the same training samples."""
    augment = dict(type=AugmentFrame, base_size=(48, 64), crop_size=(32, 40))
    known = NYUv2Dataset(str(rooms), "train", pipeline=[dict(type=LoadFrame), augment])
    described = DenseFolderDataset(
        str(rooms),
        images="images/{name}.png",
        labels="labels40/{name}.png",
        depth="depth/{name}.png",
        names="{split}.txt",
        split="train",
        metainfo=dict(classes=NYU40_CLASSES),
        label_values=list(range(1, 41)),
        void_values=[0],
        depth_scale=0.001,
        pipeline=[dict(type=LoadFolderFrame), dict(augment, base_size=48)],
    )
    assert len(described) == len(known)
    for index in range(len(known)):
        first, second = known[(index, 3, 4)], described[(index, 3, 4)]
        for key in ("img", "gt_seg_map", "gt_depth_map"):
            assert np.array_equal(first[key], second[key])
            assert first[key].dtype == second[key].dtype


def test_the_reader_of_prepared_folders_is_refused(tmp_path):
    plain(tmp_path)
    with pytest.raises(ValueError, match=r"LoadFrame reads .* use LoadFolderFrame"):
        build(tmp_path, pipeline=[dict(type=LoadFrame)])
