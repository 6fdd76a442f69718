"""Depth losses as classes: from the registry, with their options."""

from __future__ import annotations

import pytest
import torch
from depth_cases import depth_pair
from mmseg.registry import MODELS

from tasks.depth.losses import (
    DepthBerHuLoss,
    DepthL1Loss,
    DepthSILogLoss,
    berhu_loss,
    silog_loss,
)

CLASSES = [DepthSILogLoss, DepthBerHuLoss, DepthL1Loss]


@pytest.mark.parametrize("cls", CLASSES)
def test_classes_build_from_the_registry_and_weigh(cls):
    pred, target = depth_pair()
    plain = MODELS.build({"type": cls.__name__})
    double = MODELS.build({"type": cls, "loss_weight": 2.0, "loss_name": "loss_other"})
    assert plain.loss_name.startswith("loss_")
    assert double.loss_name == "loss_other"
    torch.testing.assert_close(double(pred, target), 2 * plain(pred, target))
    with pytest.raises(TypeError):
        cls(loss_wieght=2.0)


def test_class_options_reach_the_formula():
    pred, target = depth_pair()
    silog = DepthSILogLoss(variance_focus=0.3, eps=0.01, min_depth=2.0)
    expected = silog_loss(pred, target, 0.3, 0.01, 2.0)
    assert silog(pred, target).item() == expected.item()
    berhu = DepthBerHuLoss(threshold=0.5)
    assert berhu(pred, target).item() == berhu_loss(pred, target, 0.5).item()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (DepthSILogLoss, {"variance_focus": 1.1}),
        (DepthSILogLoss, {"eps": 0.0}),
        (DepthSILogLoss, {"min_depth": 0.0}),
        (DepthBerHuLoss, {"threshold": 0.0}),
        (DepthL1Loss, {"loss_name": "depth"}),
    ],
)
def test_options_out_of_range_are_named(cls, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        cls(**options)
