"""The full-precision twin: same topology, nothing binarized.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
https://arxiv.org/abs/1512.03385

It is the baseline row of every table and the teacher of CMIM. The non-linearity that
a binary network gets from its sign functions is a ReLU after each shortcut addition.
"""

from __future__ import annotations

from torch import nn

from cmim.methods.method import Method


def METHOD() -> Method:
    """Full precision.

    Examples:
        >>> METHOD().is_binary
        False
    """
    return Method(
        name="fp",
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016. "
        "https://arxiv.org/abs/1512.03385",
        weight=None,
        activation=None,
        nonlinearity=lambda channels: nn.ReLU(),
        full_precision="everything",
        checked="torchvision's ResNet with shortcuts='per_block': equal (tests)",
    )
