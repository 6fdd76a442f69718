"""Folders of labelled pictures: order, labels, replay, clear errors."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import DefaultSampler, default_collate
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from cmim.engine.config import load_config
from tasks.datasets.errors import DataError
from tasks.datasets.image_folder import ImageFolderDataset
from tasks.datasets.prepare_cifar10 import CIFAR10_CLASSES, prepare_cifar10
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import LoadImage, PackImage, RandomCropFlip

CONFIGS = Path(__file__).parents[3] / "configs"


def test_labels_number_the_sorted_folders(pictures):
    data = ImageFolderDataset(str(pictures), "train")
    assert len(data) == 80
    assert data.metainfo["classes"] == CIFAR10_CLASSES
    paths = [data.get_data_info(i)["img_path"] for i in range(len(data))]
    assert paths == sorted(paths)
    for i in (0, 7, 8, 79):
        info = data.get_data_info(i)
        name = CIFAR10_CLASSES[info["gt_label"]]
        assert info["gt_label"] == i // 8
        assert info["img_path"] == str(pictures / "train" / name / f"{i % 8:04d}.png")


def test_limit_keeps_every_class(pictures):
    data = ImageFolderDataset(str(pictures), "train", limit=3)
    labels = [data.get_data_info(i)["gt_label"] for i in range(len(data))]
    assert labels == [k for k in range(10) for _ in range(3)]


def test_metainfo_orders_the_classes(pictures):
    order = CIFAR10_CLASSES[::-1]
    data = ImageFolderDataset(str(pictures), "test", metainfo=dict(classes=order))
    assert data.metainfo["classes"] == order
    assert "truck" in data.get_data_info(0)["img_path"]
    assert data.get_data_info(0)["gt_label"] == 0


def test_other_files_are_passed_over(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    (folder / "train" / "cat" / "notes.txt").write_text("no picture")
    (folder / "train" / "cat" / "._0000.png").write_text("no picture")
    (folder / "train" / ".cache").mkdir()
    (folder / "README").write_text("no class")
    (folder / "train" / "cat" / "0000.png").rename(folder / "train/cat/0000.PNG")
    assert len(ImageFolderDataset(str(folder), "train")) == 80


def test_a_split_of_unlabelled_pictures_is_passed_over(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    shutil.rmtree(folder / "test")
    (folder / "test").mkdir()
    shutil.copy(folder / "train" / "cat" / "0000.png", folder / "test")
    assert len(ImageFolderDataset(str(folder), "train")) == 80
    with pytest.raises(DataError, match="test' has no sub-folders"):
        ImageFolderDataset(str(folder), "test")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (shutil.rmtree, "tools/prepare_cifar10.py"),
        (lambda f: shutil.rmtree(f / "train"), "train' does not exist"),
        (
            lambda f: [p.unlink() for p in (f / "train" / "cat").iterdir()],
            "train/cat' has no picture",
        ),
        (lambda f: shutil.rmtree(f / "test" / "cat"), "10 class .* the 9 of .*cat is"),
        (lambda f: (f / "train" / "cow").mkdir(), "11 class .*test: cow is"),
        (
            lambda f: [shutil.rmtree(p) for p in (f / "train").iterdir()],
            "no sub-folders",
        ),
    ],
)
def test_broken_folders_are_refused(pictures, tmp_path, break_it, said):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    break_it(folder)
    with pytest.raises(DataError, match=said):
        ImageFolderDataset(str(folder), "train")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(split="dev"), "choose from train, val, test"),
        (dict(split="train", limit=0), "at least 1"),
        (dict(split="train", metainfo=dict(classes=("cat", "dog"))), "of the config"),
    ],
)
def test_wrong_options_are_said(pictures, options, said):
    with pytest.raises(ValueError, match=said):
        ImageFolderDataset(str(pictures), **options)


def test_an_unreadable_picture_is_named(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    (folder / "train" / "airplane" / "0000.png").write_bytes(b"torn")
    data = ImageFolderDataset(str(folder), "train", pipeline=[LoadImage()])
    with pytest.raises(DataError, match=r"airplane/0000\.png"):
        data[0]


@pytest.mark.full
def test_a_sample_depends_on_index_seed_and_epoch_alone(pictures):
    pipeline = [LoadImage(cache=True), RandomCropFlip((32, 32)), PackImage()]
    data = ImageFolderDataset(str(pictures), "train", pipeline=pipeline)
    first = data[(3, 0, 7)]["inputs"].clone()
    others = [data[(3, 0, epoch)]["inputs"] for epoch in range(8, 16)]
    assert (data[(3, 0, 7)]["inputs"] == first).all()
    assert not all((other == first).all() for other in others)
    again = ImageFolderDataset(str(pictures), "train", pipeline=pipeline)
    assert (again[(3, 0, 7)]["inputs"] == first).all()


@pytest.mark.full
def test_loader_gives_stacked_batches_that_replay(pictures):
    config = dict(
        batch_size=8,
        num_workers=1,
        collate_fn=dict(type=default_collate),
        sampler=dict(type=ReplayableSampler),
        dataset=dict(
            type=ImageFolderDataset,
            data_root=str(pictures),
            split="train",
            pipeline=[
                dict(type=LoadImage),
                dict(type=RandomCropFlip, crop_size=(32, 32)),
                dict(type=PackImage),
            ],
        ),
    )
    batches = [next(iter(Runner.build_dataloader(config, seed=1))) for _ in range(2)]
    assert batches[0]["inputs"].shape == (8, 3, 32, 32)
    assert (batches[0]["inputs"] == batches[1]["inputs"]).all()
    places = [s.sample_idx for s in batches[0]["data_samples"]]
    assert len(set(places)) == 8
    # Ten classes of eight pictures, sorted by class.
    assert [s.gt_label for s in batches[0]["data_samples"]] == [i // 8 for i in places]
    labels = [[s.gt_label for s in b["data_samples"]] for b in batches]
    assert labels[0] == labels[1]
    plain = dict(config, sampler=dict(type=DefaultSampler, shuffle=False))
    first = next(iter(Runner.build_dataloader(plain, seed=1)))
    assert [s.gt_label for s in first["data_samples"]] == [0] * 8


@pytest.mark.full
@pytest.mark.parametrize("method", ["irnet", "bireal"])
def test_imagenet_configs_read_synset_folders_in_their_usual_order(method, tmp_path):
    random = np.random.default_rng(0)
    synsets = ("n02119789", "n01440764", "n15075141")
    for name in synsets:
        for split in ("train", "val"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for k, shape in enumerate([(90, 300, 3), (301, 230, 3)]):
                picture = random.integers(0, 256, shape).astype(np.uint8)
                cv2.imwrite(str(folder / f"{name}_{k}.JPEG"), picture)
    name = f"imagenet_resnet18_{method}.py"
    config = load_config(CONFIGS / name, {"data_root": str(tmp_path)})
    train, val = (
        DATASETS.build(config[f"{part}_dataloader"].dataset)
        for part in ("train", "test")
    )
    assert train.metainfo["classes"] == tuple(sorted(synsets))
    assert [val.get_data_info(i)["gt_label"] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    for index in range(6):
        assert val[index]["inputs"].shape == (3, 224, 224)
        first, again = train[(index, 0, 3)], train[(index, 0, 3)]
        assert first["inputs"].shape == (3, 224, 224)
        assert (first["inputs"] == again["inputs"]).all()
        assert not (first["inputs"] == train[(index, 0, 4)]["inputs"]).all()


@pytest.mark.slow
@pytest.mark.real_data
def test_real_cifar10_unpacks_and_reads(cifar10_zip, tmp_path):
    report = prepare_cifar10(cifar10_zip, tmp_path / "cifar10", progress=False)
    assert (report.train, report.test) == (50_000, 10_000)
    data = ImageFolderDataset(
        str(tmp_path / "cifar10"),
        "train",
        metainfo=dict(classes=CIFAR10_CLASSES),
        pipeline=[LoadImage()],
    )
    assert len(data) == 50_000
    for index in (0, 25_000, 49_999):
        assert data[index]["img"].shape == (32, 32, 3)
        assert data[index]["gt_label"] == index // 5000
