"""Each added loss: what it taps, and how it puts the formulas together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmim.added_losses import (
    ActivationSpreadLoss,
    AddedLosses,
    DistributionalLoss,
    LipschitzLoss,
)
from cmim.contrast.taps import Tap
from cmim.encoders import BinaryResNet
from cmim.functional.retention import lipschitz_distance
from cmim.functional.soft_cross_entropy import soft_cross_entropy
from cmim.functional.spread import activation_spread

SPREAD = dict(type="ActivationSpreadLoss")
LIPSCHITZ = dict(type="LipschitzLoss")


def task_model(method: str | dict = "bireal") -> nn.Module:
    """As much of a task model as the losses look at."""
    model = nn.Module()
    model.backbone = BinaryResNet(method=method, base_channels=4)
    return model


def test_spread_is_the_mean_over_all_binarizers_or_those_named():
    model = task_model("reactnet")
    loss = AddedLosses(SPREAD, model)["activation_spread"]
    assert len(loss.names) == 16
    named = AddedLosses(dict(SPREAD, weight=3, taps="*.layer4.*.binarize2"), model)
    assert named.names() == [f"backbone.layer4.{i}.binarize2" for i in (0, 1)]
    maps = [torch.randn(2, 3, 4, 4), 9 * torch.randn(2, 3, 4, 4)]
    seen = {n: Tap(x, x.sign()) for n, x in zip(named.names(), maps, strict=True)}
    expected = 3 * (activation_spread(maps[0]) + activation_spread(maps[1])) / 2
    found = named(seen, {})["cmim.loss_activation_spread"]
    torch.testing.assert_close(found, expected)


def test_additions_are_tapped_in_front():
    method = dict(name="bireal", additions=["unbalanced", "bidense_binarizer"])
    loss = ActivationSpreadLoss()
    loss.attach(task_model(method))
    assert len(loss.names) == 16
    assert not any("inner" in name for name in loss.names)


def test_lipschitz_clips_and_scales_the_stages():
    loss = AddedLosses(LIPSCHITZ, task_model())["lipschitz"]
    assert loss.names == [f"backbone.layer{i}" for i in (1, 2, 3, 4)]
    ours = [3 * torch.randn(2, 3, 4, 4) for _ in range(4)]
    theirs = [3 * torch.randn(2, 3, 4, 4) for _ in range(4)]
    student = {n: Tap(x, x) for n, x in zip(loss.names, ours, strict=True)}
    teacher = dict(zip(loss.names, theirs, strict=True))
    loss.scale.data = torch.tensor([1.0, 2.0, 0.5, 1.0])
    clipped = [k * x.clamp(-1, 1) for k, x in zip(loss.scale, ours, strict=True)]
    expected = lipschitz_distance(clipped, [x.clamp(-1, 1) for x in theirs])
    torch.testing.assert_close(loss(student, teacher), expected * 8 / 1.28e6)

    plain = LipschitzLoss(weight=1.0, clip=None, learned_scale=False, iterations=3)
    plain.names = loss.names
    assert not list(plain.parameters())
    expected = lipschitz_distance(ours, theirs, 3)
    torch.testing.assert_close(plain(student, teacher), expected)
    # The head may read an early stage: the last ones then do not run.
    early = {name: student[name] for name in loss.names[:2]}
    expected = lipschitz_distance(ours[:2], theirs[:2], 3)
    torch.testing.assert_close(plain(early, teacher), expected)


class Classifier(nn.Module):
    """The names of an image classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.head = nn.ModuleDict(dict(fc=nn.Linear(3, classes)))


def test_distribution_finds_the_logits():
    segmentation = nn.Module()
    segmentation.decode_head = nn.ModuleDict(dict(conv_seg=nn.Conv2d(3, 4, 1)))
    for model, name in [
        (Classifier(4), "head.fc"),
        (segmentation, "decode_head.conv_seg"),
    ]:
        loss = DistributionalLoss(weight=2.0)
        loss.attach(model)
        assert loss.names == [name]
        ours, theirs = torch.randn(2, 4), torch.randn(2, 4)
        found = loss({name: Tap(ours, ours)}, {name: theirs})
        torch.testing.assert_close(found, 2 * soft_cross_entropy(ours, theirs))
    with pytest.raises(ValueError, match=r"'head\.fc' has 1 output"):
        DistributionalLoss().attach(Classifier(1))
    with pytest.raises(ValueError, match="found no logits"):
        DistributionalLoss().attach(nn.Identity())
