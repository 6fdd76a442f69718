"""Several losses of one head: none is lost."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tasks.depth import DepthHead


def depth_losses(losses) -> dict:
    torch.manual_seed(0)
    head = DepthHead(8, 4, dilations=(1,), loss_decode=losses).eval()
    sample = SegDataSample(gt_depth_map=PixelData(data=torch.full((1, 6, 8), 3.0)))
    return head.loss_by_feat(torch.full((1, 1, 3, 4), 2.0), [sample])


def test_losses_of_one_name_are_added():
    one = depth_losses(dict(type="DepthL1Loss"))
    (name,) = one
    two = depth_losses([dict(type="DepthL1Loss", loss_weight=w) for w in (1.0, 0.5)])
    assert one[name] > 0
    torch.testing.assert_close(two[name], 1.5 * one[name])


def test_losses_of_two_names_stay_apart():
    both = depth_losses([dict(type="DepthL1Loss"), dict(type="DepthBerHuLoss")])
    assert len(both) == 2
