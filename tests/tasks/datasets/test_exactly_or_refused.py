"""Data that looks fine and was read as something else: read exactly, or refused."""

import os

import cv2
import numpy as np
import pytest
from folder_cases import CLASSES, DEPTH, SEG, build, plain, write
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from PIL import Image

from cmim.encoders import BinaryMobileNet, BinaryResNet, BinaryVGGSmall
from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_frame
from tasks.datasets.image_folder import ImageFolderDataset
from tasks.datasets.joined import JoinedDataset
from tasks.datasets.label_format import LabelFormat
from tasks.datasets.name_patterns import find_files
from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.datasets.survey import as_text, survey, survey_config
from tasks.picture_files import read_picture
from tasks.predict import image_files
from tasks.transforms import AugmentFrame, LoadFrame

PNG = {**SEG, "images": "images/{split}/{name}.png"}


def noise(path, seed, shape=(4, 6, 3)):
    random = np.random.default_rng(seed)
    write(path, random.integers(0, 255, shape).astype(np.uint8))


def test_pictures_of_16_bits_need_their_white(tmp_path):
    path = tmp_path / "a.png"
    write(path, np.full((2, 2, 3), 4095, np.uint16))
    with pytest.raises(DataError, match=r"up to 4095.*image_white=4095"):
        read_picture(path)
    assert read_picture(path, white=4095).max() == 255
    with pytest.raises(DataError, match="beyond image_white=1023"):
        read_picture(path, white=1023)


def test_a_fourth_band_is_read_or_left_out_as_said(tmp_path):
    path = tmp_path / "a.png"
    bands = np.dstack([np.full((2, 2), v, np.uint8) for v in (1, 2, 3, 200)])
    Image.fromarray(bands).save(path)
    with pytest.raises(DataError, match=r"fourth band.*image_channels=4.*=3"):
        read_picture(path)
    assert np.array_equal(read_picture(path, channels=4), bands)
    assert np.array_equal(read_picture(path, channels=3), bands[..., :3])
    bands[..., 3] = 255
    Image.fromarray(bands).save(path)
    assert np.array_equal(read_picture(path), bands[..., :3])


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), v, np.uint8)) for v in (0, 255)]
    for name in ("a.gif", "a.png", "a.tif", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="2 frames"):
            read_picture(tmp_path / name)


def palette(path, numbers, colours):
    picture = Image.fromarray(np.array(numbers, np.uint8))
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette(np.array(colours).ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.mark.parametrize("second", [[[0, 1]], [[1, 1]]])
def test_palettes_that_differ_are_refused(tmp_path, second):
    red, green = [255, 0, 0], [0, 255, 0]
    palette(tmp_path / "a.png", [[0, 1]], [red, green])
    palette(tmp_path / "b.png", second, [green, red])
    form = LabelFormat(["a", "b"])
    form.read(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"palette differs.*ignore_palettes=True"):
        form.read(tmp_path / "b.png")
    either = LabelFormat(["a", "b"], ignore_palettes=True)
    assert either.read(tmp_path / "a.png").tolist() == [[0, 1]]
    assert either.read(tmp_path / "b.png").tolist() == second


def test_grey_of_4_bits_is_0_to_15(tmp_path):
    path = tmp_path / "a.png"
    numbers = np.array([[0, 1, 2, 15]], np.uint8)
    Image.fromarray(numbers * 17).save(path, bits=4)
    with Image.open(path) as picture:
        assert picture.tile[0][3] == "L;4"
    form = LabelFormat(["a", "b", "c"], void=[15])
    assert form.read(path).tolist() == [[0, 1, 2, 255]]


def test_several_values_make_one_class():
    form = LabelFormat(["a", "b", "c"], [0, [1, 2], range(26000, 27000)])
    stored = np.array([[0, 1, 2, 26000, 26999, 255]], np.uint16)
    assert form.decode(stored).tolist() == [[0, 1, 1, 2, 2, 255]]
    form = LabelFormat(["a", "b"], [[1, 2, 3], [4, 5, 6]], [255])
    assert form.decode(np.array([[3, 4]])).tolist() == [[0, 1]]
    form = LabelFormat(["a", "b"], [[[1, 0, 0], [2, 0, 0]], [9, 9, 9]])
    colours = np.array([[[2, 0, 0], [9, 9, 9], [0, 0, 0]]], np.uint8)
    assert form.decode(colours).tolist() == [[0, 1, 255]]
    with pytest.raises(ValueError, match="stands for two things"):
        LabelFormat(["a", "b"], [[0, 1], range(1, 4)])


def test_labels_that_are_all_void_are_refused(tmp_path):
    plain(tmp_path, 5, values=(255,))
    with pytest.raises(DataError, match=r"all 5 frames.*every one is void"):
        build(tmp_path, void_values=[255])
    write(tmp_path / "labels/train/3.png", np.zeros((4, 6), np.uint8))
    assert len(build(tmp_path, void_values=[255])) == 5
    found = survey(build(tmp_path, void_values=[255]))
    assert "4 labels are void everywhere" in as_text("train", found)


def test_the_largest_depth_and_far_ones_are_asked_about(tmp_path):
    plain(tmp_path)
    write(tmp_path / "depth/train/0.png", np.array([[2000] * 5 + [65535]] * 4, "u2"))
    with pytest.raises(DataError, match=r"4 of 24 .*depth_void_values=\[65535\]"):
        build(tmp_path, DEPTH, depth_scale=0.001)
    far = np.full((4, 6), 2.0)
    far[0] = 1e10
    for name in "012":
        write(tmp_path / f"depth/train/{name}.npy", far)
    described = {**DEPTH, "depth": "depth/{split}/{name}.npy"}
    with pytest.raises(DataError, match=r"at 6 pixels.*depth_void_values=\[1e\+10\]"):
        build(tmp_path, described, depth_scale=1.0)


def test_a_mask_for_one_class_is_asked_about(tmp_path):
    plain(tmp_path, values=(0, 255))
    with pytest.raises(DataError, match=r"classes=\['other', 'cell'\]"):
        build(tmp_path, metainfo=dict(classes=["cell"]))


def test_polygons_and_masks_of_their_own_are_said_not_to_be_supported(tmp_path):
    with pytest.raises(ValueError, match="Polygons and boxes"):
        build(tmp_path, labels="labels/{split}/{name}.json")
    plain(tmp_path, 1)
    (tmp_path / "labels/train/0.png").rename(tmp_path / "labels/train/0_1.png")
    with pytest.raises(DataError, match="several masks a picture are not supported"):
        build(tmp_path)


def test_webp_and_linked_folders_are_found(tmp_path):
    write(tmp_path / "far/a.webp", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "images").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "images/train")
    os.symlink(tmp_path / "images", tmp_path / "far/loop")
    assert list(find_files(tmp_path, "images/{name}.*", None)) == ["train/a"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train/cat/x.heic", "1 pictures of .*kind that is not read: x.heic"),
        ("train/cat/deep/x.jpg", "1 pictures lie in folders below.*deep/x.jpg"),
        ("train/x.jpg", "1 pictures lie beside the class folders"),
    ],
)
def test_no_picture_of_a_class_is_left_out(tmp_path, name, said):
    for place in ("train/cat/0.webp", "train/cat/1.GIF", "train/dog/0.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / place)
    assert len(ImageFolderDataset(str(tmp_path), "train")) == 3
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=said):
        ImageFolderDataset(str(tmp_path), "train")


@pytest.mark.full
def test_test_pictures_under_other_names_are_found(tmp_path):
    for split, first in (("train", 0), ("val", 2)):
        plain(tmp_path, 3, split=split)
        for k in range(3):
            noise(tmp_path / f"images/{split}/{k}.png", first + k)
    described = dict(
        type="DenseFolderDataset", data_root=str(tmp_path), metainfo=CLASSES, **PNG
    )
    loaders = dict(
        train_dataloader=dict(dataset=dict(described, split="train")),
        test_dataloader=dict(dataset=dict(described, split="val")),
    )
    found = survey_config(Config(loaders))
    (problem,) = found["test"]["problems"]
    assert problem.startswith("1 pictures are trained on")
    assert "val/0.png' is" in problem


def test_classification_is_checked(tmp_path):
    for k, place in enumerate(("train/cat/0.png", "train/dog/0.png")):
        noise(tmp_path / place, k)
    noise(tmp_path / "train/dog/1.png", 0)
    options = dict(type="ImageFolderDataset", data_root=str(tmp_path), split="train")
    found = survey_config(Config(dict(train_dataloader=dict(dataset=options))))["train"]
    assert found["pictures"] == 3
    assert "of the class 'dog' has the same pixels" in found["problems"][0]
    assert "cat 33.3 %, dog 66.7 % of the pictures" in as_text("train", found)


def test_equal_problems_are_one_line(tmp_path):
    plain(tmp_path, 9)
    for k in range(7):
        write(tmp_path / f"labels/train/{k}.png", np.full((4, 6), 40 + k, np.uint8))
    text = as_text("train", survey(build(tmp_path, probe=False)))
    assert text.count("  problem") == 1
    assert "problem (7 times, for example): labels" in text


@pytest.mark.full
def test_labels_of_one_set_and_depth_of_another(tmp_path):
    plain(tmp_path, 3)
    labels = build(tmp_path)
    depth = DenseFolderDataset(
        str(tmp_path), split="train", depth_scale=0.001, metainfo=CLASSES, **DEPTH
    )
    joined = JoinedDataset([labels, depth])
    stream = iter(ReplayableSampler(joined, seed=0))
    keys = {index: joined[index] for index in (next(stream) for _ in range(6))}
    assert len(keys) == 6
    seeds = {tuple(info["seed"]) for info in keys.values()}
    assert len(seeds) == 6
    for (index, seed, epoch), info in keys.items():
        part, place = divmod(index, 3)
        assert info["seed"] == [seed, epoch, part, place]
        frame = read_frame(info)
        assert ("gt_seg_map" in frame, "gt_depth_map" in frame) == (not part, part)
    other = build(tmp_path, metainfo=dict(classes=["car", "road"]))
    with pytest.raises(ValueError, match="has other classes"):
        JoinedDataset([labels, other])
    nested = JoinedDataset([depth, JoinedDataset([labels, depth])])
    assert nested[(6, 5, 0)]["seed"] == [5, 0, 1, 1, 0]
    assert nested.metainfo["classes"] == CLASSES["classes"]
    with pytest.raises(ValueError, match=r"RepeatDataset of mmengine.*JoinedDataset"):
        ReplayableSampler(RepeatDataset(labels, 2))


@pytest.mark.full
def test_the_same_classes_may_be_a_list_in_one_part_and_a_tuple_in_another(tmp_path):
    plain(tmp_path, 3)
    names = tuple(CLASSES["classes"])
    palettes = np.zeros((len(names), 3), np.uint8), [(0, 0, 0)] * len(names)
    pairs = zip((list(names), names), palettes, strict=True)
    said = [dict(classes=c, palette=p) for c, p in pairs]
    joined = JoinedDataset([build(tmp_path, metainfo=part) for part in said])
    assert list(joined.metainfo["classes"]) == list(names)
    said[1]["palette"] = [(0, 0, 1)] * len(names)
    with pytest.raises(ValueError, match="has other palette"):
        JoinedDataset([build(tmp_path, metainfo=part) for part in said])


@pytest.mark.full
def test_depth_of_a_kind_with_classes_is_joined_with_labels_of_others(rooms, tmp_path):
    plain(tmp_path, 3)
    room = dict(type=NYUv2Dataset, data_root=str(rooms), split="train")
    loading = dict(type=LoadFrame, labels=False)
    joined = JoinedDataset([build(tmp_path), dict(room, pipeline=[loading])])
    assert joined.metainfo["classes"] == CLASSES["classes"]
    with pytest.raises(ValueError, match="has other classes"):
        JoinedDataset([build(tmp_path), dict(room, pipeline=[])])


@pytest.mark.parametrize(
    ("encoder", "width"),
    [(BinaryResNet, 8), (BinaryVGGSmall, 8), (BinaryMobileNet, 4)],
)
def test_encoders_read_other_numbers_of_bands(encoder, width):
    assert encoder(base_channels=width, in_channels=4).conv1.weight.shape[1] == 4
    assert encoder(base_channels=width).conv1.weight.shape[1] == 3
    with pytest.raises(ValueError, match="in_channels must be at least 1"):
        encoder(base_channels=width, in_channels=0)


def test_folders_are_predicted_on(tmp_path):
    cv2.imwrite(str(tmp_path / "b.jpg"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "notes.txt").touch()
    assert image_files([tmp_path, "c.png"]) == [
        tmp_path / "b.jpg",
        image_files(["c.png"])[0],
    ]
    (tmp_path / "b.jpg").unlink()
    with pytest.raises(DataError, match="has no pictures"):
        image_files([tmp_path])


def test_colours_of_four_bands_are_not_changed():
    bands = dict(img=np.zeros((8, 8, 4), np.uint8), seed=[0])
    with pytest.raises(ValueError, match=r"4 bands.*set colour=0"):
        AugmentFrame((8, 8), (4, 4))(dict(bands))
    assert AugmentFrame((8, 8), (4, 4), colour=0)(dict(bands))["img"].shape == (4, 4, 4)
