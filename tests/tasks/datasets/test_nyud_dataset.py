"""The data set class: splits, validation carving, clear errors, the real data."""

import shutil
from pathlib import Path

import pytest
import torch
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import DATASETS

from cmim.engine.config import load_config
from cmim.models.read_labels import read_labels
from tasks.datasets.errors import DataError
from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.datasets.scenes import read_scenes
from tasks.transforms import AugmentFrame, LoadFrame


def names(folder, split: str, fraction: float = 0.0) -> list[str]:
    data = NYUv2Dataset(str(folder), split, val_fraction=fraction)
    return [data.get_data_info(i)["frame"] for i in range(len(data))]


@pytest.mark.full
def test_validation_is_carved_from_whole_training_scenes(rooms):
    train, val = names(rooms, "train", 0.25), names(rooms, "val", 0.25)
    assert sorted(train + val) == sorted(names(rooms, "trainval"))
    assert not set(val) & set(names(rooms, "test"))
    scenes = dict(x.split() for x in (rooms / "scenes.txt").read_text().splitlines())
    assert not {scenes[n] for n in train} & {scenes[n] for n in val}


def test_blanks_around_the_name_of_a_scene_make_no_other_scene(tmp_path):
    path = tmp_path / "scenes.txt"
    path.write_text("1 living room\n 2\tliving room \t\n\n3 kitchen\r\n")
    scenes = read_scenes(path, ["1", "2", "3"])
    assert scenes == ["living room", "living room", "kitchen"]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda f: shutil.rmtree(f), "does not exist; make it"),
        (lambda f: (f / "INCOMPLETE").touch(), "half-written"),
        (lambda f: (f / "train.txt").unlink(), "train.txt"),
        (lambda f: (f / "train.txt").write_text(""), "is empty"),
        (lambda f: shutil.rmtree(f / "images"), "no folder 'images'"),
    ],
)
def test_broken_folders_are_refused(rooms, tmp_path, break_it, said):
    folder = shutil.copytree(rooms, tmp_path / "copy")
    break_it(folder)
    with pytest.raises(DataError, match=said):
        NYUv2Dataset(str(folder), "train")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(split="dev"), "choose from train, val, .*validation, test"),
        (dict(split="val"), "needs val_fraction"),
        (dict(split="train", val_fraction=1.0), r"in \[0, 1\)"),
        (dict(split="validation", val_fraction=0.1), "'validation' is fixed"),
    ],
)
def test_wrong_options_are_said(rooms, options, said):
    with pytest.raises(ValueError, match=said):
        NYUv2Dataset(str(rooms), **options)


def test_a_sample_depends_on_index_seed_and_epoch_alone(rooms):
    pipeline = [
        LoadFrame(),
        AugmentFrame((48, 64), (32, 48)),
        PackSegInputs(),
    ]
    data = NYUv2Dataset(str(rooms), "train", pipeline=pipeline)
    first = data[(3, 0, 7)]["inputs"]
    _ = data[(4, 0, 7)], data[(3, 0, 8)]
    assert (data[(3, 0, 7)]["inputs"] == first).all()
    assert not (data[(3, 0, 8)]["inputs"] == first).all()
    assert not (data[(3, 1, 7)]["inputs"] == first).all()


@pytest.mark.parametrize(
    "name", ["nyud_seg_bireal_small", "nyud_depth_bireal", "rooms_seg_bireal"]
)
def test_training_samples_carry_their_place_and_what_they_had(rooms, name):
    config = load_config(Path(__file__).parents[3] / "configs" / f"{name}.py")
    config.train_dataloader.dataset.data_root = str(rooms)
    config.train_dataloader.dataset.pipeline[0].update(reduce=1)
    data = DATASETS.build(config.train_dataloader.dataset)
    samples = [data[(index, 0, 0)]["data_samples"] for index in (5, 2)]
    found = read_labels(samples, "all", torch.device("cpu"))
    assert found.indices.tolist() == [5, 2]
    assert samples[0].img_path == data.get_data_info(5)["img_path"]
    assert samples[0].img_shape == tuple(data[5]["inputs"].shape[1:])


def test_sampler_covers_every_epoch_and_ranks_share_it():
    sampler = ReplayableSampler(range(10), seed=4)
    stream = iter(sampler)
    epochs = [[next(stream) for _ in range(10)] for _ in range(3)]
    for epoch, samples in enumerate(epochs):
        assert sorted(s[0] for s in samples) == list(range(10))
        assert all(s[1:] == (4, epoch) for s in samples)
    assert [s[0] for s in epochs[0]] != [s[0] for s in epochs[1]]

    halves = []
    for rank in (0, 1):
        part = ReplayableSampler(range(10), seed=4)
        part.rank, part.world_size = rank, 2
        it = iter(part)
        halves.append([next(it) for _ in range(15)])
    joined = [s for pair in zip(*halves, strict=True) for s in pair]
    assert joined == [s for samples in epochs for s in samples]


def test_sampler_skips_to_the_same_place():
    whole = iter(ReplayableSampler(range(7), seed=2))
    seen = [next(whole) for _ in range(20)]
    late = ReplayableSampler(range(7), seed=2)
    late.skip(11)
    it = iter(late)
    assert [next(it) for _ in range(9)] == seen[11:]


@pytest.mark.real_data
def test_real_nyuv2_reads(nyuv2):
    train, test = names(nyuv2, "train"), names(nyuv2, "test")
    assert (len(train), len(test)) == (795, 654)
    assert not set(train) & set(test)
    data = NYUv2Dataset(str(nyuv2), "test", pipeline=[LoadFrame()])
    for index in (0, 300, 653):
        frame = data[index]
        assert frame["img"].shape == (480, 640, 3)
        assert set(frame["gt_seg_map"].ravel()) <= {*range(40), 255}
        assert 0.5 < frame["gt_depth_map"].min() < frame["gt_depth_map"].max() < 10.1


@pytest.mark.real_data
def test_real_validation_split_is_a_tenth(nyuv2):
    train, val = names(nyuv2, "train", 0.1), names(nyuv2, "val", 0.1)
    assert len(train) + len(val) == 795
    assert 70 <= len(val) <= 95
