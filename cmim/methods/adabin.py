r"""AdaBin: two levels that fit the weights of each filter and the activations.

Tu, Chen, Ren, Wang, AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets,
ECCV 2022. https://arxiv.org/abs/2208.08084

Forward: weights ``alpha sign(w^) + beta`` per filter, beta their mean, alpha their
(biased) standard deviation and ``w^ = (w - beta)/alpha``; activations
``a (sign((x - b)/a) + b)`` with a and b learned for each layer, from 1 and 0.
Backward: weights IR-Net's ``k t (1 - tanh^2(t w^))`` for the sign, and on through alpha
and beta; activations Bi-Real's ``max(0, 2 - 2|u|)`` with ``u = (x - b)/a``, and
``sign(u) + b - u max(0, 2 - 2|u|)`` for a, ``a - max(0, 2 - 2|u|)`` for b.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, alpha, beta, a and b,
Maxout after each addition (learned slopes per channel on both sides of 0, from 1 and
1/4), classifier.

The levels above are those of the released code. The paper, as remembered, has ``a
sign(u) + b``: ``levels='paper'``, where the gradient for a lacks b and that for b is
``1 - max(0, 2 - 2|u|)``. Which of the two the published figures had is not established;
the README that states them belongs to the code. t rises from 0.001 to 10, as in its
ImageNet script. It moves t once an epoch, here it moves each step. a may turn negative:
then the activations below b have the higher code.

Exported, beta is the sum of what lies under the kernel, which all filters share: one
filter of ones beside the binary convolution, and no second one.

Checked: one 3x3 layer against ``AdaBin_Conv2d`` and ``Maxout`` of
github.com/huawei-noah/Efficient-Computing (``BinaryNetworks/AdaBin/imagenet``;
``cifar10`` has the same), commit 225ddd2, at progress 0, 0.5 and 1 and four pairs of a
and b, one with a negative: output, and Maxout with its gradients, equal; gradients at
most 3.1e-13 apart in float64 (of values up to 526), 1.4e-4 in float32 (of 339): order
of summation. At exact zeros of the sign it gives 0, here +1; a constant filter gives
NaN there, here its mean.

Published: 63.1 % top-1 on ImageNet with ResNet-18, trained in one step (README of the
released code; 66.4 in ReActNet's two steps).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.adaptive_levels import filter_spread, level_pair, two_levels
from cmim.functional.error_decay import error_decay_sign, error_decay_slope
from cmim.functional.maxout import maxout
from cmim.functional.sign import sign
from cmim.methods.binarizer import ActivationBinarizer, Step, WeightBinarizer
from cmim.methods.method import Method
from cmim.methods.schedule import Scheduled

LEVELS = ("released", "paper")


class AdaBinActivation(ActivationBinarizer):
    """Two learned levels around a learned threshold.

    Args:
        levels: ``'released'`` or ``'paper'``: what the levels lie around.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> binarize = AdaBinActivation("released")
        >>> binarize(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
        >>> _ = binarize.centre.data.fill_(0.5), binarize.distance.data.fill_(2.0)
        >>> binarize(torch.tensor([[0.4, 0.5]])).tolist()
        [[-1.0, 3.0]]
    """

    def __init__(self, levels: str) -> None:
        super().__init__()
        self.scaled = levels == "released"
        self.distance = nn.Parameter(torch.ones(()))
        self.centre = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return two_levels(x, self.distance, self.centre, self.scaled)

    def steps(self, x: Tensor) -> list[Step]:
        distance, centre = self.distance.detach(), self.centre.detach()
        low, high = level_pair(distance, centre, self.scaled)
        if distance >= 0:
            return [Step(centre, low, high)]
        # The other way round: the centre itself still has the code +1.
        return [Step(centre.nextafter(torch.full_like(centre, torch.inf)), high, low)]

    def extra_repr(self) -> str:
        return f"levels={'released' if self.scaled else 'paper'!r}"


class AdaBinWeight(Scheduled, WeightBinarizer):
    """``alpha sign(w - beta) + beta`` with mean beta and deviation alpha of a filter.

    Args:
        t_min: Steepness t at the start of training, > 0.
        t_max: Steepness t at its end, > 0.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> weight = torch.tensor([[[[0.0, 6.0, 6.0, 8.0]]]])  # mean 5, deviation 3
        >>> AdaBinWeight(0.1, 10.0)(weight).tolist()
        [[[[2.0, 8.0, 8.0, 8.0]]]]
    """

    offset = True

    def __init__(self, t_min: float, t_max: float) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max

    def forward(self, weight: Tensor) -> Tensor:
        mean, deviation, normal = filter_spread(weight)
        slope = error_decay_slope(self.progress, self.t_min, self.t_max)
        return error_decay_sign(normal, *slope) * deviation + mean

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        mean, deviation, normal = filter_spread(weight.detach())
        return [(deviation, sign(normal)), (mean, torch.ones_like(weight))]

    def extra_repr(self) -> str:
        return f"t_min={self.t_min}, t_max={self.t_max}"


class Maxout(nn.Module):
    """Learned slopes per channel above and below 0, started at 1 and 1/4.

    Args:
        channels: C.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> Maxout(1)(torch.tensor([[-2.0], [3.0]])).flatten().tolist()
        [-0.5, 3.0]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rising = nn.Parameter(torch.ones(channels))
        self.falling = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return maxout(x, self.rising, self.falling)


def METHOD(
    t_min: float = 0.001, t_max: float = 10.0, levels: str = "released"
) -> Method:
    """AdaBin.

    Args:
        t_min: Steepness of the weights' surrogate at the start of training, > 0.
        t_max: Steepness at its end, > 0.
        levels: Of the activations: ``'released'`` (the code) or ``'paper'``.

    Raises:
        ValueError: A steepness that is not positive, or other levels.

    Examples:
        >>> METHOD(t_min=0.1).weight((4, 2, 3, 3))
        AdaBinWeight(t_min=0.1, t_max=10.0)
    """
    if t_min <= 0 or t_max <= 0:
        raise ValueError(
            f"method 'adabin' needs positive t_min and t_max, got {t_min} and {t_max}"
        )
    if levels not in LEVELS:
        raise ValueError(
            f"method 'adabin' has no levels {levels!r}; choose from {', '.join(LEVELS)}"
        )
    return Method(
        name="adabin",
        paper="Tu et al., AdaBin, ECCV 2022. https://arxiv.org/abs/2208.08084",
        weight=lambda shape: AdaBinWeight(t_min, t_max),
        activation=lambda channels: AdaBinActivation(levels),
        nonlinearity=Maxout,
        full_precision="stem, down-sampling shortcuts, batch-norm, levels, Maxout, "
        "classifier",
        checked="AdaBin (imagenet), output equal, gradients: 3.1e-13 (of 526)",
        published=63.1,
    )
