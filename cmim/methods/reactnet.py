r"""ReActNet: learned thresholds of the signs and learned shifts of the PReLUs.

Liu, Shen, Savvides, Cheng, ReActNet: Towards Precise Binary Neural Network with
Generalized Activation Functions, ECCV 2020. https://arxiv.org/abs/2003.03488

Forward: RSign ``sign(a + b_c)``, weights ``mean|w| sign(w)`` per filter, RPReLU
``PReLU_c(x + g_c) + z_c`` after each addition. (The paper writes ``a - alpha_c``; the
released code adds, and starts at 0: the same functions.)
Backward: as Bi-Real's; every shift and slope is learned.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, RPReLU, classifier. The
released ResNet-18 has no RPReLU after the stem; here it has, as all methods share the
encoder.

The paper trains in two steps: activations binary and weights real (``step=1``), then
both binary from the first step's weights (``step=2`` with ``init_from``). Its
distributional loss is not part of this module.

Checked: one 3x3 layer with random thresholds, and RPReLU, against ``BinaryActivation``,
``HardBinaryConv``, ``LearnableBias`` and ``PReLU`` of github.com/liuzechun/ReActNet
(``resnet/2_step2``), commit a6cd08d: RPReLU and its gradients equal; the layer's
output, gradients of input, weights and thresholds at most 2.9e-14 apart in float64 (of
values up to 300), 4.6e-5 in float32 (of 251): order of summation. At zeros it gives 0,
here +1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.rprelu import rprelu
from cmim.functional.sign import shifted_approx_sign
from cmim.methods.binarizer import TwoLevelActivation
from cmim.methods.bireal import BiRealWeight
from cmim.methods.method import Method


class RSign(TwoLevelActivation):
    """``sign(a + b_c)`` with a learned shift per channel.

    Args:
        channels: C.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> binarize = RSign(2)
        >>> _ = binarize.shift.data.copy_(torch.tensor([0.5, 0.0]))
        >>> binarize(torch.tensor([[-0.3, -0.3]])).tolist()
        [[1.0, -1.0]]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return shifted_approx_sign(x, self.shift.view(-1, *[1] * (x.dim() - 2)))

    def threshold(self) -> Tensor:
        return -self.shift


class RPReLU(nn.Module):
    """``PReLU_c(x + shift_c) + offset_c``, started as a PReLU of slope 1/4.

    Args:
        channels: C.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> RPReLU(1)(torch.tensor([[-4.0], [2.0]])).flatten().tolist()
        [-1.0, 2.0]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.offset = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return rprelu(x, self.shift, self.slope, self.offset)


def METHOD(step: int = 2) -> Method:
    """ReActNet.

    Args:
        step: 1 keeps the weights real, 2 binarizes them too.

    Raises:
        ValueError: Another step.

    Examples:
        >>> METHOD(step=1).weight is None, METHOD().weight is None
        (True, False)
    """
    if step not in (1, 2):
        raise ValueError(
            f"method 'reactnet' has no step {step!r}; choose 1 (activations binary) "
            "or 2 (weights too)"
        )
    return Method(
        name="reactnet",
        paper="Liu et al., ReActNet, ECCV 2020. https://arxiv.org/abs/2003.03488",
        weight=None if step == 1 else lambda shape: BiRealWeight(),
        activation=RSign,
        nonlinearity=RPReLU,
        full_precision="stem, down-sampling shortcuts, batch-norm, RPReLU, classifier"
        + (", weights" if step == 1 else ""),
        checked="ReActNet (resnet/2_step2), output and gradients: 2.9e-14",
    )
