"""Training pictures that come again may have their teacher's features kept."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from cmim.engine.coming_pictures import require_pictures_that_come_again
from cmim.engine.config import ConfigError
from cmim.engine.train import _check_teacher
from cmim.models import CMIM
from tasks.classification import ImageClassifier  # noqa: F401 - registers it
from tasks.datasets.joined import JoinedDataset
from tasks.datasets.replayable import ReplayableDataset
from tasks.transforms import AugmentFrame, RandomCropFlip
from tasks.transforms.lighting import Lighting
from tasks.transforms.picture import PackImage, RandomResizedCropFlip


def numbers() -> tuple[float, ...]:
    """One of each global generator."""
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


class Pictures(ReplayableDataset):
    """Three pictures of random pixels."""

    def load_data_list(self) -> list[dict]:
        pixels = np.random.default_rng(0).integers(256, size=(3, 8, 8, 3))
        return [dict(img=image.astype(np.uint8), gt_label=0) for image in pixels]


@TRANSFORMS.register_module()
class AnyNoise(BaseTransform):
    """Draws from all global generators, as transforms of other projects may."""

    def transform(self, results: dict) -> dict:
        results["img"] = results["img"] + np.float32(sum(numbers()))
        return results


def data(*pipeline: dict) -> dict:
    return dict(type=Pictures, pipeline=[*pipeline, dict(type=PackImage)])


def config(dataset: dict) -> Config:
    return Config(dict(train_dataloader=dict(dataset=dataset)))


FLIP = dict(type=RandomCropFlip, crop_size=(8, 8), padding=0)
FRAME = dict(
    type=AugmentFrame, base_size=(8, 8), crop_size=(8, 8), scale=(1.0, 1.0), colour=0
)


@pytest.mark.full
@pytest.mark.parametrize(
    "dataset",
    [
        data(),
        data(FLIP),
        data(FRAME),
        dict(type=JoinedDataset, datasets=[data(), data(FLIP)]),
    ],
    ids=["as they are", "flip", "frame", "joined"],
)
def test_pictures_and_their_mirror_images_come_again(dataset):
    require_pictures_that_come_again(config(dataset))


@pytest.mark.full
@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        (data(dict(FLIP, padding=2)), "RandomCropFlip"),
        (data(FLIP, dict(type=Lighting)), "Lighting"),
        (data(dict(type=RandomResizedCropFlip, crop_size=(8, 8))), "RandomResizedCro"),
        (data(dict(FRAME, scale=(1.0, 2.0))), "AugmentFrame"),
        (data(dict(FRAME, colour=0.2)), "AugmentFrame"),
        (data(FLIP, dict(type=AnyNoise)), "AnyNoise"),
        (
            dict(type=JoinedDataset, datasets=[data(), data(dict(FLIP, padding=2))]),
            "RandomCropFlip",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_new_pictures_each_time_are_refused_by_name(dataset, name):
    with pytest.raises(ConfigError, match=f"{name}.* of the training pipeline"):
        require_pictures_that_come_again(config(dataset))


def test_no_random_number_of_the_run_is_drawn():
    drawn = []
    for look in (False, True):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        if look:
            with pytest.raises(ConfigError):
                require_pictures_that_come_again(config(data(dict(type=AnyNoise))))
        drawn.append(numbers())
    assert drawn[0] == drawn[1]


def test_training_looks_where_a_cache_is_used(tmp_path):
    backbone = dict(type="BinaryResNet", depth=20, base_channels=4)
    head = dict(type="LinearHead", in_channels=16, num_classes=3)
    network = dict(type="ImageClassifier", backbone=backbone, head=head)
    twin = {**network, "backbone": {**backbone, "method": "fp"}}
    state = CMIM(twin, "none").state_dict()
    torch.save({"state_dict": state}, tmp_path / "twin.pth")
    for cache in (False, True):
        model = CMIM(
            network,
            "teacher",
            teacher=str(tmp_path / "twin.pth"),
            teacher_cache=cache,
        )
        runner = SimpleNamespace(model=model)
        run = Config(
            dict(config(data(dict(FLIP, padding=2))), model=dict(model=network))
        )
        if cache:
            with pytest.raises(ConfigError, match="RandomCropFlip"):
                _check_teacher(runner, run)
        else:
            _check_teacher(runner, run)
