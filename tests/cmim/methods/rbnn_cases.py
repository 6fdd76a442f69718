"""The layer that the tests of RBNN share."""

from __future__ import annotations

import math

import torch

from cmim.methods import get_method
from cmim.methods.rbnn import RbnnWeight

SHAPE = (4, 2, 3, 3)


def make_weight(**options) -> RbnnWeight:
    torch.manual_seed(0)
    method = get_method({"name": "rbnn", **options})
    binarize = method.weight(SHAPE).double()
    binarize.beta.data = torch.tensor([0.0, 0.7, -2.0, math.pi / 2]).view(4, 1, 1, 1)
    binarize.beta.data = binarize.beta.data.double()
    return binarize
