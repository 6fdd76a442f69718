"""An encoder of another family, whose stages are of other names and give tokens."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

import tasks.segmentation  # noqa: F401 - registers model and head
from cmim.added_losses import AddedLosses
from cmim.functional.layout import as_maps
from cmim.models import CMIM
from cmim.models.tap_patterns import tap_patterns
from cmim.stages import Stage

NAMES = ["backbone.blocks.0", "backbone.blocks.1"]
ADDED = ["FeatureDistillationLoss", "LipschitzLoss"]


@MODELS.register_module()
class TokenEncoder(nn.Module):
    """Patches, and blocks on tokens; with ``maps`` the same blocks on maps."""

    def __init__(self, maps: bool = False) -> None:
        super().__init__()
        self.maps = maps
        layout = "maps" if maps else "tokens"
        self.stages = tuple(Stage(f"blocks.{k}", 8, 8, layout) for k in range(2))
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.blocks = nn.ModuleList(
            nn.Conv2d(8, 8, 1) if maps else nn.Linear(8, 8) for _ in range(2)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        image = (x.shape[2], x.shape[3])
        x = self.patches(x)
        if not self.maps:
            x = x.flatten(2).mT
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(as_maps(x, image))
        return tuple(features)


def task_model(maps: bool = False) -> ConfigDict:
    return ConfigDict(
        type="SegmentationModel",
        backbone=dict(type="TokenEncoder", maps=maps),
        decode_head=dict(
            type="DeepLabHead",
            in_channels=8,
            channels=4,
            dilations=(1,),
            num_classes=5,
        ),
        test_cfg=dict(mode="whole"),
    )


def as_convolutions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key: value[..., None, None] if value.dim() == 2 and "blocks" in key else value
        for key, value in state.items()
    }


def losses_of(model: CMIM) -> dict[str, Tensor]:
    torch.manual_seed(0)
    inputs = torch.randn(2, 3, 32, 48)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=(32, 48), ori_shape=(32, 48)))
        labels = torch.randint(5, (1, 32, 48))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return model(inputs, samples, mode="loss")


def wrapped(maps: bool, tmp_path, state: dict[str, Tensor]) -> CMIM:
    config = task_model(maps)
    torch.manual_seed(1)
    teacher = MODELS.build(task_model()).state_dict()
    teacher = as_convolutions(teacher) if maps else teacher
    torch.save({"state_dict": teacher}, tmp_path / "teacher.pth")
    torch.manual_seed(2)
    model = CMIM(
        config,
        "teacher",
        teacher=str(tmp_path / "teacher.pth"),
        teacher_model=config,
        added_losses=ADDED,
    )
    model.model.load_state_dict(as_convolutions(state) if maps else state)
    return model


def test_words_and_added_losses_find_its_stages():
    model = MODELS.build(task_model())
    assert tap_patterns(model, "last_two_stages") == NAMES
    assert tap_patterns(model, "last_stage") == NAMES[-1:]
    assert AddedLosses("LipschitzLoss", model).names() == NAMES


def test_tokens_are_contrasted_like_maps(tmp_path):
    state = MODELS.build(task_model()).state_dict()
    tokens, maps = (wrapped(maps, tmp_path, state) for maps in (False, True))
    maps.contrast.load_state_dict(tokens.contrast.state_dict())
    found, expected = losses_of(tokens), losses_of(maps)
    added = [name for name in found if name.startswith("cmim.")]
    assert len(added) == 4
    for name in added:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-4)
        assert found[name] > 0
    sum(found[name] for name in added).backward()
    assert tokens.model.backbone.patches.weight.grad.abs().sum() > 0
