"""A head of mmseg that pools over more than small features have."""

from __future__ import annotations

import mmseg.models  # noqa: F401 (fills the registry)
import pytest
import torch

from cmim.convert import ConvertedLayer
from tasks.heads import BinarizedHead
from tasks.heads.binarized import example_features

OPTIONS = dict(
    in_channels=(16, 16, 96),
    in_index=(0, 1, 2),
    channels=32,
    input_transform="multiple_select",
    num_classes=5,
    norm_cfg=dict(type="BN"),
)


def test_lraspp_becomes_binary_and_runs_on_what_it_can_pool():
    torch.manual_seed(0)
    head = BinarizedHead("LRASPPHead", method="bireal", **OPTIONS)
    binary = {n for n, m in head.named_modules() if isinstance(m, ConvertedLayer)}
    assert "conv_ups.conv_up0.conv" in binary
    # One place, and the classifier, stay.
    assert not any(name.startswith(("image_pool", "conv_seg")) for name in binary)
    features = example_features(OPTIONS["in_channels"], OPTIONS["in_index"], large=True)
    assert [tuple(f.shape[2:]) for f in features] == [(256, 256), (128, 128), (64, 64)]
    assert head.eval()(features).shape == (1, 5, 256, 256)


def test_a_head_that_runs_on_no_features_is_refused():
    options = {**OPTIONS, "in_channels": (16, 16, 96), "branch_channels": (8, 8)}
    head = dict(options, level_channels=(16, 16, 95))
    with pytest.raises(ValueError, match="LRASPPHead does not run on an example"):
        BinarizedHead("LRASPPHead", method="bireal", **head)
