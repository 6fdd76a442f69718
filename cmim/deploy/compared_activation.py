"""Activation binarizers that feed no binary layer, in a network to export."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cmim.methods import ActivationBinarizer


class ComparedActivation(nn.Module):
    """A binarizer as evaluation computes it, of operators that every engine has.

    The binarizers of attention's queries, keys and values are such: their codes are
    multiplied with one another, as floats that hold integers.

    Args:
        binarizer: In evaluation mode.

    Shape:
        As the binarizer's.

    Examples:
        >>> from cmim.methods import get_method
        >>> compared = ComparedActivation(get_method("dorefa").activation(1))
        >>> compared(torch.tensor([[0.4, 0.5]])).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, binarizer: ActivationBinarizer) -> None:
        super().__init__()
        self.binarizer = binarizer

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        total = None
        for threshold, low, high in self.binarizer.steps(x):
            low, high = (torch.as_tensor(level).to(x) for level in (low, high))
            part = torch.where(x >= threshold.to(x), high, low)
            total = part if total is None else total + part
        return cast(Tensor, total)
