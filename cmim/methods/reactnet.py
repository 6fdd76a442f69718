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

The paper trains in two steps: activations binary and weights real, then both binary
from the first step's weights. Its way is two runs: ``step=1``, then ``step=2`` with
``backbone.init_from`` naming the first run's checkpoint (it fills the encoder, learned
thresholds included; the head starts anew). It decays weights, by 1e-5, in the first run
only. ``step='schedule'`` does both in one run, with one optimizer and one learning-rate
schedule, and goes over from real to binary weights at the share ``switch`` of the
training. Evaluation always binarizes, so figures from before the switch say little: the
batch-norm statistics then are those of real weights. The paper's loss is
:class:`cmim.added_losses.DistributionalLoss`.

Checked: one 3x3 layer with random thresholds, and RPReLU, against ``BinaryActivation``,
``HardBinaryConv``, ``LearnableBias`` and ``PReLU`` of github.com/liuzechun/ReActNet
(``resnet/2_step2``), commit a6cd08d: RPReLU and its gradients equal; the layer's
output, gradients of input, weights and thresholds at most 2.9e-14 apart in float64 (of
values up to 300), 4.6e-5 in float32 (of 251): order of summation. At zeros it gives 0,
here +1.

Published: 65.5 % top-1 on ImageNet with ResNet-18, trained in two steps (README of the
released code; a later version of it says 65.9).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cmim.functional.rprelu import rprelu
from cmim.functional.sign import shifted_approx_sign
from cmim.methods.binarizer import TwoLevelActivation, WeightBinarizer
from cmim.methods.bireal import BiRealWeight
from cmim.methods.method import Method, Shape
from cmim.methods.schedule import Scheduled


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


class ScheduledWeight(Scheduled, BiRealWeight):
    """Real weights in training before the switch, binary ones from then on.

    Args:
        switch: Share of the training done with real weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize, w = ScheduledWeight(0.5), torch.tensor([[[[0.5, -1.5]]]])
        >>> binarize(w).tolist(), binarize.eval()(w).tolist()
        ([[[[0.5, -1.5]]]], [[[[1.0, -1.0]]]])
        >>> binarize.set_progress(0.5)
        >>> binarize.train()(w).tolist()
        [[[[1.0, -1.0]]]]
    """

    def __init__(self, switch: float) -> None:
        super().__init__()
        self.switch = switch

    def forward(self, weight: Tensor) -> Tensor:
        binary = super().forward(weight)
        if not self.training:
            return binary
        # Chosen on the device: reading the progress would wait for it.
        return torch.where(self.progress < self.switch, weight, binary)

    def extra_repr(self) -> str:
        return f"switch={self.switch}"


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


def METHOD(step: int | str = 2, switch: float = 0.5) -> Method:
    """ReActNet.

    Args:
        step: 1 keeps the weights real, 2 binarizes them too, ``'schedule'`` does one
            after the other in one run.
        switch: Share of the training before the weights become binary, between 0 and
            1, for ``'schedule'``. (Two runs of equal length in the paper: 0.5.)

    Raises:
        ValueError: Another step, or a switch outside the training.

    Examples:
        >>> METHOD(step=1).weight is None, METHOD().weight is None
        (True, False)
        >>> METHOD(step="schedule").weight((4, 2, 3, 3))
        ScheduledWeight(switch=0.5)
    """
    if step not in (1, 2, "schedule"):
        raise ValueError(
            f"method 'reactnet' has no step {step!r}; choose 1 (activations binary), "
            "2 (weights too) or 'schedule' (one after the other)"
        )
    if not 0 < switch < 1:
        raise ValueError(
            f"method 'reactnet' needs a switch between 0 and 1, got {switch}"
        )
    weights: dict[int | str, Callable[[Shape], WeightBinarizer] | None] = {
        1: None,
        2: lambda shape: BiRealWeight(),
        "schedule": lambda shape: ScheduledWeight(switch),
    }
    return Method(
        name="reactnet",
        paper="Liu et al., ReActNet, ECCV 2020. https://arxiv.org/abs/2003.03488",
        weight=weights[step],
        activation=RSign,
        nonlinearity=RPReLU,
        full_precision="stem, down-sampling shortcuts, batch-norm, RPReLU, classifier"
        + (", weights" if step == 1 else ""),
        checked="ReActNet (resnet/2_step2), output and gradients: 2.9e-14",
        published=65.5,
    )
